//! Which symbol is next: a draw by rank, in constant time whatever the number of symbols.

use super::random::Random;

/// Numbers `0..n` drawn by weight (the alias method of Walker, 1977, in integers).
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// Of 2³², how often a slot means its own number; otherwise it means its alias.
    slots: Vec<(u32, u32)>,
}

impl Activity {
    /// Draws each number by its weight. Weights are at least 1; their sum must be below 2⁶³ / their count.
    pub(super) fn new(weights: &[u64]) -> Activity {
        let count = weights.len() as u64;
        let total: u64 = weights.iter().sum();
        let mut shares: Vec<u64> = weights.iter().map(|w| w * count).collect();
        let mut slots: Vec<(u32, u32)> = (0..weights.len()).map(|own| (u32::MAX, own as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&index| shares[index] < total);
        // Each slot that is too small for a full share is filled up from one that has too much.
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            let own = (u128::from(shares[poor]) << 32) / u128::from(total.max(1));
            slots[poor] = (own as u32, rich as u32);
            shares[rich] -= total - shares[poor];
            if shares[rich] < total {
                large.pop();
                small.push(rich);
            }
        }
        Activity { slots }
    }

    /// The next number.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let bits = random.bits();
        let index = ((bits >> 32) * self.slots.len() as u64) >> 32;
        let (own, alias) = self.slots[index as usize];
        if (bits as u32) < own { index as usize } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_by_weight() {
        let weights = [1u64, 2, 3, 10, 1, 7, 100];
        let activity = Activity::new(&weights);
        let mut random = Random::new(11);
        let draws = 1_000_000;
        let mut seen = [0u64; 7];
        for _ in 0..draws {
            seen[activity.draw(&mut random)] += 1;
        }
        let total: u64 = weights.iter().sum();
        for (weight, count) in weights.iter().zip(seen) {
            let expected = (weight * draws) as f64 / total as f64;
            assert!(
                (count as f64 - expected).abs() < 5.0 * expected.sqrt(),
                "{weight}: {count} of {expected}"
            );
        }
    }

    #[test]
    fn one_symbol_is_always_drawn() {
        let activity = Activity::new(&[5]);
        assert_eq!(activity.draw(&mut Random::new(1)), 0);
    }
}
