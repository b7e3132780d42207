//! How far sinks came.
//!
//! # Bytes
//! `sink/` and the sink's name in the family `meta`. Version 1: generation and number of the cursor behind which it goes on.
//! Version 2, where alerts wait with their groups: generation; the number up to which it looked at the log; the alerts that
//! are being told in one notification, and those that wait, each as their count and their numbers, the first from 0 and any
//! other from the one before.

use super::Key;
use crate::alert::Cursor;
use crate::codec::{CodecError, Put, Reader};

const PLAIN: u8 = 1;
const GROUPED: u8 = 2;

/// How far a sink came. Numbers rise, and are [`Progress::reached`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The generation of the numbers.
    pub generation: u64,
    /// Up to which number it looked at the log. What it wants of that is taken, but for what follows.
    pub reached: u64,
    /// What is being told in one notification, and may be taken.
    pub telling: Vec<u64>,
    /// What waits.
    pub waiting: Vec<u64>,
}

impl Progress {
    /// The cursor up to which all is taken.
    #[must_use]
    pub fn place(&self) -> Cursor {
        let first = [&self.telling, &self.waiting].into_iter().filter_map(|numbers| numbers.first()).min();
        let number = first.map_or(self.reached, |first| first.saturating_sub(1));
        Cursor { generation: self.generation, number }
    }
}

/// The key of the sink called `name`.
#[must_use]
pub fn key(name: &str) -> Vec<u8> {
    Key::text("sink/").bytes().into_iter().chain(name.bytes()).collect()
}

/// Its value.
#[must_use]
pub fn encode(progress: &Progress) -> Vec<u8> {
    let Progress { generation, reached, telling, waiting } = progress;
    let is_plain = telling.is_empty() && waiting.is_empty();
    let mut out = vec![if is_plain { PLAIN } else { GROUPED }];
    out.put_u64(*generation);
    out.put_u64(*reached);
    for numbers in [telling, waiting].into_iter().filter(|_| !is_plain) {
        out.put_u64(numbers.len() as u64);
        let mut before = 0;
        for number in numbers {
            out.put_u64(number.wrapping_sub(before));
            before = *number;
        }
    }
    out
}

/// Reads it back.
///
/// # Errors
/// [`CodecError`] if the bytes are none.
pub fn decode(value: &[u8]) -> Result<Progress, CodecError> {
    let mut from = Reader::new(value);
    let version = from.u8()?;
    let mut progress = Progress { generation: from.u64()?, reached: from.u64()?, ..Progress::default() };
    match version {
        PLAIN => {}
        GROUPED => {
            progress.telling = numbers(&mut from, progress.reached)?;
            progress.waiting = numbers(&mut from, progress.reached)?;
        }
        _ => return Err(CodecError::Invalid),
    }
    if from.is_empty() { Ok(progress) } else { Err(CodecError::Invalid) }
}

/// Numbers that rise, up to `most`.
fn numbers(from: &mut Reader<'_>, most: u64) -> Result<Vec<u64>, CodecError> {
    let count = from.u64()?;
    let (mut numbers, mut before) = (Vec::new(), 0_u64);
    for _ in 0..count {
        let step = from.u64()?;
        let number = before.checked_add(step).filter(|number| step > 0 && *number <= most);
        before = number.ok_or(CodecError::Invalid)?;
        numbers.push(before);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_of_version_one() {
        let plain = Progress { generation: 2, reached: 300, ..Progress::default() };
        assert_eq!((key("a"), encode(&plain)), (b"sink/a".to_vec(), vec![1, 2, 0xac, 2]));
        assert_eq!(plain.place(), Cursor { generation: 2, number: 300 });
        assert_eq!(decode(&encode(&plain)), Ok(plain));
        assert!(decode(&[1, 2, 3, 4]).is_err() && decode(&[3, 2, 3]).is_err() && decode(&[1]).is_err());
    }

    #[test]
    fn the_bytes_of_version_two() {
        let grouped = Progress { generation: 1, reached: 9, telling: vec![4, 7], waiting: vec![3, 9] };
        let bytes = vec![2, 1, 9, 2, 4, 3, 2, 3, 6];
        assert_eq!((encode(&grouped), grouped.place().number), (bytes.clone(), 2));
        assert_eq!(decode(&bytes), Ok(grouped));
        for wrong in [
            vec![2, 1, 9],
            vec![2, 1, 9, 0],
            vec![2, 1, 9, 1, 0, 0],
            vec![2, 1, 9, 1, 10, 0],
            vec![2, 1, 9, 2, 4, 0, 0],
            vec![2, 1, 9, 0xff, 0xff, 0xff, 0xff, 0xf, 4],
            vec![2, 1, 9, 0, 0, 0],
        ] {
            assert!(decode(&wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_comes_back_and_no_bytes_panic(
            generation in any::<u64>(),
            telling in prop::collection::btree_set(1..=u64::MAX, 0..20),
            waiting in prop::collection::btree_set(1..2_000u64, 0..20),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (telling, waiting) = (telling.into_iter().collect(), waiting.into_iter().collect());
            let progress = Progress { generation, reached: u64::MAX, telling, waiting };
            let _ = decode(&bytes);
            prop_assert_eq!(decode(&encode(&progress)), Ok(progress));
        }
    }
}
