//! From tokens to the tree of a condition. One token of lookahead says what comes, so nothing is tried twice; how deep
//! calls of this module nest is bounded by [`limits::RULE_DEPTH_MAX`].

use std::ops::Range;

use feeds::symbol::Symbol;
use feeds::time::Nanos;

use super::Problem;
use super::number::{DIGITS_MAX, Number};
use super::syntax::{Additive, Comparison, Expr, Factor, Node, Reference, Tree};
use super::token::{Kind, Token, tokens};
use crate::config::{duration, limits};

type Parsed<T> = Result<T, Problem>;

/// Words that are no names.
const KEYWORDS: [&str; 7] = ["and", "or", "not", "then", "within", "for", "of"];

/// Reads a condition.
///
/// # Errors
/// The first thing that is wrong with how it is written.
pub(super) fn condition(text: &str) -> Parsed<Tree> {
    let tokens = tokens_of(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0 };
    let tree = parser.condition()?;
    parser.finish()?;
    Ok(tree)
}

/// Reads an expression that is no pattern.
///
/// # Errors
/// The first thing that is wrong with how it is written.
pub(super) fn expression(text: &str) -> Parsed<Expr> {
    let tokens = tokens_of(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0 };
    let expr = parser.or()?;
    parser.finish()?;
    Ok(expr)
}

