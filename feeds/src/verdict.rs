//! What became of a frame: from a session's reading of it to its kind.

use std::borrow::Cow;

use crate::frame::{FrameError, FrameKind};

/// Longest name of an unknown kind that is kept, in characters.
const NAME_CHARS: usize = 40;

/// Why nothing of a frame can be used.
#[derive(Debug)]
pub(crate) struct Fault(Cow<'static, str>);

impl Fault {
    /// The fault of `payload`.
    pub(crate) fn about(self, payload: &[u8]) -> FrameError {
        FrameError::new(self.0, payload)
    }
}

impl From<&'static str> for Fault {
    fn from(why: &'static str) -> Fault {
        Fault(Cow::Borrowed(why))
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Fault {
        Fault(Cow::Owned(error.to_string()))
    }
}

/// The kind of a frame by what `read` made of its bytes, which are not blank.
#[inline]
pub(crate) fn kind_of(payload: &[u8], read: impl FnOnce(&[u8]) -> Result<FrameKind, Fault>) -> FrameKind {
    let trimmed = payload.trim_ascii();
    if trimmed.is_empty() {
        return FrameKind::Blank;
    }
    read(trimmed).unwrap_or_else(|fault| FrameKind::Broken(fault.about(trimmed)))
}

/// Ticks, or a frame of `kind` that was passed over because there was none in it.
pub(crate) fn ticks_or(any: bool, kind: &'static str) -> FrameKind {
    if any { FrameKind::Ticks } else { FrameKind::PassedOver(kind) }
}

/// A frame of a kind that is not known, by the venue's name for it.
pub(crate) fn unknown(name: &str) -> FrameKind {
    let name: String = name.chars().take(NAME_CHARS).collect();
    FrameKind::Unknown(if name.is_empty() { "?".to_owned() } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_blank_broken_or_what_was_read() {
        assert_eq!(kind_of(b" \n", |_| Ok(FrameKind::Ticks)), FrameKind::Blank);
        assert_eq!(kind_of(b" x ", |text| Ok(unknown(std::str::from_utf8(text).unwrap()))), unknown("x"));
        let FrameKind::Broken(error) = kind_of(b" {} ", |_| Err("no price".into())) else { panic!() };
        assert_eq!((error.reason.as_str(), error.excerpt.as_str()), ("no price", "{}"));
    }

    #[test]
    fn names_of_unknown_kinds_are_short() {
        assert_eq!(unknown(&"é".repeat(1_000)), FrameKind::Unknown("é".repeat(NAME_CHARS)));
        assert_eq!(unknown(""), FrameKind::Unknown("?".to_owned()));
    }
}
