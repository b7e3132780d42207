//! Configurations right and wrong, with the very words that people get to see.

use std::fs;

use super::digest::describe_difference;
use super::*;

fn names() -> Catalogue {
    Catalogue {
        statistics: vec!["open", "high", "low", "close", "vwap", "trades", "spread_tw"],
        sets: vec![("bar", &["open", "high", "low", "close", "trades"]), ("quote", &["spread_tw"])],
        venues: vec![
            ("binance", &["trades", "quotes"]),
            ("binance-us", &["trades"]),
            ("coinbase", &["trades"]),
        ],
    }
}

fn parse(text: &str) -> Config {
    Config::parse("tapedeck.toml", text, &names()).unwrap()
}

fn wrong(text: &str) -> String {
    Config::parse("tapedeck.toml", text, &names()).unwrap_err().to_string()
}

/// The message of the only problem, without place and excerpt.
fn message(text: &str) -> String {
    let shown = wrong(text);
    let first = shown.lines().next().unwrap();
    assert_eq!(shown.lines().count(), 3, "more than one problem:\n{shown}");
    first.splitn(4, ':').nth(3).unwrap().trim().to_owned()
}

#[test]
fn nothing_said_is_the_standard() {
    let config = parse("");
    assert_eq!(config, Config::standard(&names()));
    assert_eq!(
        config.windows.iter().map(|w| (w.name.as_str(), w.size, w.stats.len())).collect::<Vec<_>>(),
        [("1s", SECOND, 5), ("1m", 60 * SECOND, 5)]
    );
    assert_eq!(
        (config.engine.lateness, config.engine.max_ahead, config.engine.idle),
        (2 * SECOND, 10 * SECOND, 10 * SECOND)
    );
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let config = parse(
        r#"
[engine]
ca = "ca.pem"
db = "data"
lateness = "0s"
max_ahead = "1m"
idle = "5s"
workers = 4
checkpoint_every = "500ms"
checkpoint_entries = 2_000
sync = "always"

[[feeds]]
venue = "binance"
symbols = ["BTCUSDT", "ETHUSDT"]

[[feeds]]
venue = "coinbase"
symbols = ["BTC-USD"]
channels = ["trades"]
url = "ws://127.0.0.1:9100/coinbase"
silence = "2m"

[http]
listen = "127.0.0.1:8000"

[[windows]]
name = "250ms"
stats = ["bar", "vwap", "open"]

[[windows]]
name = "five-minutes"
kind = "tumbling"
size = "5m"

[[instruments]]
symbol = "binance:BTCUSDT"
multiplier = 0.0010
inverse = true
tick = "0.01"
lot = 1
scale = 4

[[groups]]
name = "BTC"
symbols = ["binance:BTCUSDT", "coinbase:BTC-USD"]
"#,
    );
    assert_eq!(
        config.engine,
        Engine {
            db: Some(PathBuf::from("data")),
            ca: Some(PathBuf::from("ca.pem")),
            lateness: 0,
            max_ahead: 60 * SECOND,
            idle: 5 * SECOND,
            workers: Some(4),
            checkpoint_every: SECOND / 2,
            checkpoint_entries: 2_000,
            alerts_kept: limits::ALERTS_KEPT,
            sync: Durability::Always,
        }
    );
    assert_eq!(config.feeds[0].channels, ["trades", "quotes"]);
    assert_eq!((config.feeds[0].url.as_deref(), config.feeds[0].silence), (None, 30 * SECOND));
    assert_eq!(config.feeds[1].symbols, ["BTC-USD"]);
    assert_eq!(config.feeds[1].url.as_deref(), Some("ws://127.0.0.1:9100/coinbase"));
    assert_eq!(config.feeds[1].silence, 120 * SECOND);
    assert_eq!(config.listen, Listen::At("127.0.0.1:8000".to_owned()));
    assert_eq!(config.windows[0].size, SECOND / 4);
    assert_eq!(config.windows[0].stats, ["open", "high", "low", "close", "trades", "vwap"]);
    assert_eq!(config.windows[1].size, 300 * SECOND);
    assert_eq!(config.windows[1].stats, ["open", "high", "low", "close", "trades"]);
    assert_eq!(config.instruments[0].multiplier, Some(Decimal::new(1, 3)));
    assert_eq!(config.instruments[0].scale, Some(4));
    assert_eq!(config.groups[0].symbols.len(), 2);
}

