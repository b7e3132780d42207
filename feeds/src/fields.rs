//! The names of the fields in a venue's frames, looked at now and then: what a venue adds to its messages changes nothing
//! in what is read of them, and may change what that means (a `multiplier` beside a size).

use crate::frame::FrameCounts;
use crate::live::Channel;
use crate::time::{Nanos, SECOND};

/// Of how many frames with ticks of a channel one is looked at, the first of a connection among them. Looking takes some
/// 3 ns a byte: for a frame of 150 bytes, spread over so many, that is half a nanosecond for each, where decoding takes
/// 200.
pub const FRAMES_BETWEEN_LOOKS: u32 = 1_024;
/// Of a stream that is slower one is looked at as long after the one before, so that what a new field may have touched is
/// a second, and known before the connection ends.
pub const TIME_BETWEEN_LOOKS: Nanos = SECOND;
/// Most unknown names of a connection that are told apart; the rest are counted as `"?"`. Whoever adds more at once has
/// another protocol.
pub const UNKNOWN_FIELDS: usize = 16;
/// Bytes of a frame that are looked at: beyond those there are more rows of the same kind. Some venues send thousands of
/// trades of the past in one frame.
const BYTES_LOOKED_AT: usize = 64 << 10;
/// Longest name that is kept, in characters.
const NAME_CHARS: usize = 40;
/// How names behind the last one told apart are counted.
const OTHERS: &str = "?";

/// Which names a connection's frames are known to have, and which others it has had.
#[derive(Debug)]
pub(crate) struct Fields {
    /// In their order.
    known: Vec<&'static str>,
    /// Frames of each channel until one is looked at.
    until: [u32; Channel::ALL.len()],
    /// When the last one of each that was looked at came in.
    looked: [Option<Nanos>; Channel::ALL.len()],
    /// As they stand in frames.
    unknown: Vec<Box<[u8]>>,
}

impl Fields {
    /// `known` are names with spaces between them, as [`crate::venue::Venue::fields`] has them.
    pub(crate) fn new(known: &'static str) -> Fields {
        let mut known: Vec<&str> = known.split_ascii_whitespace().collect();
        known.sort_unstable();
        Fields { known, until: Default::default(), looked: Default::default(), unknown: Vec::new() }
    }

    /// A connection begins: its first frames are to be looked at.
    pub(crate) fn begin(&mut self) {
        self.until.fill(0);
    }

    /// True if the next frame with ticks of `channel`, which came in at `received_at`, is one to look at.
    #[inline]
    pub(crate) fn is_due(&mut self, channel: Channel, received_at: Option<Nanos>) -> bool {
        let until = &mut self.until[place(channel)];
        let looked = self.looked[place(channel)];
        let is_long_ago = |(now, then): (Nanos, Nanos)| now.saturating_sub(then) >= TIME_BETWEEN_LOOKS;
        let is_due = *until == 0 || received_at.zip(looked).is_some_and(is_long_ago);
        *until = if is_due { FRAMES_BETWEEN_LOOKS - 1 } else { *until - 1 };
        is_due
    }

    /// When the last frame with ticks of `channel` that was looked at came in.
    pub(crate) fn looked(&self, channel: Channel) -> Option<Nanos> {
        self.looked[place(channel)]
    }

    /// Counts the names in a frame that are not known, each once. True if one of them is new.
    pub(crate) fn look(
        &mut self,
        channel: Channel,
        text: &[u8],
        received_at: Option<Nanos>,
        counts: &mut FrameCounts,
    ) -> bool {
        let Fields { known, unknown, looked, .. } = self;
        let before = unknown.len();
        // By the place in `unknown`, and behind those one for all others.
        let mut met = [false; UNKNOWN_FIELDS + 1];
        names(&text[..text.len().min(BYTES_LOOKED_AT)], |name| {
            if known.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok() {
                return;
            }
            let place = unknown.iter().position(|other| **other == *name).unwrap_or_else(|| {
                if unknown.len() < UNKNOWN_FIELDS {
                    unknown.push(name.into());
                    return unknown.len() - 1;
                }
                UNKNOWN_FIELDS
            });
            if !std::mem::replace(&mut met[place], true) {
                let shown = unknown.get(place).map_or(OTHERS.to_owned(), |name| shown(name));
                counts.count_field(&shown, received_at);
            }
        });
        looked[self::place(channel)] = received_at.or(looked[self::place(channel)]);
        unknown.len() > before
    }
}

/// Where what is kept of `channel` stands.
#[inline]
fn place(channel: Channel) -> usize {
    match channel {
        Channel::Trades => 0,
        Channel::Quotes => 1,
    }
}

fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(NAME_CHARS).collect();
    if text.is_empty() { OTHERS.to_owned() } else { text }
}

/// Calls `each` with the names in a text of JSON as they are written there, escapes and all: the strings before a colon.
fn names<'t>(text: &'t [u8], mut each: impl FnMut(&'t [u8])) {
    let mut rest = text;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        let string = &rest[quote + 1..];
        let Some(end) = end_of(string) else { return };
        rest = string[end + 1..].trim_ascii_start();
        if rest.first() == Some(&b':') {
            each(&string[..end]);
        }
    }
}

