//! What is said of wrong rules, and what is marked of them.

use super::stage::{compile, windows};
use crate::config::limits;
use crate::rule::{Compiler, FUNCTIONS, NAMES, Names};

/// The problems of `text`: what is marked, and what is said.
fn problems(text: &str) -> Vec<(String, String)> {
    let problems = compile(text).expect_err(text);
    problems.into_iter().map(|p| (text[p.span.clone()].to_owned(), p.message)).collect()
}

#[test]
fn what_cannot_be_read() {
    for (text, marked, message) in [
        ("", "", "the rule ends where a value is expected"),
        ("price >", "", "the rule ends where a value is expected"),
        ("price > * 3", "*", "the rule has `*` where a value is expected"),
        ("price = 3", "=", "`=` compares nothing; write `==`"),
        ("price > 3 & size > 1", "&", "write `and` or `&&`"),
        ("price > 3 | size > 1", "|", "write `or` or `||`"),
        ("price > 3 size", "size", "the rule has `size` where an operator is expected"),
        ("(price > 3", "", "the rule ends where an operator or `)` is expected"),
        ("price > 3)", ")", "nothing is open that `)` could close"),
        ("1 < price < 3", "<", "one comparison after the other: write `a < b and b < c`"),
        ("price > 5sec", "5sec", "`5sec` is not a duration; write `5s`"),
        ("age(trades) > 1.5s", "1.5s", "`1.5s` is not a duration; write `1500ms`"),
        ("price > 1.", "1.", "`1.` is not a number; write digits on both sides of `.` and `_`"),
        ("price > 1__0", "1__0", "`1__0` is not a number; write digits on both sides of `.` and `_`"),
        ("price > .5", ".", "the rule has `.` where a value is expected"),
        ("price > 1e39", "1e39", "`1e39` has more than 38 digits"),
        ("volume[1s > 3", "[", "a closing `]` is missing"),
        ("volume[] > 3", "[]", "a window is written `[1s]`, or `[1s, -1]` for the newest final one"),
        (
            "volume[1s, 1] > 3",
            " 1",
            "`1` names no window: `-1` is the newest final one, `-10000` the oldest that is kept",
        ),
        ("\"x:Y.close[1s] > 3", "\"", "a closing `\"` is missing"),
        ("\"x\".close[1s] > 3", "\"x\"", "`x` is not a symbol: write \"venue:NATIVE\""),
        ("\"x:Y\" > 3", ">", "the rule has `>` where `.` and a statistic behind the symbol is expected"),
        ("price > 3 # 4", "#", "`#` means nothing here"),
        ("price > 3 then size > 1", "", "the rule ends where `within` and a duration is expected"),
        (
            "price > 3 then size > 1 within soon",
            "soon",
            "the rule has `soon` where a duration, such as `5s` is expected",
        ),
        ("price > 3 within 5s", "within", "`within` follows `a then b` or `3 of a`"),
        ("price > 3 for 5s", "for", "`for` follows `not`: write `not (…) for 5s`"),
        ("not price > 3 and size > 1 for 5s", "for", "`for` follows `not`: write `not (…) for 5s`"),
        (
            "price > 1 then size > 1 for 5s",
            "for",
            "`for` follows one `then not`: write `a then not (…) for 5s`",
        ),
        (
            "(price > 3 then size > 1 within 5s)",
            "then",
            "a pattern stands alone, and is no part of an expression",
        ),
        (
            "price > 3 then size > 1 within 5s then price > 1",
            "then",
            "a pattern is one `a then b within 5s`, `not (a) for 5s` or `3 of a within 5s`",
        ),
        ("0 of price > 3 within 5s", "0", "before `of` stands a whole number from 1 to 1000"),
        ("price > 1 then price > 2 within 0s", "0s", "`0s` is no time"),
        ("price > 1 then price > 2 within 999d", "999d", "`999d` is longer than 366d"),
        ("price > not size", "not", "`not` binds less than that: put it in parentheses"),
    ] {
        assert_eq!(problems(text), [(marked.to_owned(), message.to_owned())], "{text}");
    }
}

