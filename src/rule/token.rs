//! A rule's text, cut into tokens.

use std::ops::Range;

use winnow::Parser as _;
use winnow::combinator::{alt, delimited, opt, peek};
use winnow::error::EmptyError;
use winnow::stream::{LocatingSlice, Location as _, Stream as _};
use winnow::token::{one_of, take_till, take_while};

use super::Problem;

/// One token with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind<'a>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name or keyword.
    Word(&'a str),
    /// A number or duration: whatever begins with a digit.
    Quantity(&'a str),
    /// What stands between double quotes.
    Text(&'a str),
    /// What stands between square brackets.
    Bracket(&'a str),
    /// An operator or a parenthesis.
    Sign(&'a str),
}

type Input<'a> = LocatingSlice<&'a str>;
type Cut<T> = Result<T, EmptyError>;

/// The longer ones first.
const SIGNS: [&str; 17] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "(", ")", ",", "."];

/// The tokens of `text`.
///
/// # Errors
/// The first thing that is no token.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Problem> {
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        let _: Cut<&str> = take_while(0.., char::is_whitespace).parse_next(&mut input);
        let start = input.current_token_start();
        let Some(next) = input.peek_token() else { return Ok(found) };
        match alt((word, quantity, quoted, bracketed, sign)).with_span().parse_next(&mut input) {
            Ok((kind, span)) => found.push(Token { span, kind }),
            Err(EmptyError) => {
                return Err(Problem { span: start..start + next.len_utf8(), message: stray(next) });
            }
        }
    }
}

fn stray(next: char) -> String {
    match next {
        '=' => "`=` compares nothing; write `==`".to_owned(),
        '&' => "write `and` or `&&`".to_owned(),
        '|' => "write `or` or `||`".to_owned(),
        '"' => "a closing `\"` is missing".to_owned(),
        '[' => "a closing `]` is missing".to_owned(),
        '\'' => "write symbols in double quotes".to_owned(),
        next => format!("`{}` means nothing here", next.escape_debug()),
    }
}

fn word<'a>(input: &mut Input<'a>) -> Cut<Kind<'a>> {
    let first = one_of(|c: char| c.is_alphabetic() || c == '_');
    (first, take_while(0.., |c: char| c.is_alphanumeric() || c == '_'))
        .take()
        .map(Kind::Word)
        .parse_next(input)
}

/// Digits and what clings to them. A sign belongs to it behind an exponent's `e` only.
fn quantity<'a>(input: &mut Input<'a>) -> Cut<Kind<'a>> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let plain = take_while(1.., |c: char| c.is_ascii_digit() || c == '_' || c == '.');
    let exponent = (one_of(['e', 'E']), one_of(['+', '-']), take_while(1.., |c: char| c.is_ascii_digit()));
    let number = (plain, opt(exponent), take_while(0.., part));
    peek(one_of(|c: char| c.is_ascii_digit())).parse_next(input)?;
    number.take().map(Kind::Quantity).parse_next(input)
}

fn quoted<'a>(input: &mut Input<'a>) -> Cut<Kind<'a>> {
    delimited('"', take_till(0.., '"'), '"').map(Kind::Text).parse_next(input)
}

fn bracketed<'a>(input: &mut Input<'a>) -> Cut<Kind<'a>> {
    delimited('[', take_till(0.., [']', '[']), ']').map(Kind::Bracket).parse_next(input)
}

fn sign<'a>(input: &mut Input<'a>) -> Cut<Kind<'a>> {
    for sign in SIGNS {
        if let Some(found) = opt(sign).parse_next(input)? {
            return Ok(Kind::Sign(found));
        }
    }
    Err(EmptyError)
}
