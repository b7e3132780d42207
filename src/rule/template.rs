//! Messages: text with expressions in braces, `{symbol}: {volume[1s]} in a second`.
//!
//! `{symbol}`, `{rule}`, `{severity}` and `{state}` are those of the alert; anything else is an expression without memory. `{{` and
//! `}}` are braces. Numbers are plain, floats with at most `DECIMALS` digits behind the point, durations, times,
//! sides and truths as they are written; nothing is `-`.

use feeds::time;

use super::condition::Reads;
use super::memory::Memory;
use super::number::Number;
use super::program::Program;
use super::unit::Measure;
use super::{Market, Problem};
use crate::config::duration;

/// Digits behind the point that are shown of a float.
const DECIMALS: usize = 6;

/// A message to be filled in.
#[derive(Clone, Debug)]
pub struct Template {
    pub(super) parts: Vec<Part>,
    pub(super) reads: Reads,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    Symbol,
    Rule,
    Severity,
    State,
    Value { program: Program, measure: Measure },
}

/// A part of a message's text.
pub(super) enum Piece<'a> {
    Text(String),
    /// What stands between braces, and where.
    Braced(&'a str, usize),
}

impl Template {
    /// What its expressions read.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The message.
    #[must_use]
    pub fn render(
        &self,
        market: &impl Market,
        symbol: &str,
        rule: &str,
        severity: &str,
        state: &str,
    ) -> String {
        let mut text = String::new();
        // Without a cache in it, every aggregate is computed.
        let mut memory = Memory::default();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Symbol => text.push_str(symbol),
                Part::Rule => text.push_str(rule),
                Part::Severity => text.push_str(severity),
                Part::State => text.push_str(state),
                Part::Value { program, measure } => {
                    let value = program.run(&(0..program.ops.len()), market, &mut memory);
                    text.push_str(&value.map_or_else(|| "-".to_owned(), |value| shown(value, *measure)));
                }
            }
        }
        text
    }
}

fn shown(value: Number, measure: Measure) -> String {
    let nanos = match value {
        Number::Exact { mantissa, scale: 0 } => i64::try_from(mantissa).ok(),
        _ => None,
    };
    match (measure, nanos) {
        (Measure::Truth, _) => value.is_true().to_string(),
        (Measure::Side, Some(side)) => if side > 0 { "buy" } else { "sell" }.to_owned(),
        (Measure::Duration, Some(nanos)) => duration::format(nanos),
        (Measure::Duration, None) => format!("{}ns", value.short(0)),
        (Measure::Time, Some(nanos)) => time::format(nanos),
        _ => value.short(DECIMALS),
    }
}

/// The text, cut at its braces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']).map(|found| found + at) {
        plain.push_str(&text[at..found]);
        let brace = &text[found..found + 1];
        if text[found + 1..].starts_with(brace) {
            plain.push_str(brace);
            at = found + 2;
            continue;
        }
        let end = text[found..].find('}').map(|end| end + found).filter(|_| brace == "{");
        let Some(end) = end else {
            let message =
                format!("a `{brace}` alone: write `{brace}{brace}` for one, `{{price}}` for a value");
            return Err(Problem { span: found..found + 1, message });
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Braced(&text[found + 1..end], found + 1));
        at = end + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}
