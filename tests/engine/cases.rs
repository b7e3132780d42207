//! `tapedeck test`: the examples of the guide hold, what is told and not expected is said, and so is what is wrong in a
//! file.

use std::fs;
use std::path::{Path, PathBuf};

use tapedeck::cli::test::{TestArgs, test};
use tapedeck::cli::{Code, Failure};

/// What is printed of a file of tests, and how it ends.
fn tested(path: &Path) -> (String, Result<(), Failure>) {
    let mut out = Vec::new();
    let ended = test(&TestArgs { files: vec![path.to_owned()] }, &mut out);
    (String::from_utf8(out).unwrap(), ended)
}

/// The same of a text, with other files beside it.
fn tested_text(text: &str, others: &[(&str, &str)]) -> (String, Result<(), Failure>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.test.toml");
    fs::write(&path, text).unwrap();
    for (name, text) in others {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (out, ended) = tested(&path);
    (out.replace(&format!("{}/", folder.path().display()), ""), ended)
}

fn wrong(text: &str) -> String {
    let (out, ended) = tested_text(text, &[]);
    let failure = ended.expect_err("a file that is wrong");
    assert_eq!((out.as_str(), failure.code), ("", Code::Usage));
    failure.to_string()
}

const RULES: &str = "[[rules]]\nname = 'big'\nwhen = 'size > 5'\nmessage = '{size} of {symbol}'\n";

#[test]
fn the_examples_of_the_guide_hold_and_their_rules_are_those_of_the_guide() {
    let guide = include_str!("../../docs/rules.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    for file in files {
        let (out, ended) = tested(&file);
        assert!(ended.is_ok() && out.ends_with(" tests, 0 failed\n"), "{out}");
        let text = fs::read_to_string(&file).unwrap();
        let rules = &text[text.find("[[rules]]").unwrap()..text.find("\n[[test]]").unwrap()];
        assert!(guide.contains(rules), "{} has another rule than the guide", file.display());
    }
}

#[test]
fn the_test_that_the_guide_shows_holds() {
    let guide = include_str!("../../docs/rules.md");
    let blocks = guide.split("```").skip(1).step_by(2);
    let wanted = ["toml windows\n", "toml burst\n", "toml\n[[test]]"];
    let shown: Vec<&str> = blocks.filter(|block| wanted.iter().any(|it| block.starts_with(it))).collect();
    assert_eq!(shown.len(), wanted.len());
    let lines: Vec<&str> = shown.iter().flat_map(|block| block.lines().skip(1)).collect();
    // The test comes before the rule in the guide; in TOML the order of tables is no matter.
    let (out, ended) = tested_text(&lines.join("\n"), &[]);
    assert!(ended.is_ok() && out.ends_with("1 test, 0 failed\n"), "{out}");
}

#[test]
fn the_test_of_a_silence_and_an_inhibition_that_the_guide_shows_holds() {
    let guide = include_str!("../../docs/rules.md");
    let block = guide.split("```").find(|block| block.contains("name = \"halted\"")).unwrap();
    let text = block.split_once('\n').unwrap().1;
    let (out, ended) = tested_text(text, &[]);
    assert!(ended.is_ok() && out.ends_with("1 test, 0 failed\n"), "{out}");
    let others = [
        ("\"silence:opening\"", "\"inhibited:halted\"", "by silence:opening and not by inhibited:halted"),
        ("suppressed = \"\"", "suppressed = \"silence:opening\"", "by nothing and not by silence:opening"),
        ("severity = \"critical\" }", "severity = \"info\" }", "it is of severity critical and not info"),
        ("state = \"resolved\"", "state = \"resolved\", labels = { desk = \"a\" }", "it has no label desk"),
        ("suppressed = \"\"", "labels = { desk = \"a\" }", "its label desk is \"crypto\" and not \"a\""),
    ];
    for (written, other, said) in others {
        let at = text.rfind(written).unwrap();
        let changed = format!("{}{other}{}", &text[..at], &text[at + written.len()..]);
        let (out, ended) = tested_text(&changed, &[]);
        assert!(ended.is_err() && out.contains(said), "{said}: {out}");
    }
    let why = wrong(&text.replace("\"silence:opening\"", "\"silence:openin\""));
    assert!(
        why.contains("nothing is suppressed by `silence:openin`; the nearest is `silence:opening`"),
        "{why}"
    );
}

#[test]
fn what_differs_is_said_with_time_and_line() {
    let text = format!(
        "{RULES}
[[test]]
name = 'all wrong'
input = [
    {{ at = '1s', trade = 'here:A 10 6 buy' }},
    {{ at = '2s', trade = 'here:A 10 1 sell' }},
    {{ at = '3s', trade = 'here:A 10 7 unknown' }},
]
expect = [
    {{ at = '1s', rule = 'big', symbol = 'here:A', state = 'firing', message = 'much', values = {{ size = '5', side = 'buy' }} }},
    {{ at = '4s', rule = 'big', symbol = 'here:A', state = 'resolved' }},
]

[[test]]
name = 'right'
"
    );
    let (out, ended) = tested_text(&text, &[]);
    let failure = ended.expect_err("a test that fails");
    assert_eq!((failure.code, failure.to_string().as_str()), (Code::Failed, "1 of 2 tests failed"));
    let expected = "\
rules.test.toml: all wrong: failed
  differs: 1s big here:A firing: it says \"6 of here:A\" and not \"much\" (line 14)
  differs: 1s big here:A firing: it names no \"side\", but size (line 14)
  differs: 1s big here:A firing: size is \"6\" and not \"5\" (line 14)
  unexpected: 2s big here:A resolved: \"1 of here:A\", size = 1
  unexpected: 3s big here:A firing: \"7 of here:A\", size = 7
  missing: 4s big here:A resolved (line 15)
rules.test.toml: right: ok
2 tests, 1 failed
";
    assert_eq!(out, expected);
}

#[test]
fn gaps_silence_and_rules_over_several_symbols_are_tested_too() {
    let text = "
[[windows]]
name = '1s'
[[rules]]
name = 'out'
when = 'gap(trades) or stale(quotes)'
[[rules]]
name = 'apart'
when = '\"here:A\".close[1s, -1] - \"here:B\".close[1s, -1] > 5'
[[rules]]
name = 'behind'
when = 'delay > 40ms'
[[inhibitions]]
source = { rules = ['out'] }
target = { rules = ['behind'] }
[[test]]
name = 'an outage'
rules = ['out']
lateness = '0s'
input = [
    { at = '1s', trade = 'here:A 10 1 buy' },
    { at = '2s', gap = 'here:A' },
    { at = '3s', trade = 'here:A 10 1 buy' },
]
expect = [
    { at = '1s', rule = 'out', symbol = 'here:A', state = 'firing' },
    { at = '3s', rule = 'out', symbol = 'here:A', state = 'resolved' },
]
[[test]]
name = 'two markets'
rules = ['apart', 'behind']
start = '2024-02-29T12:00:00Z'
input = [
    { at = '0s', trade = 'here:B 10 1 buy', every = '1s', times = 5 },
    { at = '0s', trade = 'here:A 12 1 buy', every = '1s', times = 3 },
    { at = '3s', delay = '50ms', trade = 'here:A 16 1 buy' },
    { at = '8s', clock = true },
]
expect = [
    { at = '3s', rule = 'behind', symbol = 'here:A', state = 'firing', values = { delay = '50000000' } },
    { at = '4s', rule = 'apart', symbol = 'here:A|here:B', state = 'firing' },
]
";
    let (out, ended) = tested_text(text, &[]);
    assert!(ended.is_ok(), "{out}");
}

#[test]
fn rules_may_be_in_a_file_of_their_own_or_in_a_configuration() {
    let body = "[[test]]\nname = 'one'\ninput = [{ at = '1s', trade = 'here:A 10 6 buy' }]\n\
                expect = [{ at = '1s', rule = 'big', symbol = 'here:A', state = 'firing' }]\n";
    for key in ["rule_file", "config"] {
        let (out, ended) = tested_text(&format!("{key} = 'r.toml'\n{body}"), &[("r.toml", RULES)]);
        assert!(ended.is_ok(), "{out}");
        let failure = tested_text(&format!("{key} = 'absent.toml'\n{body}"), &[]).1.expect_err("no file");
        assert_eq!(failure.code, Code::Usage);
        let both = wrong(&format!("{key} = 'r.toml'\n{RULES}{body}"));
        assert!(both.contains("absent") || both.contains("r.toml"), "{both}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_line_and_column() {
    let of = |rest: &str| wrong(&format!("{RULES}[[test]]\nname = 'x'\n{rest}\n"));
    for (rest, said) in [
        ("input = [{ at = '1s', trade = 'here:A 10 6' }]", ":7:31: `trade` is symbol, price, size and side"),
        ("input = [{ at = '1s', trade = 'here:A 10 0 buy' }]", "a trade of nothing"),
        ("input = [{ at = '1s', trade = 'here:A -10 1 buy' }]", "`-10` is below zero"),
        ("input = [{ at = '1s', trade = 'here:A ten 1 buy' }]", "`ten`: not a decimal number"),
        ("input = [{ at = '1s', quote = 'A 1 1 1 1' }]", "`A` is no symbol"),
        ("input = [{ at = '1s' }]", ":7:10: a row has one of trade, quote, clock, gap, silence"),
        ("input = [{ at = '1s', clock = false }]", "write `clock = true`"),
        ("input = [{ clock = true }]", "`at` is missing"),
        ("input = [{ at = '1 s', clock = true }]", "write `1s`"),
        ("input = [{ at = '1s', clock = true, times = 2 }]", "`every` and `times` go together"),
        ("input = [{ at = '1s', clock = true, every = '1s', times = 1000001 }]", "between 1 and 1000000"),
        ("expect = [{ at = '1s', rule = 'bog', symbol = 'here:A', state = 'firing' }]", "unknown rule `bog`"),
        (
            "expect = [{ at = '1s', rule = 'big', symbol = 'here:A', state = 'fired' }]",
            "unknown state `fired`",
        ),
        ("expect = [{ at = '1s', rule = 'big', state = 'firing' }]", "`symbol` is missing"),
        ("rules = ['bog']", "unknown rule `bog`"),
        ("inputs = []", "the nearest is `input`"),
        ("start = 'yesterday'", ":7:9:"),
    ] {
        let text = of(rest);
        assert!(text.contains(said), "{rest}: {text}");
    }
    assert!(wrong(RULES).contains("write [[test]]"));
    assert!(wrong("[[rules]\n").contains(":1:"));
}
