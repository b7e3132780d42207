//! The plain form of a Binance frame, in one pass: no white space, no escapes, flat objects, levels of digits.
//!
//! This is what nearly all frames are; the rest is serde's. It accepts nothing that is not whole and valid JSON.

use super::fields::{Fields, Message};

/// Reads the plain form; `None` means "ask serde", never "broken".
#[inline]
pub(super) fn scan(payload: &[u8]) -> Option<Message<'_>> {
    let mut message = Message::default();
    let mut scanner = Scanner { bytes: payload, at: 0 };
    let enveloped = payload.starts_with(br#"{"stream":"#);
    if enveloped {
        scanner.at = br#"{"stream":"#.len();
        message.stream = scanner.string()?;
        scanner.expect(br#","data":"#)?;
    }
    scanner.object(&mut message.fields)?;
    if enveloped {
        scanner.expect(b"}")?;
    }
    (scanner.at == payload.len()).then_some(message)
}

/// The longest key that the scanner takes; longer ones are of frames that are rare.
const SCANNED_KEY_MAX: usize = 2;

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, literal: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(literal).then(|| self.at += literal.len())
    }

    #[inline]
    fn object(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        self.expect(b"{")?;
        loop {
            let key = self.string()?;
            let key = &key[1..key.len() - 1];
            if key.len() > SCANNED_KEY_MAX {
                return None;
            }
            self.expect(b":")?;
            let value = self.value()?;
            if let Some(slot) = fields.slot(key) {
                if !slot.is_empty() {
                    return None;
                }
                *slot = value;
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline]
    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        match self.peek()? {
            b'"' => return self.string(),
            b'0'..=b'9' => self.digits()?,
            b't' => self.expect(b"true")?,
            b'f' => self.expect(b"false")?,
            b'[' => self.levels()?,
            _ => return None,
        }
        self.bytes.get(start..self.at)
    }

    /// A string of printable ASCII without escapes, with its quotes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b"\"")?;
        loop {
            match self.next()? {
                b'"' => return self.bytes.get(start..self.at),
                b'\\' | 0..0x20 | 0x7f.. => return None,
                _ => {}
            }
        }
    }

    /// A whole number as JSON has them: no sign here, and no zero in front.
    #[inline]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        (self.bytes[start] != b'0' || self.at == start + 1).then_some(())
    }

    /// Levels of depth: `[["1.20","3"],["1.10","0"]]`.
    fn levels(&mut self) -> Option<()> {
        self.expect(b"[")?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.expect(b"[\"")?;
            self.decimal()?;
            self.expect(b",\"")?;
            self.decimal()?;
            self.expect(b"]")?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Digits and points up to and with the closing quote.
    #[inline]
    fn decimal(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'0'..=b'9' | b'.' => {}
                _ => return None,
            }
        }
    }
}
