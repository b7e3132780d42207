//! Lines spoiled on purpose, the same way for the same seed: for tests of what an engine does about it.

use feeds::time::Nanos;

use super::random::Random;

/// `lines` in another order in which none comes more than `bound` after one that is later by its `time`: with an
/// allowed lateness of `bound`, nothing in it is late. Lines of one time keep their order only with a `bound` of 0.
pub fn shuffle<T: Clone>(lines: &[T], time: impl Fn(&T) -> Nanos, bound: Nanos, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    let span = u64::try_from(bound).unwrap_or(0) + 1;
    let delayed = |line| time(line).saturating_add(random.below(span) as Nanos);
    let keys: Vec<Nanos> = lines.iter().map(delayed).collect();
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&index| keys[index]);
    order.into_iter().map(|index| lines[index].clone()).collect()
}

/// `lines`, of which about `per_thousand` in a thousand come a second time, up to `distance` lines after the first.
pub fn repeat<T: Clone>(lines: &[T], per_thousand: u64, distance: usize, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    let mut placed: Vec<(usize, usize)> = (0..lines.len()).map(|index| (index, index)).collect();
    for index in 0..lines.len() {
        if random.happens(per_thousand, 1_000) {
            placed.push((index + random.below(distance as u64 + 1) as usize, index));
        }
    }
    // Stable: a copy comes after the line whose place it shares.
    placed.sort_by_key(|&(place, _)| place);
    placed.into_iter().map(|(_, index)| lines[index].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Times that never go back, as a file's are.
    fn times() -> impl Strategy<Value = Vec<Nanos>> {
        prop::collection::vec(0i64..50, 0..200).prop_map(|steps| {
            let add = |time: &mut Nanos, step| {
                *time += step;
                Some(*time)
            };
            steps.into_iter().scan(1_000, add).collect()
        })
    }

    proptest! {
        #[test]
        fn a_shuffle_keeps_all_lines_within_the_bound(lines in times(), bound in 0i64..500, seed: u64) {
            let shuffled = shuffle(&lines, |time| *time, bound, seed);
            let mut highest = Nanos::MIN;
            for &time in &shuffled {
                highest = highest.max(time);
                prop_assert!(time >= highest - bound);
            }
            let mut sorted = shuffled.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, lines.clone());
            prop_assert_eq!(shuffle(&lines, |time| *time, bound, seed), shuffled);
        }

        #[test]
        fn repeats_follow_their_lines_closely(count in 0usize..300, distance in 0usize..20, seed: u64) {
            let lines: Vec<usize> = (0..count).collect();
            let repeated = repeat(&lines, 300, distance, seed);
            let mut seen = vec![0; count];
            let mut firsts = Vec::new();
            for &line in &repeated {
                seen[line] += 1;
                if seen[line] == 1 {
                    firsts.push(line);
                } else {
                    prop_assert!(firsts.len() - 1 - line <= distance, "line {} again after {}", line, firsts.len());
                }
            }
            prop_assert_eq!(firsts, lines);
            prop_assert!(seen.iter().all(|&n| n == 1 || n == 2));
        }
    }

    #[test]
    fn faults_do_something() {
        let lines: Vec<i64> = (0..1_000).collect();
        assert_ne!(shuffle(&lines, |line| *line, 10, 1), lines);
        let repeated = repeat(&lines, 100, 5, 1).len();
        assert!((1_050..1_150).contains(&repeated), "{repeated}");
    }
}
