//! What messages look like.

use feeds::time::SECOND;

use super::stage::{Stage, windows};
use crate::rule::{Compiler, Names};

/// The message `text` with these values of now.
fn rendered(text: &str, values: &[(&str, &str)]) -> String {
    let windows = windows();
    let mut compiler = Compiler::new(Names { windows: &windows });
    let template = compiler.template(text).unwrap();
    let mut stage = Stage::new(compiler.finish());
    stage.now = SECOND;
    for (name, value) in values {
        stage.set(name, value);
    }
    template.render(&stage, "a:B", "burst", "warning", "firing")
}

#[test]
fn text_and_names_are_put_together() {
    assert_eq!(rendered("{symbol} {rule}: {{{severity}}} {state}", &[]), "a:B burst: {warning} firing");
    assert_eq!(rendered("", &[]), "");
    assert_eq!(rendered("é}}{{", &[]), "é}{");
}

#[test]
fn values_are_shown_as_what_they_are() {
    let quote = &[("bid", "99.50"), ("ask", "100")];
    assert_eq!(rendered("{mid} {spread} {crossed()}", quote), "99.75 0.5 false");
    assert_eq!(rendered("{spread / 3}", quote), "0.166667");
    assert_eq!(rendered("{bid}", &[("bid", "-")]), "-");
    assert_eq!(rendered("{side}", &[("side", "-1")]), "sell");
    assert_eq!(
        rendered("{age(trades)} {-delay / 2}", &[("age(trades)", "1500000000"), ("delay", "3")]),
        "1500ms -2ns"
    );
    let time = rendered("{last_time[1s]}", &[("last_time[1s]", "1723161255342000000")]);
    assert_eq!(time, "2024-08-08T23:54:15.342000000Z");
}

#[test]
fn windows_and_their_aggregates_are_read() {
    let windows = windows();
    let mut compiler = Compiler::new(Names { windows: &windows });
    let template = compiler.template("{volume[1s, -1]} over {mean(volume[1s, -1], 2)}").unwrap();
    assert!(template.reads().is_closed() && template.reads().windows == [0]);
    let mut stage = Stage::new(compiler.finish());
    stage.close("volume[1s]", &["1", "2", "9.5"]);
    assert_eq!(template.render(&stage, "", "", "", ""), "9.5 over 1.5");
}

#[test]
fn what_is_meant_for_a_name_of_the_alert_is_told_which() {
    let windows = windows();
    for (text, message, span) in [
        ("{simbol}", "unknown name `simbol`; the nearest is `symbol`", 1..7),
        ("at {price} {severty}", "unknown name `severty`; the nearest is `severity`", 12..19),
        ("{ state }", "write `{state}`, without spaces", 2..7),
        ("{prise}", "unknown name `prise`; the nearest is `price`", 1..6),
        ("{rule + 1}", "unknown name `rule`", 1..5),
    ] {
        let problems = Compiler::new(Names { windows: &windows }).template(text).unwrap_err();
        assert!(problems.len() == 1 && problems[0].message.starts_with(message), "{text}: {problems:?}");
        assert_eq!(problems[0].span, span, "{text}");
    }
}
