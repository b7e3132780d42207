//! Random numbers from a seed, in integers only: the same seed gives the same market on every machine.
//!
//! The generator is xoshiro256** (Blackman and Vigna, 2018), its state filled by SplitMix64. Not for secrets.

/// `ln 2` in units of 2⁻³².
const LN_2: u64 = LN_1P[256];
/// `ln(1 + i/256)` in units of 2⁻³².
const LN_1P: [u64; 257] = ln_table();

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator that begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        let mut mix = SplitMix64(seed);
        Random { state: [mix.next(), mix.next(), mix.next(), mix.next()] }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let result = self.state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = self.state[1] << 17;
        self.state[2] ^= self.state[0];
        self.state[3] ^= self.state[1];
        self.state[1] ^= self.state[2];
        self.state[0] ^= self.state[3];
        self.state[2] ^= shifted;
        self.state[3] = self.state[3].rotate_left(45);
        result
    }

    /// A number below `n`, or 0 for `n` = 0. Uneven by less than `n` / 2⁶⁴, which no test can see.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True `part` times in `whole`.
    #[inline]
    pub fn happens(&mut self, part: u64, whole: u64) -> bool {
        self.below(whole) < part
    }

    /// An exponentially distributed number of mean `mean`: the wait for the next of events that are independent.
    #[inline]
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // -ln(u) for u = 2^-(zeros + 1) × (1 + fraction), by table and straight lines between its entries.
        let bits = self.bits() | 1;
        let zeros = u64::from(bits.leading_zeros());
        let fraction = (bits << zeros << 1) >> 32;
        let (index, rest) = ((fraction >> 24) as usize, fraction & 0xff_ffff);
        let ln = LN_1P[index] + (((LN_1P[index + 1] - LN_1P[index]) * rest) >> 24);
        let minus_ln_u = (zeros + 1) * LN_2 - ln;
        ((u128::from(mean) * u128::from(minus_ln_u)) >> 32) as u64
    }

    /// A bell-shaped number of mean 0 and standard deviation 2¹⁶, never beyond 3.5 deviations (the sum of four
    /// uniform ones).
    #[inline]
    pub fn bell(&mut self) -> i64 {
        let bits = self.bits();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        // The deviation of the sum is 2^16 / sqrt 3; 113,512 / 2^16 is sqrt 3.
        ((sum as i64 - 2 * 0xffff) * 113_512) >> 16
    }
}

/// Fills the state of a generator from one number.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `ln(1 + y) = 2 artanh(y / (2 + y))` as a series, worked out by the compiler with nothing but `+ * /`.
const fn ln_table() -> [u64; 257] {
    let mut table = [0; 257];
    let mut index = 0;
    while index <= 256 {
        let y = index as f64 / 256.0;
        let z = y / (2.0 + y);
        let (mut power, mut sum, mut term) = (z, 0.0, 1);
        while term < 60 {
            sum += power / term as f64;
            power *= z * z;
            term += 2;
        }
        table[index] = (2.0 * sum * 4_294_967_296.0) as u64;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_give_the_published_first_numbers() {
        let mut mix = SplitMix64(1_234_567);
        assert_eq!(mix.next(), 6_457_827_717_110_365_317);
        assert_eq!(mix.next(), 3_203_168_211_198_807_973);
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(first, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the tolerance is wider than platforms differ")]
    fn logarithms_are_right_to_a_billionth() {
        for (index, &entry) in LN_1P.iter().enumerate() {
            let exact = (1.0 + index as f64 / 256.0).ln();
            assert!((entry as f64 / 4_294_967_296.0 - exact).abs() < 1e-9, "entry {index}");
        }
    }

    #[test]
    fn distributions_have_their_mean_and_spread() {
        let mut random = Random::new(7);
        let draws = 200_000;
        let waits: Vec<f64> = (0..draws).map(|_| random.exponential(1_000_000) as f64 / 1e6).collect();
        let mean = waits.iter().sum::<f64>() / f64::from(draws);
        // exp(-3) of them are.
        let beyond_three = waits.iter().filter(|w| **w > 3.0).count() as f64 / f64::from(draws);
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        assert!((beyond_three - 0.049_787).abs() < 0.002, "beyond three means {beyond_three}");

        let bells: Vec<f64> = (0..draws).map(|_| random.bell() as f64 / 65_536.0).collect();
        let mean = bells.iter().sum::<f64>() / f64::from(draws);
        let square = bells.iter().map(|b| b * b).sum::<f64>() / f64::from(draws);
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.01, "mean {mean}, square {square}");
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut random = Random::new(3);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert!(!random.happens(0, 10) && random.happens(10, 10));
    }
}
