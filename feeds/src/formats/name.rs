//! Symbols as files write them: `venue:NATIVE` or the native name alone.

use std::borrow::Cow;

use crate::symbol::Symbol;
use crate::venue::Venue;
use crate::venues;

use super::value::plain;
use super::{FormatError, Head};

/// The venue of plain files that name none.
pub(super) const FILE: &str = "file";
/// The longest name that a symbol may have, in bytes.
const LONGEST: usize = 128;

/// The symbol that `text` stands for; without `venue:` before it, one of `venue`. `None` if it is no name.
///
/// What stands before a colon is a venue if it is written like one; `tABC:USD` is a native name.
pub(super) fn symbol(text: &[u8], venue: &str) -> Option<Symbol> {
    let text = native(text)?;
    match text.split_once(':') {
        Some((before, native)) if is_venue(before) && !native.is_empty() => Symbol::parse(text),
        _ => Some(Symbol::new(venue, text)),
    }
}

/// `text`, if it can be a symbol's name on the wire.
pub(super) fn native(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(plain(text)).ok()?;
    let odd = |c: char| c.is_control() || c == '"';
    (!text.is_empty() && text.len() <= LONGEST && !text.contains(odd)).then_some(text)
}

/// True if `text` is written like the id of a venue.
pub(super) fn is_venue(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.bytes().all(allowed)
}

/// `--venue` or `otherwise`, as an id that may stand in a symbol.
pub(super) fn venue_or<'a>(head: &Head<'a>, otherwise: &'a str) -> Result<&'a str, FormatError> {
    let venue = head.venue.unwrap_or(otherwise);
    if is_venue(venue) {
        return Ok(venue);
    }
    Err(FormatError::Needs(format!("{venue:?} cannot be a venue; give --venue with an id such as binance")))
}

/// `--symbol`, which must be a name.
pub(super) fn told(head: &Head<'_>, venue: &str) -> Result<Option<Symbol>, FormatError> {
    let Some(text) = head.symbol else { return Ok(None) };
    let wrong = || {
        FormatError::Needs(format!("{text:?} cannot be a symbol; give --symbol with a name such as BTCUSDT"))
    };
    symbol(text.as_bytes(), venue).ok_or_else(wrong).map(Some)
}

/// The known venue that a symbol belongs to.
pub(super) fn venue_of(symbol: &Symbol) -> Option<&'static dyn Venue> {
    venues::by_id(symbol.venue())
}

/// The file's name for messages.
pub(super) fn file<'a>(head: &Head<'a>) -> Cow<'a, str> {
    if head.file_name.is_empty() {
        Cow::Borrowed("the input")
    } else {
        Cow::Owned(format!("{:?}", head.file_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_venue() {
        let name = |text: &[u8]| symbol(text, "file").map(|symbol| symbol.to_string());
        assert_eq!(name(b"AB").as_deref(), Some("file:AB"));
        assert_eq!(name(b" \"AB\"").as_deref(), Some("file:AB"));
        assert_eq!(name(b"some-venue:A/B").as_deref(), Some("some-venue:A/B"));
        assert_eq!(name(b"tAB:USD").as_deref(), Some("file:tAB:USD"));
        assert_eq!(name(b"ab:").as_deref(), Some("file:ab:"));
        for bad in [&b""[..], b"A\xff", b"A\x00B", b"A\"B", &[b'A'; 129]] {
            assert_eq!(name(bad), None);
        }
    }
}
