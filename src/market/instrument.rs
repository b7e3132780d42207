//! The symbols of the market: names, tick sizes and price levels like those of a large spot exchange.

use super::random::Random;

/// The most active symbols by name, with the price they begin near (in units of 10⁻⁸).
const LEADERS: [(&str, i64); 24] = [
    ("BTC", 9_731_245_000_000),
    ("ETH", 352_718_000_000),
    ("SOL", 21_384_000_000),
    ("XRP", 243_170_000),
    ("DOGE", 38_412_000),
    ("BNB", 69_874_000_000),
    ("ADA", 104_350_000),
    ("PEPE", 1_876),
    ("LINK", 2_214_000_000),
    ("AVAX", 4_127_000_000),
    ("SUI", 467_310_000),
    ("TRX", 25_640_000),
    ("LTC", 11_283_000_000),
    ("DOT", 731_400_000),
    ("SHIB", 2_318),
    ("UNI", 1_432_600_000),
    ("BCH", 45_630_000_000),
    ("NEAR", 548_200_000),
    ("APT", 963_000_000),
    ("ICP", 1_172_400_000),
    ("ETC", 2_781_000_000),
    ("XLM", 42_170_000),
    ("BONK", 3_194),
    ("FIL", 547_300_000),
];

/// Mantissa of one whole unit of the quote currency, in [`LEADERS`].
const ONE: i64 = 100_000_000;

/// Of 256 trades, the most that draw another: a burst then has 10 trades on average.
const CONTAGION_MAX: u64 = 230;

/// What is fixed about one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The name on the wire, such as `BTCUSDT`.
    pub native: String,
    /// Digits behind the point in prices. The tick size is one unit of the last.
    pub price_scale: u8,
    /// Digits behind the point in sizes. The lot is one unit of the last.
    pub size_scale: u8,
    /// The first price, in ticks.
    pub(super) home: i64,
    /// The mean size of a trade, in lots.
    pub(super) typical_lots: u64,
    /// Movement in one second, standard deviation, in 2⁻³⁰ of the price.
    pub(super) volatility: i64,
    /// How much of the market's movement it shares, in 1/256.
    pub(super) beta: i64,
    /// The usual distance from bid to ask, in 2⁻³⁰ of the price.
    pub(super) spread: i64,
    /// The first trade id.
    pub(super) first_id: u64,
    /// The first update id of the book.
    pub(super) first_update: u64,
}

impl Instrument {
    /// An instrument of a market that is not made up: only its name and digits are known.
    #[must_use]
    pub fn listed(native: String, price_scale: u8, size_scale: u8) -> Instrument {
        Instrument {
            native,
            price_scale,
            size_scale,
            home: 0,
            typical_lots: 0,
            volatility: 0,
            beta: 0,
            spread: 0,
            first_id: 0,
            first_update: 0,
        }
    }
}

/// The instrument of the symbol at `rank` in activity (0 = the most active).
pub(super) fn at_rank(rank: usize, random: &mut Random) -> Instrument {
    let (base, price) = match LEADERS.get(rank) {
        Some((base, price)) => ((*base).to_owned(), *price),
        None => (invented_base(rank - LEADERS.len()), invented_price(random)),
    };
    let price_scale = price_scale(price);
    let lot_value_scale = size_scale(price);
    // A mean trade of about 400 (leaders) to 100 units of the quote currency.
    let value = if rank < LEADERS.len() { 400 } else { 100 + random.below(150) as i64 };
    let lots =
        i128::from(value) * i128::from(ONE) * 10i128.pow(u32::from(lot_value_scale)) / i128::from(price);
    let depth = (rank as i64 + 1).min(500);
    Instrument {
        native: format!("{base}USDT"),
        price_scale,
        size_scale: lot_value_scale,
        home: price / 10i64.pow(8 - u32::from(price_scale)),
        typical_lots: u64::try_from(lots).unwrap_or(1).max(2),
        volatility: 60_000 + 400 * depth,
        beta: 200 + random.below(120) as i64,
        spread: 500 * depth,
        first_id: 40_000_000 / (rank as u64 + 1) + 10_000 + random.below(10_000),
        first_update: 50_000_000_000 / (rank as u64 + 1) + random.below(1_000_000),
    }
}

