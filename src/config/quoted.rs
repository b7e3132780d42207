//! Places inside a string of a TOML file: which bytes of the file the bytes of the string's value were written as.

use std::ops::Range;

/// The place in the file of bytes `inner` of a string's value. `literal` is the string as it is written, quotes
/// included, `start` its place, and `value` what it says. The whole string if it cannot be told.
pub(super) fn place(literal: &str, start: usize, value: &str, inner: &Range<usize>) -> Range<usize> {
    let whole = start..start + literal.len();
    let Some((_, origins)) = decode(literal).filter(|(text, _)| text == value) else { return whole };
    let first = origins.get(inner.start).or(origins.last()).copied().unwrap_or(0);
    // At least one character is marked; behind the end that is the closing quote.
    let last = origins.iter().skip(inner.end).copied().find(|&origin| origin > first).unwrap_or(first + 1);
    start + first..start + last
}

/// The value of a literal, and for each of its bytes (and the end) where in the literal it was written.
fn decode(literal: &str) -> Option<(String, Vec<usize>)> {
    let quote = literal.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let triple = quote.to_string().repeat(3);
    let is_long = literal.len() >= 6 && literal.starts_with(&triple);
    let width = if is_long { 3 } else { 1 };
    let mut at = width;
    let end = literal.len().checked_sub(width)?;
    let mut decoded = Decoded::default();
    if is_long {
        // A line's end right behind the quotes is not part of the value.
        let newline = ["\r\n", "\n"].into_iter().find(|newline| literal[at..].starts_with(newline));
        at += newline.map_or(0, str::len);
    }
    while at < end {
        let rest = literal.get(at..end)?;
        let next = rest.chars().next()?;
        if next == '\\' && quote == '"' {
            at += decoded.escape(rest, at)?;
        } else {
            decoded.put(next, at);
            at += next.len_utf8();
        }
    }
    decoded.origins.push(end);
    Some((decoded.text, decoded.origins))
}

#[derive(Default)]
struct Decoded {
    text: String,
    origins: Vec<usize>,
}

impl Decoded {
    fn put(&mut self, c: char, origin: usize) {
        self.text.push(c);
        self.origins.resize(self.text.len(), origin);
    }

    /// What `rest`, which begins with a backslash, begins with; how long that is.
    fn escape(&mut self, rest: &str, at: usize) -> Option<usize> {
        let kind = rest[1..].chars().next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
            self.put(char::from_u32(code)?, at);
            return Some(2 + digits);
        }
        let c = match kind {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            '"' | '\\' => kind,
            // A backslash at a line's end: the value goes on at the next character that is no space.
            c if c.is_ascii_whitespace() => {
                let behind = rest[1..].trim_start_matches([' ', '\t', '\n', '\r']);
                return Some(rest.len() - behind.len());
            }
            _ => return None,
        };
        self.put(c, at);
        Some(1 + kind.len_utf8())
    }
}

/// The string as a file of ours has it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is marked in `literal` for the bytes of its value that are `part`.
    fn marked<'a>(literal: &'a str, part: &str) -> &'a str {
        let file: toml::Table = format!("a = {literal}").parse().unwrap();
        let value = file["a"].as_str().unwrap();
        let at = value.find(part).unwrap();
        &literal[place(literal, 0, value, &(at..at + part.len()))]
    }

    #[test]
    fn places_are_found_behind_escapes_and_in_any_kind_of_string() {
        assert_eq!(marked(r#""a \"b:C\".open > d""#, "d"), "d");
        assert_eq!(marked(r#""a \"b:C\".open > d""#, "\"b:C\""), r#"\"b:C\""#);
        assert_eq!(marked(r#""\u00e9\t\\ x > y""#, "y"), "y");
        assert_eq!(marked("'a \"b\" \\ c'", "c"), "c");
        assert_eq!(marked("\"\"\"\n  a \\\n   b\n c\"\"\"", "c"), "c");
        assert_eq!(marked("\"\"\"\n  a \\\n   b\n c\"\"\"", "b\n"), "b\n");
        assert_eq!(marked("'''\na'''", "a"), "a");
        // Behind the end it is the closing quote that is marked.
        assert_eq!(place("\"ab\"", 10, "ab", &(2..2)), 13..14);
        // What does not fit together is marked as a whole.
        assert_eq!(place("\"ab\"", 10, "xy", &(0..1)), 10..14);
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back_and_every_place_is_inside(text in "\\PC{0,9}[\"\\\\\n\t\u{1}\u{7f}é]{0,4}", at in 0usize..40) {
            let literal = quote(&text);
            let file: toml::Table = format!("a = {literal}").parse().unwrap();
            prop_assert_eq!(file["a"].as_str(), Some(text.as_str()));
            let (decoded, origins) = decode(&literal).unwrap();
            prop_assert_eq!((decoded.as_str(), origins.len()), (text.as_str(), text.len() + 1));
            let found = place(&literal, 5, &text, &(at..at + 1));
            prop_assert!(found.start >= 6 && found.end <= 5 + literal.len() && found.start < found.end);
        }

        #[test]
        fn no_literal_panics(literal in "[\"'\\\\abux0-9\n é]{0,12}", at in 0usize..9) {
            let _ = place(&literal, 0, "ab", &(at..at + 2));
        }
    }
}
