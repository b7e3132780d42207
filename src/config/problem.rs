//! What is wrong with a configuration: all of it at once, each with its line, column and a caret.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::quoted;

/// Why a configuration cannot be used (exit code 2).
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is read, and wrong. The text names every problem with file, line, column and excerpt.
    #[error("{text}")]
    Wrong {
        /// The problems, as they are shown.
        text: String,
        /// How many there are.
        count: usize,
    },
}

/// The problems of one file, gathered while it is gone through.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    name: &'a str,
    text: &'a str,
    found: RefCell<Vec<(Range<usize>, String)>>,
}

/// Characters of a line that are shown.
const EXCERPT_WIDTH: usize = 100;

impl<'a> Problems<'a> {
    /// No problems yet in the file called `name` that holds `text`.
    pub(super) fn new(name: &'a str, text: &'a str) -> Problems<'a> {
        Problems { name, text, found: RefCell::new(Vec::new()) }
    }

    /// Notes that the bytes `span` are wrong.
    pub(super) fn add(&self, span: Range<usize>, message: impl Into<String>) {
        self.found.borrow_mut().push((span, message.into()));
    }

    /// The place of the bytes `inner` of a string's `value`, which stands at `literal`, quotes included.
    pub(super) fn inside(&self, literal: Range<usize>, value: &str, inner: &Range<usize>) -> Range<usize> {
        let written = self.text.get(literal.clone()).unwrap_or("");
        quoted::place(written, literal.start, value, inner)
    }

    /// The line, from 1, of byte `at`.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.before(at).matches('\n').count() + 1
    }

    /// `Ok` if nothing is wrong.
    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        let mut found = self.found.take();
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(span, _)| span.start);
        let shown: Vec<String> = found.iter().map(|(span, message)| self.show(span, message)).collect();
        let mut text = shown.join("\n");
        if found.len() > 1 {
            text = format!("{} problems in {}\n{text}", found.len(), self.name);
        }
        Err(ConfigError::Wrong { text, count: found.len() })
    }

    fn before(&self, at: usize) -> &str {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        self.text.split_at(at).0
    }

    /// `name:line:column: message`, the line, and a caret under what is wrong in it.
    fn show(&self, span: &Range<usize>, message: &str) -> String {
        let before = self.before(span.start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let number = self.line_of(span.start);
        let column = before.get(line_start..).unwrap_or("").chars().count();
        let length = self.before(span.end).len().saturating_sub(before.len());
        let marked = line
            .chars()
            .count()
            .saturating_sub(column)
            .min(self.text.get(before.len()..before.len() + length).unwrap_or("").chars().count());
        // A line that is too long is shown from a little before its mark.
        let skipped = if column + marked.min(20) < EXCERPT_WIDTH { 0 } else { column.saturating_sub(20) };
        let excerpt: String = line.chars().skip(skipped).take(EXCERPT_WIDTH).map(blank_tab).collect();
        let (gutter, indent) = (number.to_string(), " ".repeat(column - skipped));
        let carets = "^".repeat(marked.clamp(1, EXCERPT_WIDTH.saturating_sub(column - skipped).max(1)));
        let mut shown = format!("{}:{number}:{}: {message}\n", self.name, column + 1);
        // Writing to a string cannot fail.
        let _ = write!(shown, "  {gutter} | {excerpt}\n  {:1$} | {indent}{carets}", "", gutter.len());
        shown
    }
}

fn blank_tab(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}