#[test]
fn all_problems_are_shown_at_once_with_place_and_caret() {
    let text = "[engine]\nlatenes = \"2s\"\nidle = \"10 s\"\n\n[[windows]]\nname = \"1s\"\nstats = [\"bar\", \"vwp\"]\n\n[[windows]]\nname = \"1s\"\nkind = \"sliding\"\nstep = \"1s\"\n\n[[feeds]]\nvenue = \"binanse\"\nsymbols = [\"BTCUSDT\"]\n";
    assert_eq!(
        wrong(text),
        "\
6 problems in tapedeck.toml
tapedeck.toml:2:1: unknown key `latenes` in [engine]; the nearest is `lateness`
  2 | latenes = \"2s\"
    | ^^^^^^^
tapedeck.toml:3:8: `10 s` is not a duration; write `10s`
  3 | idle = \"10 s\"
    |        ^^^^^^
tapedeck.toml:7:17: unknown statistic or set `vwp`; the nearest is `vwap`
  7 | stats = [\"bar\", \"vwp\"]
    |                 ^^^^^
tapedeck.toml:10:8: window `1s` is there already, in line 6
  10 | name = \"1s\"
     |        ^^^^
tapedeck.toml:11:8: kind `sliding` is not available yet; available: tumbling
  11 | kind = \"sliding\"
     |        ^^^^^^^^^
tapedeck.toml:15:9: unknown venue `binanse`; the nearest is `binance`
  15 | venue = \"binanse\"
     |         ^^^^^^^^^"
    );
}

#[test]
fn a_single_problem_has_no_heading() {
    assert_eq!(
        wrong("# é\nwindws = 3 # ü\n"),
        "tapedeck.toml:2:1: unknown key `windws` in the file; the nearest is `windows`\n  2 | windws = 3 # ü\n    | ^^^^^^"
    );
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    let shown = wrong("[engine]\nlateness = \"2s\nidle = \"10s\"\n");
    assert!(shown.contains("tapedeck.toml:2:"), "{shown}");
    let shown = wrong("[engine]\nidle = \"1s\"\nidle = \"2s\"\n");
    assert!(shown.contains("tapedeck.toml:3:1: duplicate key"), "{shown}");
}

#[test]
fn windows_are_checked() {
    let window = |body: &str| message(&format!("[[windows]]\n{body}\n"));
    assert_eq!(window("size = \"1s\""), "`name` is missing here");
    assert_eq!(window("name = \"\"\nsize = \"1s\""), "`name` is empty");
    assert_eq!(window("name = \"fast\""), "window `fast` has no size: add one, such as size = \"10s\"");
    assert_eq!(window("name = \"1sec\""), "window `1sec` has no size: write name = \"1s\", or add `size`");
    assert_eq!(
        window("name = \"1m\"\nsize = \"5m\""),
        "window `1m` has the size 5m; a name that is a duration says the size (1m)"
    );
    assert_eq!(window("name = \"999us\""), "`999us` is not between 1ms and 7d");
    assert_eq!(window("name = \"w\"\nsize = \"8d\""), "`8d` is not between 1ms and 7d");
    assert_eq!(
        window("name = \"1s\"\nsize = 1"),
        "`size` is a duration in quotes, such as \"2s\" or \"250ms\", not an integer"
    );
    assert_eq!(
        window("name = \"a b\"\nsize = \"1s\""),
        "a name has letters, digits, `_`, `-` and `.`, at most 64 of them"
    );
    assert_eq!(
        window("name = \"1s\"\nkind = \"tumblin\""),
        "unknown kind `tumblin`; the nearest is `tumbling`"
    );
    assert_eq!(window("name = \"1s\"\nstep = \"1s\""), "a tumbling window has no step");
    assert_eq!(
        window("name = \"1s\"\nstats = []"),
        "`stats` is empty; without it a window has the set `bar`"
    );
    assert_eq!(
        window("name = \"1s\"\nstats = \"bar\""),
        "`stats` is a list of statistics and sets, such as [\"bar\", \"spread_tw\"], not a string"
    );
    assert_eq!(
        window("name = \"1s\"\nstats = [\"zzz\"]"),
        "unknown statistic or set `zzz`; available: bar, quote, open, high, low, close, vwap, trades, spread_tw"
    );
    let ends = parse("[[windows]]\nname = \"1ms\"\n[[windows]]\nname = \"7d\"\n");
    assert_eq!(ends.windows.len(), 2);
}

#[test]
fn at_most_so_many_windows() {
    let text =
        |count: usize| (1..=count).map(|n| format!("[[windows]]\nname = \"{n}s\"\n")).collect::<String>();
    assert_eq!(parse(&text(limits::WINDOWS_MAX)).windows.len(), 64);
    assert_eq!(message(&text(limits::WINDOWS_MAX + 1)), "65 windows; at most 64 are kept");
}

#[test]
fn other_sections_are_checked() {
    assert_eq!(message("[windows]\nname = \"1s\"\n"), "`windows` is a list of tables: write [[windows]]");
    assert_eq!(message("[[engine]]\ndb = \"x\"\n"), "`engine` is one table: write [engine] once");
    assert_eq!(message("[engine]\nworkers = 0\n"), "0 is not between 1 and 256");
    assert_eq!(message("[engine]\nworkers = \"4\"\n"), "`workers` is a whole number, not a string");
    assert_eq!(
        message("[engine]\nsync = \"allways\"\n"),
        "unknown `sync` \"allways\"; the nearest is `always`"
    );
    assert_eq!(message("[[feeds]]\nvenue = \"binance\"\n"), "`symbols` is missing here");
    let feed = |more: &str| message(&format!("[[feeds]]\nvenue = \"binance\"\nsymbols = [\"A\"]\n{more}\n"));
    assert_eq!(
        feed("url = \"127.0.0.1:9100?key=secret\""),
        "no WebSocket address: \"127.0.0.1:9100\"; write ws://host:port/path or wss://host/path"
    );
    assert_eq!(
        feed("url = 9100"),
        "`url` is an address in quotes, such as \"ws://127.0.0.1:9100/VENUE\", not an integer"
    );
    assert_eq!(feed("silence = \"10ms\""), "`10ms` is not between 1s and 1d");
    assert_eq!(feed("silense = \"10s\""), "unknown key `silense` in [[feeds]]; the nearest is `silence`");
    let listen = |value: &str| message(&format!("[http]\nlisten = {value}\n"));
    assert_eq!(listen("\"7311\""), "`7311` is no address; write HOST:PORT, such as 127.0.0.1:7311, or off");
    assert_eq!(
        listen("7311"),
        "`listen` is an address in quotes, such as \"127.0.0.1:7311\", or \"off\", not an integer"
    );
    assert_eq!(
        message("[http]\nlisten_on = \"a:1\"\n"),
        "unknown key `listen_on` in [http]; the nearest is `listen`"
    );
    assert_eq!(message("[[http]]\nlisten = \"a:1\"\n"), "`http` is one table: write [http] once");
    assert_eq!(
        message("[[feeds]]\nvenue = \"coinbase\"\nsymbols = [\"BTC-USD\"]\nchannels = [\"quotes\"]\n"),
        "unknown channel `quotes`; available: trades"
    );
    assert_eq!(
        message("[[feeds]]\nvenue = \"binance\"\nsymbols = [\"binance:BTCUSDT\"]\n"),
        "the venue is said already; write the native name, `BTCUSDT`"
    );
    assert_eq!(
        message("[[instruments]]\nsymbol = \"BTC\"\n"),
        "`BTC` is not a symbol; write venue:NATIVE, the native part as on the wire"
    );
    assert_eq!(message("[[instruments]]\nsymbol = \"binance:A\"\ntick = 0.0\n"), "0.0 is not above zero");
    assert_eq!(
        message("[[instruments]]\nsymbol = \"binance:A\"\ntick = nan\n"),
        "`nan`: not a decimal number"
    );
    assert_eq!(
        message("[[groups]]\nname = \"A\"\nsymbols = [\"binance:A\", \"binance:A\"]\n"),
        "symbol `binance:A` is there already, in line 3"
    );
}

#[test]
fn long_lines_are_shown_around_the_mistake() {
    let stats = "\"open\", ".repeat(40);
    let shown = wrong(&format!("[[windows]]\nname = \"1s\"\nstats = [{stats}\"vwp\"]\n"));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("tapedeck.toml:3:330: "), "{shown}");
    assert!(lines[1].ends_with("\"vwp\"]") && lines[1].len() < 120, "{shown}");
    assert_eq!(lines[1].find("\"vwp\""), lines[2].find('^'), "{shown}");
}

