//! Frames out of gzip, bounded: a small frame may say that it is gigabytes.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::verdict::Fault;

/// Most bytes of an inflated frame. The longest real ones, whole books, have some tens of kilobytes.
const INFLATED_BYTES_MAX: u64 = 4 << 20;
/// Room that is kept between frames; what a longer one needed is given back.
const KEPT_BYTES: usize = 256 << 10;
/// What every gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The room that frames are inflated into.
#[derive(Default)]
pub(super) struct Inflater {
    bytes: Vec<u8>,
}

impl Inflater {
    /// The text in `payload`, which may also be given without gzip, as some recorders keep it.
    ///
    /// # Errors
    /// If it is cut, damaged, or larger than [`INFLATED_BYTES_MAX`].
    pub(super) fn text<'s>(&'s mut self, payload: &'s [u8]) -> Result<&'s [u8], Fault> {
        if !payload.starts_with(&MAGIC) {
            return Ok(payload);
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        // One byte more than may be tells a frame that is too long from one that just fits.
        let mut bounded = GzDecoder::new(payload).take(INFLATED_BYTES_MAX + 1);
        bounded.read_to_end(&mut self.bytes).map_err(|_| "gzip that is cut off or damaged")?;
        if self.bytes.len() as u64 > INFLATED_BYTES_MAX {
            return Err("gzip of more than 4 MiB".into());
        }
        Ok(&self.bytes)
    }

    /// The text of `payload`, which is what was inflated last.
    pub(super) fn last<'s>(&'s self, payload: &'s [u8]) -> &'s [u8] {
        if payload.starts_with(&MAGIC) { &self.bytes } else { payload }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_and_text_give_the_text() {
        let mut inflater = Inflater::default();
        for text in [&b"{\"ping\":1}"[..], b"", &b"ab".repeat(100_000)] {
            for payload in [&gzip(text), text] {
                assert_eq!(inflater.text(payload).unwrap(), text);
                assert_eq!(inflater.last(payload), text);
            }
        }
    }

    #[test]
    fn a_frame_that_is_cut_or_damaged_gives_nothing() {
        let whole = gzip(br#"{"ch":"market.foousdt.bbo","ts":1700000000005,"tick":{"bid":1.5,"bidSize":2}}"#);
        let mut inflater = Inflater::default();
        for cut in MAGIC.len()..whole.len() {
            assert!(inflater.text(&whole[..cut]).is_err(), "cut at {cut}");
        }
        for at in 10..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            assert!(inflater.text(&damaged).is_err(), "damaged at {at}");
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let most = usize::try_from(INFLATED_BYTES_MAX).unwrap();
        let mut inflater = Inflater::default();
        assert_eq!(inflater.text(&gzip(&vec![b' '; most])).unwrap().len(), most);
        assert!(inflater.text(&gzip(&vec![b' '; most + 1])).is_err());
        let bomb = gzip(&vec![0; 16 * most]);
        assert!(bomb.len() < 100_000);
        assert!(inflater.text(&bomb).is_err());
        assert!(inflater.bytes.len() <= most + 1);
        inflater.text(&gzip(b"{}")).unwrap();
        assert!(inflater.bytes.capacity() <= 2 * KEPT_BYTES, "the room is given back");
    }
}
