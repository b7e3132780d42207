//! Blocks of bytes to lines, whatever ends them.

use memchr::memchr;

/// The lines of a block without `\n`, `\r\n` or a byte order mark.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(super) fn new(block: &'a [u8]) -> Lines<'a> {
        Lines { rest: block }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(bare(line))
    }
}

/// `line` without a carriage return behind it and a byte order mark before it.
#[inline]
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// True for a line of nothing but white space.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// The lines of a file's head that are not blank.
pub(super) fn written(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    Lines::new(head).filter(|line| !is_blank(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_ending() {
        let lines: Vec<&[u8]> = Lines::new(b"\xef\xbb\xbfa\r\n\nb\n\r\nc").collect();
        assert_eq!(lines, [&b"a"[..], b"", b"b", b"", b"c"]);
        assert_eq!(Lines::new(b"").count(), 0);
        assert_eq!(Lines::new(b"\n").count(), 1);
        assert_eq!(written(b"\n \t\nx\n").next(), Some(&b"x"[..]));
    }
}