/// Where the quote stands that ends a string which has begun.
fn end_of(string: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', string.get(at..)?)?;
        if string[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        names(text.as_bytes(), |name| found.push(std::str::from_utf8(name).unwrap()));
        found
    }

    #[test]
    fn names_are_the_strings_before_a_colon() {
        let text = r#"{"a":"b","c" : [{"d":{"e":1}},"f"],"g\"h\\":"\\","":null}"#;
        assert_eq!(names_of(text), ["a", "c", "d", "e", r#"g\"h\\"#, ""]);
        assert_eq!(names_of(r#"["a",["b:c","d"],": "]"#), [""; 0]);
        for cut in 0..text.len() {
            assert!(names_of(text).starts_with(&names_of(&text[..cut])), "cut at {cut}");
        }
    }

    fn look(fields: &mut Fields, text: &str, at: Nanos) -> Vec<(String, u64, Option<Nanos>)> {
        let mut counts = FrameCounts::default();
        fields.look(Channel::Trades, text.as_bytes(), Some(at), &mut counts);
        let found = counts.unknown_fields.into_iter();
        found.map(|(name, count)| (name, count.frames, count.since)).collect()
    }

    #[test]
    fn a_name_that_is_not_known_counts_once_for_each_frame() {
        let mut fields = Fields::new("price size id");
        assert_eq!(look(&mut fields, r#"[{"id":1,"price":"2","size":"3"}]"#, 5), []);
        let new = |name: &str, at| (name.to_owned(), 1, Some(at));
        let rows = r#"[{"id":1,"multiplier":"2"},{"id":2,"multiplier":"2","Size":1}]"#;
        assert_eq!(look(&mut fields, rows, 6), [new("Size", 6), new("multiplier", 6)]);
        assert_eq!(look(&mut fields, rows, 7), [new("Size", 7), new("multiplier", 7)]);
        assert_eq!(
            look(&mut fields, r#"{"pric":1,"prices":2,"":3}"#, 8),
            [new("?", 8), new("pric", 8), new("prices", 8)]
        );
    }

    #[test]
    fn what_is_kept_of_names_is_bounded() {
        let mut fields = Fields::new("");
        let many: Vec<String> = (0..100).map(|name| format!("\"{name:03}{}\":1", "é".repeat(100))).collect();
        let text = format!("{{{}}}", many.join(","));
        for at in 0..3 {
            let found = look(&mut fields, &text, at);
            assert_eq!(found.len(), UNKNOWN_FIELDS + 1);
            let last = format!("{:03}{}", UNKNOWN_FIELDS - 1, "é".repeat(NAME_CHARS - 3));
            assert_eq!(found[UNKNOWN_FIELDS - 1].0, last);
            assert_eq!(found[UNKNOWN_FIELDS], ("?".to_owned(), 1, Some(at)));
        }
        assert_eq!(fields.unknown.len(), UNKNOWN_FIELDS);
        let late = format!("[{}{{\"late\":1}}]", "0,".repeat(BYTES_LOOKED_AT / 2));
        assert_eq!(look(&mut Fields::new(""), &late, 0), []);
    }

    #[test]
    fn the_first_frame_of_each_channel_is_due_and_then_every_so_many() {
        let mut fields = Fields::new("");
        let mut due =
            |channel| (0..3 * FRAMES_BETWEEN_LOOKS).filter(|_| fields.is_due(channel, None)).count();
        assert_eq!((due(Channel::Quotes), due(Channel::Trades)), (3, 3));
        let (quotes, now) = (Channel::Quotes, Some(7 * SECOND));
        assert!(fields.is_due(quotes, None) && !fields.is_due(quotes, now), "no time is known yet");
        fields.look(quotes, b"{}", now, &mut FrameCounts::default());
        let due_at = |nanos: Nanos| Some(7 * SECOND + nanos);
        assert!(!fields.is_due(quotes, due_at(SECOND - 1)) && !fields.is_due(quotes, due_at(-SECOND)));
        assert!(fields.is_due(quotes, due_at(SECOND)));
    }

    #[test]
    fn a_name_is_new_once_and_may_have_been_there_since_the_look_before() {
        let (mut fields, mut counts) = (Fields::new("price"), FrameCounts::default());
        let mut look = |channel, text: &str, at| {
            let before = fields.looked(channel);
            fields.look(channel, text.as_bytes(), at, &mut counts).then_some(before)
        };
        let (trades, quotes) = (Channel::Trades, Channel::Quotes);
        assert_eq!(look(trades, r#"{"price":1}"#, Some(5)), None);
        assert_eq!(look(quotes, r#"{"multiplier":1}"#, Some(6)), Some(None));
        assert_eq!(look(trades, r#"{"price":1,"multiplier":1}"#, Some(7)), None, "it is known by then");
        assert_eq!(look(trades, r#"{"lot":1,"tick":1}"#, None), Some(Some(7)));
        assert_eq!(look(quotes, r#"{"scale":1}"#, Some(9)), Some(Some(6)));
    }
}