fn tokens_of(text: &str) -> Parsed<Vec<Token<'_>>> {
    if text.len() > limits::RULE_BYTES_MAX {
        let message = format!("a condition has at most {} bytes", limits::RULE_BYTES_MAX);
        return Err(Problem { span: 0..text.len(), message });
    }
    tokens(text)
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn condition(&mut self) -> Parsed<Tree> {
        if let Some((times, span)) = self.count_ahead() {
            return self.count(times, &span);
        }
        let first = self.or()?;
        if self.take_word("for") {
            return match first.node {
                Node::Not(absent) => Ok(Tree::Absent { absent: *absent, wait: self.duration()? }),
                _ => Err(self.before("`for` follows `not`: write `not (…) for 5s`")),
            };
        }
        if self.is_word("within") {
            let message = "`within` follows `a then b` or `3 of a`";
            return Err(self.here(message));
        }
        if !self.is_word("then") {
            return Ok(Tree::Plain(first));
        }
        let mut steps = vec![first];
        while self.take_word("then") {
            steps.push(self.or()?);
        }
        if self.take_word("for") {
            let wait_at = self.at;
            let wait = self.duration()?;
            let (last, before) = (steps.pop(), steps.pop());
            return match (before, last) {
                (Some(first), Some(Expr { node: Node::Not(absent), .. })) if steps.is_empty() => {
                    Ok(Tree::Unanswered { first, absent: *absent, wait })
                }
                _ => {
                    self.at = wait_at;
                    Err(self.before("`for` follows one `then not`: write `a then not (…) for 5s`"))
                }
            };
        }
        if !self.take_word("within") {
            return Err(self.expected("`within` and a duration"));
        }
        Ok(Tree::Sequence { steps, within: self.duration()? })
    }

    /// `3 of`.
    fn count_ahead(&self) -> Option<(&'a str, Range<usize>)> {
        let of = self.tokens.get(self.at + 1).is_some_and(|token| token.kind == Kind::Word("of"));
        match self.tokens.get(self.at) {
            Some(Token { kind: Kind::Quantity(times), span }) if of => Some((times, span.clone())),
            _ => None,
        }
    }

    fn count(&mut self, times: &str, span: &Range<usize>) -> Parsed<Tree> {
        let most = limits::RULE_COUNT_MAX;
        let times = times.parse::<u32>().ok().filter(|times| (1..=most).contains(times));
        let Some(times) = times else {
            let message = format!("before `of` stands a whole number from 1 to {most}");
            return Err(Problem { span: span.clone(), message });
        };
        self.at += 2;
        let of = self.or()?;
        if !self.take_word("within") {
            return Err(self.expected("`within` and a duration"));
        }
        Ok(Tree::Count { times, of, within: self.duration()? })
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > limits::RULE_DEPTH_MAX {
            let most = limits::RULE_DEPTH_MAX;
            return Err(self.here(&format!("nested more than {most} deep; make two rules of it")));
        }
        let mut terms = vec![self.and()?];
        while self.take_sign("||") || self.take_word("or") {
            terms.push(self.and()?);
        }
        self.depth -= 1;
        Ok(chained(terms, Node::Or))
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.comparison()?];
        while self.take_sign("&&") || self.take_word("and") {
            terms.push(self.comparison()?);
        }
        Ok(chained(terms, Node::And))
    }

    /// A comparison with the `not`s before it, which are gathered rather than nested.
    fn comparison(&mut self) -> Parsed<Expr> {
        let mut nots = Vec::new();
        while self.is_word("not") || self.is_sign("!") {
            nots.push(self.span().start);
            self.at += 1;
        }
        self.bounded(nots.len())?;
        let mut expr = self.compared()?;
        for start in nots.into_iter().rev() {
            let span = start..expr.span.end;
            expr = Expr { span, node: Node::Not(Box::new(expr)) };
        }
        Ok(expr)
    }

    fn compared(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let Some(how) = self.take_comparison() else { return Ok(left) };
        let right = self.sum()?;
        let span = left.span.start..right.span.end;
        if self.take_comparison().is_some() {
            return Err(self.before("one comparison after the other: write `a < b and b < c`"));
        }
        Ok(Expr { span, node: Node::Compare(how, Box::new((left, right))) })
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut terms = vec![(Additive::Plus, self.product()?)];
        loop {
            let sign = match self.kind() {
                Some(Kind::Sign("+")) => Additive::Plus,
                Some(Kind::Sign("-")) => Additive::Minus,
                _ => break,
            };
            self.at += 1;
            terms.push((sign, self.product()?));
        }
        Ok(signed(terms, Node::Sum))
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut terms = vec![(Factor::Times, self.unary()?)];
        loop {
            let sign = match self.kind() {
                Some(Kind::Sign("*")) => Factor::Times,
                Some(Kind::Sign("/")) => Factor::Over,
                _ => break,
            };
            self.at += 1;
            terms.push((sign, self.unary()?));
        }
        Ok(signed(terms, Node::Product))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let mut signs = Vec::new();
        while self.is_sign("-") {
            signs.push(self.span().start);
            self.at += 1;
        }
        self.bounded(signs.len())?;
        let mut expr = self.primary()?;
        for start in signs.into_iter().rev() {
            let span = start..expr.span.end;
            expr = Expr { span, node: Node::Negative(Box::new(expr)) };
        }
        Ok(expr)
    }

    /// An error if so many signs in a row nest too deep.
    fn bounded(&self, signs: usize) -> Parsed<()> {
        if signs > limits::RULE_SIGNS_MAX {
            return Err(self.before("too many signs one after the other"));
        }
        Ok(())
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let Some(kind) = self.kind() else { return Err(self.expected("a value")) };
        match kind {
            Kind::Quantity(text) => {
                self.at += 1;
                Ok(Expr { node: quantity(text, &span)?, span })
            }
            Kind::Text(text) => self.foreign(text, span),
            Kind::Sign("(") => {
                self.at += 1;
                let inner = self.or()?;
                if self.is_word("then") || self.is_word("within") {
                    return Err(self.here("a pattern stands alone, and is no part of an expression"));
                }
                self.closing()?;
                Ok(Expr { span: span.start..self.last_end(), node: inner.node })
            }
            Kind::Sign("!") => Err(self.here("`!` binds less than that: put it in parentheses")),
            Kind::Word("not") => Err(self.here("`not` binds less than that: put it in parentheses")),
            Kind::Word(word) if !KEYWORDS.contains(&word) => self.word(word, span),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, span: Range<usize>) -> Parsed<Expr> {
        self.at += 1;
        let node = match self.kind() {
            Some(Kind::Sign("(")) => {
                let args = self.args()?;
                Node::Call { name: word.to_owned(), name_span: span.clone(), args }
            }
            Some(Kind::Bracket(_)) => Node::Window(self.reference(None, word, span.clone())?),
            _ => match word {
                "true" => Node::Truth(true),
                "false" => Node::Truth(false),
                "buy" => Node::Side(true),
                "sell" => Node::Side(false),
                _ => Node::Name(word.to_owned()),
            },
        };
        Ok(Expr { span: span.start..self.last_end(), node })
    }

    fn args(&mut self) -> Parsed<Vec<Expr>> {
        self.at += 1;
        let mut args = Vec::new();
        if self.take_sign(")") {
            return Ok(args);
        }
        loop {
            args.push(self.or()?);
            if !self.take_sign(",") {
                break;
            }
        }
        self.closing()?;
        Ok(args)
    }

    fn closing(&mut self) -> Parsed<()> {
        if self.take_sign(")") { Ok(()) } else { Err(self.expected("an operator or `)`")) }
    }

    /// `"venue:SYM".stat[window, -1]`.
    fn foreign(&mut self, text: &str, span: Range<usize>) -> Parsed<Expr> {
        let Some(symbol) = Symbol::parse(text).filter(|_| !text.contains(char::is_whitespace)) else {
            let message = format!("`{text}` is not a symbol: write \"venue:NATIVE\"");
            return Err(Problem { span, message });
        };
        if text.contains(['*', '?', '[']) {
            let message = format!("`{text}` is a pattern; here stands one symbol, such as \"venue:NATIVE\"");
            return Err(Problem { span, message });
        }
        self.at += 1;
        if !self.take_sign(".") {
            return Err(self.expected("`.` and a statistic behind the symbol"));
        }
        let stat_span = self.span();
        let Some(Kind::Word(stat)) = self.kind() else { return Err(self.expected("a statistic")) };
        self.at += 1;
        let reference = self.reference(Some(symbol), stat, stat_span)?;
        Ok(Expr { span: span.start..self.last_end(), node: Node::Window(reference) })
    }

    fn reference(
        &mut self,
        symbol: Option<Symbol>,
        stat: &str,
        stat_span: Range<usize>,
    ) -> Parsed<Reference> {
        let span = self.span();
        let Some(Kind::Bracket(inside)) = self.kind() else {
            return Err(self.expected("a window in brackets, such as `[1s]`,"));
        };
        self.at += 1;
        let (window, back) = inside.split_once(',').map_or((inside, None), |(w, back)| (w, Some(back)));
        let start = span.start + 1 + (window.len() - window.trim_start().len());
        let window_span = start..start + window.trim().len();
        let window = window.trim().to_owned();
        let back = match back {
            None => 0,
            Some(back) => {
                let at = span.end - 1 - back.len()..span.end - 1;
                steps_back(back.trim()).map_err(|message| Problem { span: at, message })?
            }
        };
        if window.is_empty() || window.contains(char::is_whitespace) {
            let message = "a window is written `[1s]`, or `[1s, -1]` for the newest final one".to_owned();
            return Err(Problem { span, message });
        }
        Ok(Reference { symbol, stat: stat.to_owned(), stat_span, window, window_span, back })
    }

    fn duration(&mut self) -> Parsed<Nanos> {
        let (span, kind) = (self.span(), self.kind());
        let Some(Kind::Quantity(text)) = kind else {
            return Err(self.expected("a duration, such as `5s`"));
        };
        self.at += 1;
        let nanos = duration::parse(text)
            .map_err(|error| Problem { span: span.clone(), message: error.to_string() })?;
        if nanos > limits::RULE_DURATION_MAX {
            let message = format!("`{text}` is longer than {}", duration::format(limits::RULE_DURATION_MAX));
            return Err(Problem { span, message });
        }
        if nanos == 0 {
            return Err(Problem { span, message: format!("`{text}` is no time") });
        }
        Ok(nanos)
    }

    fn finish(&self) -> Parsed<()> {
        match self.kind() {
            None => Ok(()),
            Some(Kind::Sign(")")) => Err(self.here("nothing is open that `)` could close")),
            Some(Kind::Word("then" | "within" | "for")) => {
                Err(self
                    .here("a pattern is one `a then b within 5s`, `not (a) for 5s` or `3 of a within 5s`"))
            }
            Some(_) => Err(self.expected("an operator")),
        }
    }

    fn kind(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    /// The place of the next token, or of the end.
    fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |token| token.span.clone())
    }

    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    fn is_word(&self, word: &str) -> bool {
        self.kind() == Some(Kind::Word(word))
    }

    fn is_sign(&self, sign: &str) -> bool {
        self.kind() == Some(Kind::Sign(sign))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        self.at += usize::from(is_there);
        is_there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_there = self.is_sign(sign);
        self.at += usize::from(is_there);
        is_there
    }

    fn take_comparison(&mut self) -> Option<Comparison> {
        let Some(Kind::Sign(sign)) = self.kind() else { return None };
        let how = Comparison::ALL.into_iter().find(|how| how.sign() == sign)?;
        self.at += 1;
        Some(how)
    }

    fn here(&self, message: &str) -> Problem {
        Problem { span: self.span(), message: message.to_owned() }
    }

    /// A problem with the token before.
    fn before(&self, message: &str) -> Problem {
        let span = self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map(|token| token.span.clone());
        Problem { span: span.unwrap_or(0..0), message: message.to_owned() }
    }

    fn expected(&self, what: &str) -> Problem {
        let found = match self.kind() {
            None => "ends".to_owned(),
            Some(Kind::Word(text) | Kind::Quantity(text) | Kind::Sign(text)) => format!("has `{text}`"),
            Some(Kind::Text(text)) => format!("has `\"{text}\"`"),
            Some(Kind::Bracket(text)) => format!("has `[{text}]`"),
        };
        self.here(&format!("the rule {found} where {what} is expected"))
    }
}