#[test]
fn a_side_that_there_is_not() {
    for (text, marked) in [("side == bye", "bye"), ("sel != side", "sel"), ("side == unknown", "unknown")] {
        let message = format!(
            "unknown side `{marked}`; a side is `buy` or `sell`, and nothing where the venue does not say"
        );
        assert_eq!(problems(text), [(marked.to_owned(), message)]);
    }
    // What else is wrong is said as ever.
    assert_eq!(problems("side == bye and prise > 1").len(), 2);
    let inside = problems("side == -bye");
    assert_eq!((inside.len(), inside[0].1.starts_with("unknown name `bye`")), (1, true), "{inside:?}");
}

#[test]
fn a_symbol_in_quotes_is_one_symbol() {
    for symbol in ["x:*", "x:Y?", "x:[Y]", "*:Y"] {
        let message = format!("`{symbol}` is a pattern; here stands one symbol, such as \"venue:NATIVE\"");
        let marked = format!("\"{symbol}\"");
        assert_eq!(problems(&format!("{marked}.close[1s, -1] > 3")), [(marked, message)]);
    }
}

#[test]
fn what_does_not_hold() {
    for (text, marked, message) in [
        ("volme[1s] > 3", "volme", "unknown statistic `volme`; the nearest is `volume`"),
        ("volume[2s] > 3", "2s", "unknown window `2s`; the nearest is `1s`"),
        ("volume[bare] > 3", "volume", "window `bare` does not keep `volume`; add \"volume\" to its `stats`"),
        ("volume > 3", "volume", "`volume` is a statistic of a window: write `volume[1s]`"),
        ("price[1s] > 3", "price", "`price` is of now and of no window: write `price`"),
        ("prise > 3", "prise", "unknown name `prise`; the nearest is `price`"),
        ("volum > 3", "volum", "unknown name `volum`; the nearest is the statistic `volume[1s]`"),
        ("abs > 3", "abs", "`abs` is a function: write `abs(x)`"),
        ("abz(price) > 3", "abz", "unknown function `abz`; the nearest is `abs`"),
        ("abs(price, 1) > 3", "abs(price, 1)", "`abs` is written `abs(x)`"),
        ("price > size", "size", "a price compared with a size says nothing"),
        ("price * size > price", "price", "a notional compared with a price says nothing"),
        ("price + size > 1", "size", "a price added to a size says nothing"),
        ("last_time[1s] - 5 > last_time[1s]", "5", "a time less a number says nothing"),
        (
            "age(trades) > 5",
            "5",
            "a duration compared with a number says nothing; write a duration with its unit, such as `5s`",
        ),
        ("size / age(trades) > 5", "age(trades)", "a size divided by a duration says nothing"),
        (
            "side == 1",
            "1",
            "a side compared with a number says nothing; write `side == buy` or `side == sell`",
        ),
        ("side > sell", "side > sell", "a side is neither less nor more than another: write `==` or `!=`"),
        ("price", "price", "a price is not true or false; compare it with something"),
        ("price > 1 and size", "size", "a size is not true or false; compare it with something"),
        ("not price", "price", "a price is not true or false; compare it with something"),
        ("-side == buy", "-side", "a side has no sign"),
        ("sqrt(price) > 1", "price", "a price has no root that measures anything; divide by like first"),
        ("ln(price) > 1", "price", "a price has no logarithm; divide by like first"),
        ("change(side) == buy", "side", "a side has no change"),
        ("mean(price, 5) > 1", "price", "`mean` reads a statistic: write `mean(stat[w], n)`"),
        ("mean(volume[1s], 0) > 1", "0", "n is a whole number of windows from 1 to 10000"),
        ("stdev(volume[1s], 1) > 1", "1", "n is a whole number of windows from 2 to 10000"),
        ("mean(volume[1s], 2.0) > 1", "2.0", "n is a whole number of windows from 1 to 10000"),
        ("mean(last_id[1s], 2) > 1", "last_id[1s]", "an id cannot be averaged"),
        ("quantile(volume[1s], 5, 1.5) > 1", "1.5", "q is a number from 0 to 1"),
        (
            "cusum(volume[1s], 5, 1) > 1",
            "volume[1s]",
            "`cusum` goes on with each final window: write `cusum(stat[w, -1], n, k)`",
        ),
        ("age(price) > 1s", "price", "`price` is no stream; available: trades, quotes"),
        ("age(trade) > 1s", "trade", "`trade` is no stream; the nearest is `trades`"),
        ("1 < 2", "1 < 2", "the condition reads nothing that could change"),
        (
            "\"x:Y\".close[1s, -1] > close[1s, -1]",
            "close[1s, -1]",
            "a rule that names symbols names one with everything that it reads: write \"venue:NATIVE\".close[1s, -1]",
        ),
        ("\"x:Y\".close[1s] > 3", "\"x:Y\".close[1s]", "a rule that names symbols reads final windows only"),
        (
            "since(\"x:Y\".close[1s, -1] > 3) > 3s",
            "since(\"x:Y\".close[1s, -1] > 3)",
            "a rule that names symbols reads final windows only",
        ),
    ] {
        assert_eq!(problems(text), [(marked.to_owned(), message.to_owned())], "{text}");
    }
}