/// The weight of the symbol at `rank` in the draw of orders, so that its trades follow Zipf's law, and how many
/// of 256 of its trades draw another one after them. Busy symbols trade in longer bursts; `bursts` is in percent of the
/// usual.
pub(super) fn activity(rank: usize, bursts: u32) -> (u64, u64) {
    let contagion = 2_300 / (16 + rank as u64);
    let contagion = (contagion * u64::from(bursts) / 100).min(CONTAGION_MAX);
    let trades = (1u64 << 40) / (rank as u64 + 1);
    ((trades / 256 * (256 - contagion)).max(1), contagion)
}

/// Digits behind the point that give a price four or more digits that count, and two at least.
fn price_scale(price: i64) -> u8 {
    match price {
        p if p >= 100 * ONE => 2,
        p if p >= 10 * ONE => 3,
        p if p >= ONE => 4,
        p if p >= ONE / 10 => 5,
        p if p >= ONE / 1_000 => 6,
        _ => 8,
    }
}

/// Digits behind the point that make a lot worth a few cents at most.
fn size_scale(price: i64) -> u8 {
    match price {
        p if p >= 10_000 * ONE => 5,
        p if p >= 1_000 * ONE => 4,
        p if p >= 100 * ONE => 3,
        p if p >= 5 * ONE => 2,
        p if p >= ONE / 2 => 1,
        _ => 0,
    }
}

/// A price between 0.00001 and 100, each power of ten as likely as the others, most below 10.
fn invented_price(random: &mut Random) -> i64 {
    let decade = [1_000, 10_000, 1_000_000, 10_000_000, 10_000_000, 100_000_000, 100_000_000, ONE * 10];
    let low = decade[random.below(decade.len() as u64) as usize];
    low + random.below(9 * low as u64) as i64
}

/// A name that no other number gives: five letters, consonants and vowels in turn, two more from 200,000 on.
fn invented_base(number: usize) -> String {
    const CONSONANTS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    const VOWELS: &[u8; 5] = b"AEIOU";
    const FIVE_LETTERS: usize = 20 * 5 * 20 * 5 * 20;
    // 123,457 has no factor in common with 200,000, so that the numbers are only put in another order.
    let mut rest = number % FIVE_LETTERS * 123_457 % FIVE_LETTERS;
    let mut name = String::new();
    for letter in 0..5 {
        let alphabet: &[u8] = if letter % 2 == 0 { CONSONANTS } else { VOWELS };
        name.push(char::from(alphabet[rest % alphabet.len()]));
        rest /= alphabet.len();
    }
    let mut further = number / FIVE_LETTERS;
    while further > 0 {
        name.push(char::from(VOWELS[further % 5]));
        name.push(char::from(CONSONANTS[further / 5 % 20]));
        further /= 100;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_different_and_leaders_keep_theirs() {
        let mut random = Random::new(1);
        let names: HashSet<String> = (0..100_000).map(|rank| at_rank(rank, &mut random).native).collect();
        assert_eq!(names.len(), 100_000);
        assert_eq!(at_rank(0, &mut random).native, "BTCUSDT");
        let far: HashSet<String> = [0, 200_000, 400_000, 20_000_000].map(invented_base).into_iter().collect();
        assert_eq!(far.len(), 4);
    }

    #[test]
    fn scales_are_those_of_real_symbols() {
        let mut random = Random::new(1);
        let bitcoin = at_rank(0, &mut random);
        assert_eq!((bitcoin.price_scale, bitcoin.size_scale, bitcoin.home), (2, 5, 9_731_245));
        let pepe = at_rank(7, &mut random);
        assert_eq!((pepe.price_scale, pepe.size_scale, pepe.home), (8, 0, 1_876));
        for rank in 0..5_000 {
            let instrument = at_rank(rank, &mut random);
            assert!(instrument.home >= 1_000, "{instrument:?}");
        }
    }
}