#[test]
fn files_are_read_and_missing_ones_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    let error = Config::load(&path, &names()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read the configuration {}", path.display()));
    fs::write(&path, "[engine]\nidle = \"1s\"\n").unwrap();
    assert_eq!(Config::load(&path, &names()).unwrap().engine.idle, SECOND);
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(Config::load(&path, &names()), Err(ConfigError::Unreadable { .. })));
    fs::write(&path, vec![b'\n'; limits::CONFIG_BYTES_MAX as usize + 1]).unwrap();
    assert!(matches!(Config::load(&path, &names()), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn the_canonical_text_says_what_can_change_results() {
    let config = parse(
        "[engine]\nlateness = \"1500ms\"\nworkers = 3\n[[windows]]\nname = \"60s\"\nstats = [\"vwap\"]\n",
    );
    assert_eq!(
        config.canonical(),
        "tapedeck configuration 1\nlateness 1500ms\nmax_ahead 10s\nidle 10s\nwindow 60s tumbling 1m vwap\n"
    );
    assert_eq!(config.digest().len(), 64);
    let other_threads =
        parse("[engine]\nlateness = \"1500ms\"\n[[windows]]\nname = \"60s\"\nstats = [\"vwap\"]\n");
    assert_eq!(other_threads.digest(), config.digest());
    assert_ne!(parse("").digest(), config.digest());
    assert_eq!(
        parse("").digest(),
        parse(
            "[[windows]]\nname = \"1s\"\nsize = \"1000ms\"\n[[windows]]\nname = \"1m\"\nstats = [\"bar\"]\n"
        )
        .digest()
    );
}

#[test]
fn a_difference_is_said_in_words() {
    let text = |body: &str| parse(body).canonical();
    let one = text("[[windows]]\nname = \"1s\"\nstats = [\"open\", \"vwap\"]\n");
    assert_eq!(describe_difference(&one, &one), None);
    let two = text(
        "[engine]\nlateness = \"5s\"\n[[windows]]\nname = \"1s\"\nstats = [\"open\", \"close\"]\n[[windows]]\nname = \"5m\"\n",
    );
    assert_eq!(
        describe_difference(&one, &two).as_deref(),
        Some(
            "lateness was 2s and is 5s; window `1s` lacks vwap and has close in addition; window `5m` is new"
        )
    );
    assert_eq!(
        describe_difference(&two, &one).as_deref(),
        Some(
            "lateness was 5s and is 2s; window `1s` lacks close and has vwap in addition; window `5m` is gone"
        )
    );
    let a = text("[[windows]]\nname = \"1s\"\n[[windows]]\nname = \"1m\"\n");
    let b = text("[[windows]]\nname = \"1m\"\n[[windows]]\nname = \"1s\"\n");
    assert_eq!(describe_difference(&a, &b).as_deref(), Some("the order of the windows differs"));
    let c = text("[[windows]]\nname = \"w\"\nsize = \"1s\"\nstats = [\"open\"]\n");
    let d = text("[[windows]]\nname = \"w\"\nsize = \"2s\"\nstats = [\"open\"]\n");
    assert_eq!(
        describe_difference(&c, &d).as_deref(),
        Some("window `w` was tumbling 1s open and is tumbling 2s open")
    );
}

#[test]
fn the_lists_in_the_code_hold_the_standard() {
    let built_in = Catalogue::built_in();
    let standard = Config::standard(&built_in);
    assert!(standard.windows.iter().all(|window| window.stats.len() >= 12));
    for (set, members) in &built_in.sets {
        assert!(members.iter().all(|name| built_in.statistics.contains(name)), "set {set}");
    }
    for kind in WINDOW_KINDS {
        assert!(!catalogue::LATER_KINDS.contains(&kind.name));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "([\\[\\]a-z0-9=\"., \n{}é#]|windows|name|stats|engine){0,60}") {
        drop(Config::parse("x", &text, &names()));
    }
}