fn chained(mut terms: Vec<Expr>, node: fn(Vec<Expr>) -> Node) -> Expr {
    match (terms.len(), terms.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            let span = terms.first().map_or(0, |first| first.span.start)..last.span.end;
            terms.push(last);
            Expr { span, node: node(terms) }
        }
        (_, None) => Expr { span: 0..0, node: node(terms) },
    }
}

fn signed<S>(mut terms: Vec<(S, Expr)>, node: fn(Vec<(S, Expr)>) -> Node) -> Expr {
    match (terms.len(), terms.pop()) {
        (1, Some((_, only))) => only,
        (_, Some(last)) => {
            let span = terms.first().map_or(0, |(_, first)| first.span.start)..last.1.span.end;
            terms.push(last);
            Expr { span, node: node(terms) }
        }
        (_, None) => Expr { span: 0..0, node: node(terms) },
    }
}

/// A number or a duration.
fn quantity(text: &str, span: &Range<usize>) -> Parsed<Node> {
    let wrong = |message: String| Problem { span: span.clone(), message };
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()),
        None => (text, Some(0)),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'_')
        && digits.matches('.').count() <= 1;
    let Some(exponent) = exponent.filter(|_| is_plain) else {
        return duration::parse(text).map(Node::Duration).map_err(|error| wrong(error.to_string()));
    };
    let apart = digits.split('.').all(|part| part.split('_').all(|group| !group.is_empty()));
    if !apart {
        return Err(wrong(format!("`{text}` is not a number; write digits on both sides of `.` and `_`")));
    }
    let number = Number::parse(&digits.replace('_', ""), exponent);
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    number
        .map(|value| Node::Number { value, is_whole })
        .ok_or_else(|| wrong(format!("`{text}` has more than {DIGITS_MAX} digits")))
}

/// `-1` is one window back.
fn steps_back(text: &str) -> Result<u32, String> {
    let most = limits::RULE_WINDOWS_MAX;
    let back = text.strip_prefix('-').and_then(|digits| digits.trim().parse::<u32>().ok());
    back.filter(|back| (1..=most).contains(back)).ok_or_else(|| {
        format!("`{text}` names no window: `-1` is the newest final one, `-{most}` the oldest that is kept")
    })
}
