//! Texts to trees and back: how strongly operators bind, and that no text makes the parser do anything but say so.

use proptest::prelude::*;

use super::random::{Choices, Pattern};
use super::stage::windows;
use crate::rule::parse::condition;
use crate::rule::syntax::{Expr, Node, Tree};
use crate::rule::{Compiler, Names};

#[test]
fn operators_bind_as_they_should() {
    for (text, plain) in [
        ("price>1||size>1&&!crossed()", "price > 1 or size > 1 and not crossed()"),
        ("(price>1||size>1)&&crossed()", "(price > 1 or size > 1) and crossed()"),
        ("not price>1 and size>1", "not price > 1 and size > 1"),
        ("not(price>1 and size>1)", "not (price > 1 and size > 1)"),
        ("(not crossed())==true", "(not crossed()) == true"),
        ("price-(bid-ask)-mid>0", "price - (bid - ask) - mid > 0"),
        ("(price-bid)-ask>0", "(price - bid) - ask > 0"),
        ("-price*(bid+ask)/-(mid)>-1.50", "-price * (bid + ask) / -mid > -1.5"),
        ("--price> - 2e3", "-(-price) > -2000.0"),
        ("not not crossed()", "not (not crossed())"),
        ("since(price>1)>90s", "since(price > 1) > 90s"),
        ("max( volume[ 1s ,-2 ] , 05 )>1_000", "max(volume[1s, -2], 5) > 1000"),
        ("\"a:B/C\".close[1m,-1]>2", "\"a:B/C\".close[1m, -1] > 2"),
        ("side==buy then side==sell within 60s", "side == buy then side == sell within 1m"),
        ("crossed() then not locked() for 5s", "crossed() then not (locked()) for 5s"),
        ("not (crossed() or locked()) for 5s", "not (crossed() or locked()) for 5s"),
        ("3 of crossed() or locked() within 5s", "3 of crossed() or locked() within 5s"),
    ] {
        assert_eq!(condition(text).unwrap().to_string(), plain);
        assert_eq!(condition(plain).unwrap().to_string(), plain);
    }
}

/// The tree without its places.
fn placeless(tree: Tree) -> Tree {
    match tree {
        Tree::Plain(expr) => Tree::Plain(bare(expr)),
        Tree::Sequence { steps, within } => {
            Tree::Sequence { steps: steps.into_iter().map(bare).collect(), within }
        }
        Tree::Unanswered { first, absent, wait } => {
            Tree::Unanswered { first: bare(first), absent: bare(absent), wait }
        }
        Tree::Absent { absent, wait } => Tree::Absent { absent: bare(absent), wait },
        Tree::Count { times, of, within } => Tree::Count { times, of: bare(of), within },
    }
}

fn bare(expr: Expr) -> Expr {
    let all = |terms: Vec<Expr>| terms.into_iter().map(bare).collect::<Vec<_>>();
    let node = match expr.node {
        Node::Window(mut reference) => {
            (reference.stat_span, reference.window_span) = (0..0, 0..0);
            Node::Window(reference)
        }
        Node::Call { name, args, .. } => Node::Call { name, name_span: 0..0, args: all(args) },
        Node::Negative(inner) => Node::Negative(Box::new(bare(*inner))),
        Node::Not(inner) => Node::Not(Box::new(bare(*inner))),
        Node::Compare(how, sides) => Node::Compare(how, Box::new((bare(sides.0), bare(sides.1)))),
        Node::Sum(terms) => Node::Sum(terms.into_iter().map(|(sign, term)| (sign, bare(term))).collect()),
        Node::Product(terms) => {
            Node::Product(terms.into_iter().map(|(sign, term)| (sign, bare(term))).collect())
        }
        Node::And(terms) => Node::And(all(terms)),
        Node::Or(terms) => Node::Or(all(terms)),
        other => other,
    };
    Expr { span: 0..0, node }
}

/// Compiles it as a condition and as a message; what is wrong is marked inside the text.
fn survives(text: &str) -> Result<(), TestCaseError> {
    let windows = windows();
    let mut compiler = Compiler::new(Names { windows: &windows });
    let wrong = compiler.compile(text).err().into_iter().chain(compiler.template(text).err());
    for problem in wrong.flatten() {
        prop_assert!(text.get(problem.span.clone()).is_some(), "{text:?}: {problem:?}");
    }
    Ok(())
}

const WORDS: [&str; 40] = [
    "price",
    "volume[1s]",
    "volume[1s, -1]",
    "close[",
    "]",
    "(",
    ")",
    ",",
    "not",
    "and",
    "or",
    "then",
    "within",
    "for",
    "of",
    "3",
    "5s",
    "0.5",
    "1e5",
    "-",
    "!",
    "+",
    "*",
    "/",
    "<",
    "==",
    "!=",
    "mean(",
    "cusum(",
    "since(",
    "\"a:B\"",
    ".",
    "true",
    "buy",
    "age(trades)",
    "{",
    "}",
    "&&",
    "||",
    "change(price)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        survives(&text)?;
    }

    #[test]
    fn no_words_in_any_order_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)) {
        survives(&words.join(" "))?;
        survives(&words.concat())?;
    }

    #[test]
    fn no_broken_rule_panics(
        choices in prop::collection::vec(any::<u8>(), 0..120), at in any::<prop::sample::Index>(),
        length in 0usize..5, put in "[\\PC]{0,3}",
    ) {
        let mut text: Vec<char> = Pattern::new(&mut Choices::new(&choices)).text().chars().collect();
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, put.chars());
        survives(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn deep_texts_are_refused_and_not_followed(depth in 0usize..3_000, open in prop::sample::select(&["(", "-", "not ", "!", "abs(", "since(", "1+(", "price>(" ][..])) {
        survives(&open.repeat(depth))?;
        survives(&format!("{}price{}", open.repeat(depth), ")".repeat(depth)))?;
    }

    #[test]
    fn what_is_printed_reads_back(choices in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = Pattern::new(&mut Choices::new(&choices)).text();
        let tree = placeless(condition(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e:?}")))?);
        let printed = tree.to_string();
        let again = condition(&printed).map_err(|e| TestCaseError::fail(format!("{printed}: {e:?}")))?;
        prop_assert_eq!(placeless(again), tree, "{}", printed);
    }
}

#[test]
fn the_widest_rule_of_each_depth_has_room() {
    let windows = windows();
    let mut compiler = Compiler::new(Names { windows: &windows });
    let mut text = "price > 1".to_owned();
    for _ in 0..31 {
        text = format!("price > 1 or price > 1 and 1s < 1s + 2 * max(1s, since({text}))");
    }
    let compiled = compiler.compile(&text);
    assert!(compiled.is_ok(), "{compiled:?}");
}
