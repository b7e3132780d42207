//! What a rule's text says, as a tree, and the text of a tree.
//!
//! Chains (`a + b - c`, `a and b and c`) are one node each, so that the tree is as deep as the text is nested and no
//! deeper.

use std::fmt;
use std::ops::Range;

use feeds::symbol::Symbol;
use feeds::time::Nanos;

use super::number::Number;
use crate::config::duration;

/// A whole condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// An expression that is true or not.
    Plain(Expr),
    /// One after the other.
    Sequence { steps: Vec<Expr>, within: Nanos },
    /// The second does not follow the first.
    Unanswered { first: Expr, absent: Expr, wait: Nanos },
    /// It does not come.
    Absent { absent: Expr, wait: Nanos },
    /// So many times.
    Count { times: u32, of: Expr, within: Nanos },
}

/// An expression with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) span: Range<usize>,
    pub(super) node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// `is_whole`: written without a point and an exponent.
    Number {
        value: Number,
        is_whole: bool,
    },
    Duration(Nanos),
    Truth(bool),
    /// `buy` (true) or `sell`.
    Side(bool),
    Name(String),
    Window(Reference),
    Call {
        name: String,
        name_span: Range<usize>,
        args: Vec<Expr>,
    },
    Negative(Box<Expr>),
    Not(Box<Expr>),
    Compare(Comparison, Box<(Expr, Expr)>),
    /// The operator before the first operand is not used.
    Sum(Vec<(Additive, Expr)>),
    Product(Vec<(Factor, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// `"venue:SYM".stat[window, -back]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    pub(super) symbol: Option<Symbol>,
    pub(super) stat: String,
    pub(super) stat_span: Range<usize>,
    pub(super) window: String,
    pub(super) window_span: Range<usize>,
    /// 0 is the window that contains the frontier, 1 the newest final one.
    pub(super) back: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Same,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Additive {
    Plus,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Factor {
    Times,
    Over,
}

impl Comparison {
    pub(super) const ALL: [Comparison; 6] = [
        Comparison::Less,
        Comparison::AtMost,
        Comparison::More,
        Comparison::AtLeast,
        Comparison::Same,
        Comparison::Other,
    ];

    pub(super) fn sign(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::More => ">",
            Comparison::AtLeast => ">=",
            Comparison::Same => "==",
            Comparison::Other => "!=",
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Plain(expr) => write!(f, "{expr}"),
            Tree::Sequence { steps, within } => {
                join(f, steps, " then ", 0)?;
                write!(f, " within {}", duration::format(*within))
            }
            Tree::Unanswered { first, absent, wait } => {
                write!(f, "{first} then not ({absent}) for {}", duration::format(*wait))
            }
            Tree::Absent { absent, wait } => write!(f, "not ({absent}) for {}", duration::format(*wait)),
            Tree::Count { times, of, within } => {
                write!(f, "{times} of {of} within {}", duration::format(*within))
            }
        }
    }
}

impl Node {
    /// How strongly it binds; an operand that binds less than its operator stands in parentheses.
    fn strength(&self) -> u8 {
        match self {
            Node::Or(_) => 0,
            Node::And(_) => 1,
            Node::Not(_) => 2,
            Node::Compare(..) => 3,
            Node::Sum(_) => 4,
            Node::Product(_) => 5,
            Node::Negative(_) => 6,
            _ => 7,
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number { value, is_whole } => {
                let text = value.to_string();
                let point = if *is_whole || text.contains('.') { "" } else { ".0" };
                write!(f, "{text}{point}")
            }
            Node::Duration(nanos) => f.write_str(&duration::format(*nanos)),
            Node::Truth(truth) => write!(f, "{truth}"),
            Node::Side(is_buy) => f.write_str(if *is_buy { "buy" } else { "sell" }),
            Node::Name(name) => f.write_str(name),
            Node::Window(reference) => write!(f, "{reference}"),
            Node::Call { name, args, .. } => {
                write!(f, "{name}(")?;
                join(f, args, ", ", 0)?;
                f.write_str(")")
            }
            Node::Negative(inner) => {
                f.write_str("-")?;
                operand(f, inner, 7)
            }
            Node::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner, 3)
            }
            Node::Compare(how, sides) => {
                operand(f, &sides.0, 4)?;
                write!(f, " {} ", how.sign())?;
                operand(f, &sides.1, 4)
            }
            Node::Sum(terms) => chain(f, terms.iter().map(|(sign, term)| (sign.sign(), term)), 5),
            Node::Product(terms) => chain(f, terms.iter().map(|(sign, term)| (sign.sign(), term)), 6),
            Node::And(terms) => join(f, terms, " and ", 2),
            Node::Or(terms) => join(f, terms, " or ", 1),
        }
    }
}

impl Additive {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Additive::Plus => "+",
            Additive::Minus => "-",
        }
    }
}

impl Factor {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Factor::Times => "*",
            Factor::Over => "/",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(symbol) = &self.symbol {
            write!(f, "\"{symbol}\".")?;
        }
        match self.back {
            0 => write!(f, "{}[{}]", self.stat, self.window),
            back => write!(f, "{}[{}, -{back}]", self.stat, self.window),
        }
    }
}

/// `expr`, in parentheses if it binds less than `least`.
fn operand(f: &mut fmt::Formatter<'_>, expr: &Expr, least: u8) -> fmt::Result {
    if expr.node.strength() < least { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

fn join(f: &mut fmt::Formatter<'_>, terms: &[Expr], between: &str, least: u8) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        operand(f, term, least)?;
    }
    Ok(())
}

fn chain<'a>(
    f: &mut fmt::Formatter<'_>,
    terms: impl Iterator<Item = (&'a str, &'a Expr)>,
    least: u8,
) -> fmt::Result {
    for (index, (sign, term)) in terms.enumerate() {
        if index > 0 {
            write!(f, " {sign} ")?;
        }
        operand(f, term, least)?;
    }
    Ok(())
}