#[test]
fn everything_that_does_not_hold_is_said_at_once() {
    let found = problems("volme[1s] > 3 and price > size or prise == 1");
    assert_eq!(
        found.iter().map(|(marked, _)| marked.as_str()).collect::<Vec<_>>(),
        ["volme", "size", "prise"]
    );
}

#[test]
fn nesting_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}price > 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(compile(&nested(limits::RULE_DEPTH_MAX - 1)).is_ok());
    assert_eq!(problems(&nested(2_000))[0].1, "nested more than 64 deep; make two rules of it");
    assert_eq!(problems(&format!("{}price > 1", "abs(".repeat(999)))[0].1, problems(&nested(999))[0].1);
    assert_eq!(problems(&format!("{} 1 > price", "-".repeat(3)))[0].1, "too many signs one after the other");
    assert!(compile(&format!("price > {}1", "1 + ".repeat(900))).is_ok());
    assert_eq!(problems(&" ".repeat(4_097))[0].1, "a condition has at most 4096 bytes");
    let steps = |count: usize| format!("{} within 1s", vec!["price > 1"; count].join(" then "));
    assert!(compile(&steps(16)).is_ok());
    assert_eq!(problems(&steps(17))[0].1, "a sequence has at most 16 steps");
}

#[test]
fn messages_have_braces_and_no_memory() {
    let windows = windows();
    let wrong = |text: &str| {
        let problems = Compiler::new(Names { windows: &windows }).template(text).expect_err(text);
        problems.into_iter().map(|p| (text[p.span.clone()].to_owned(), p.message)).collect::<Vec<_>>()
    };
    let alone = "a `{` alone: write `{{` for one, `{price}` for a value";
    assert_eq!(wrong("a {price b"), [("{".to_owned(), alone.to_owned())]);
    assert_eq!(wrong("a } b").len(), 1);
    let unknown = "unknown name `prise`; the nearest is `price`";
    assert_eq!(wrong("a {prise} b"), [("prise".to_owned(), unknown.to_owned())]);
    let memory = "a message has no memory: `change` cannot stand in it";
    assert_eq!(wrong("{price} {change(price)}"), [("change(price)".to_owned(), memory.to_owned())]);
}

#[test]
fn names_are_unique_and_no_statistics() {
    let mut names: Vec<&str> = NAMES.iter().map(|name| name.name).collect();
    names.extend(FUNCTIONS.iter().map(|function| function.name));
    names.extend(crate::stat::STATISTICS.iter().map(|stat| stat.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
