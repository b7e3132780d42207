//! The grammar of the command line, the lists, and which failure gives which exit code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{CommandFactory, Parser};

use super::args::*;
use super::parse::{EpochCut, Speed};
use super::*;
use crate::config::ConfigError;
use crate::output::Format;
use crate::source::SourceError;
use crate::store::StoreError;

fn parse(line: &str) -> Command {
    Args::try_parse_from(line.split_whitespace()).unwrap().command
}

fn refused(line: &str) -> String {
    let error = Args::try_parse_from(line.split_whitespace()).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

fn replay_args(rest: &str) -> ReplayArgs {
    match parse(&format!("tapedeck replay {rest}")) {
        Command::Replay(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_grammar_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn replay_takes_what_is_documented() {
    let args = replay_args(
        "a.csv b.csv --db d --config c.toml --format auto --venue v --symbol v:A --symbol B --speed 2.5x \
         --from 2024-08-08 --to 2024-08-09T00:00:00+02:00 --workers 3 --resume --strict --json --keep-ticks \
         --epoch random:7",
    );
    assert_eq!(args.files, [Path::new("a.csv"), Path::new("b.csv")]);
    assert_eq!((args.db.as_path(), args.config.as_deref()), (Path::new("d"), Some(Path::new("c.toml"))));
    assert_eq!(args.symbols, ["v:A", "B"]);
    assert_eq!(
        (args.speed, args.workers, args.epoch),
        (Speed::Times(2.5), Some(3), Some(EpochCut::Random(7)))
    );
    assert_eq!(args.range.from, Some(1_723_075_200_000_000_000));
    assert_eq!(args.range.to, Some(1_723_154_400_000_000_000));
    assert!(args.resume && args.strict && args.json && args.keep_ticks && !args.append);
    let options = args.source_options(2);
    assert_eq!((options.decoders, options.format, options.strict), (2, None, true));
    assert_eq!((options.from, options.symbols), (args.range.from, args.symbols));
    let plain = replay_args("a.csv --db d");
    assert_eq!((plain.speed, plain.input_format(), plain.range), (Speed::Max, None, TimeRange::default()));
    for format in feeds::formats::FORMATS {
        let args = replay_args(&format!("a --db d --format {}", format.name()));
        assert_eq!(args.input_format(), Some(format.name()));
    }
}

#[test]
fn wrong_usage_is_refused_with_what_would_be_right() {
    for (line, said) in [
        ("tapedeck", "Usage"),
        ("tapedeck replay a.csv", "--db <DIR>"),
        ("tapedeck replay --db d", "<FILE>"),
        ("tapedeck replay a --db d --resume --append", "cannot be used with"),
        ("tapedeck replay a --db d --speed 10", "write `10x`"),
        ("tapedeck replay a --db d --speed x10", "write `10x`"),
        ("tapedeck replay a --db d --speed fast", "write `max`, or a number and x"),
        ("tapedeck replay a --db d --speed 0x", "from 0.001x to 1000000x"),
        ("tapedeck replay a --db d --speed infx", "write `max`"),
        ("tapedeck replay a --db d --workers 0", "a whole number from 1 to 256"),
        ("tapedeck replay a --db d --from yesterday", "2024-08-08T12:00:00Z"),
        ("tapedeck replay a --db d --from 1850-01-01", "between 1990 and 2200"),
        ("tapedeck replay a --db d --to 12", "between 1990 and 2200"),
        ("tapedeck replay a --db d --format nonsense", "auto"),
        ("tapedeck replay a --db d --epoch 0", "random:SEED"),
        ("tapedeck query windows --window 1s", "--db <DIR>"),
        ("tapedeck query symbols --db d --window 1s", "unexpected argument"),
        ("tapedeck query windows --db d --format xml", "possible values"),
        ("tapedeck query alerts --db d --state fired", "pending, firing or resolved"),
        ("tapedeck query alerts --db d --severity bad", "info, warning or critical"),
        ("tapedeck query alerts --db d --after 7", "GENERATION-NUMBER"),
        ("tapedeck alerts follow", "<URL>"),
        ("tapedeck alerts follow there:7311", "ws://host:port/path"),
        ("tapedeck alerts follow http://there --format parquet", "possible values"),
        ("tapedeck query", "Usage"),
        ("tapedeck check", "<FILE>"),
        ("tapedeck simulate", "--csv <FILE>"),
        ("tapedeck simulate --serve --csv a", "cannot be used with"),
        ("tapedeck simulate --csv a --faults gap@1", "cannot be used with"),
        ("tapedeck simulate --csv a --for 1s", "cannot be used with"),
        ("tapedeck simulate --serve nowhere", "invalid socket address"),
        ("tapedeck simulate --serve --faults gop@1", "there are disconnect"),
        ("tapedeck simulate --serve --for 1sec", "write `1s`"),
        ("tapedeck simulate --replay a.gz", "--serve"),
        ("tapedeck simulate --serve --replay a.gz --speed fast", "write a number and x"),
        ("tapedeck repaly", "replay"),
    ] {
        assert!(refused(line).contains(said), "{line}: {}", refused(line));
    }
}

#[test]
fn queries_take_what_is_documented() {
    let Command::Query(args) = parse(
        "tapedeck query windows --db d --window 1s --symbol v:A --from 1723075200 --to 1723075200001 --revisions \
         --format ndjson --out f",
    ) else {
        panic!("no query");
    };
    assert_eq!(args.what.common().format(), Format::Ndjson);
    assert_eq!(args.what.common().out.as_deref(), Some(Path::new("f")));
    let range = TimeRange { from: Some(1_723_075_200_000_000_000), to: Some(1_723_075_200_001_000_000) };
    assert_eq!(args.what.range(), range);
    let Query::Windows(query) = args.what else { panic!("no windows") };
    assert_eq!((query.window.as_deref(), query.revisions), (Some("1s"), true));
    for what in ["windows", "symbols", "feeds", "ticks", "late", "gaps"] {
        let Command::Query(args) = parse(&format!("tapedeck query {what} --db d")) else {
            panic!("no query")
        };
        assert_eq!(args.what.common().db, Path::new("d"));
        let to_file = QueryCommon { out: Some(PathBuf::from("f")), ..args.what.common().clone() };
        assert_eq!(to_file.format(), Format::Csv);
    }
}

#[test]
fn simulate_writes_one_output_or_both() {
    for outputs in ["--csv a", "--capture b", "--csv a --capture b"] {
        assert!(matches!(parse(&format!("tapedeck simulate {outputs}")), Command::Simulate(_)));
    }
    let Command::Simulate(args) = parse("tapedeck simulate --serve --for 2s --faults gap@5*2") else {
        panic!("no simulate")
    };
    assert_eq!(args.serving.serve, Some(([127, 0, 0, 1], 9100).into()));
    assert_eq!((args.serving.venues.len(), args.serving.time), (0, Some(2_000_000_000)));
    let Command::Simulate(args) = parse("tapedeck simulate --serve 127.0.0.1:0 --venue a --venue b") else {
        panic!("no simulate")
    };
    assert_eq!((args.serving.serve, args.serving.venues.len()), (Some(([127, 0, 0, 1], 0).into()), 2));
    let failure = Failure::from(crate::simulator::cli::serve(&args, ([127, 0, 0, 1], 0).into()).unwrap_err());
    assert_eq!(failure.code, Code::Usage);
    assert!(failure.to_string().contains("unknown venue `a`"), "{failure}");
}

#[test]
fn the_help_of_simulate_names_every_venue_and_fault() {
    let help = Args::try_parse_from(["tapedeck", "simulate", "--help"]).unwrap_err().to_string();
    let words: Vec<&str> = help.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
    for protocol in crate::simulator::protocol::PROTOCOLS {
        assert!(words.contains(&protocol.venue()), "{}", protocol.venue());
    }
    for (name, _) in crate::simulator::faults::KINDS {
        assert!(words.contains(name), "{name}");
    }
}

#[test]
fn speeds_read_back() {
    for text in ["max", "1x", "0.5x", "1000x"] {
        assert_eq!(Speed::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(EpochCut::parse("17"), Ok(EpochCut::Every(17)));
}

#[test]
fn an_empty_range_is_wrong_usage() {
    let failure =
        checked(TimeRange { from: Some(1_723_075_200_000_000_000), to: Some(1_723_075_200_000_000_000) });
    let failure = failure.unwrap_err();
    assert_eq!(failure.code, Code::Usage);
    assert!(failure.to_string().contains("is not before --to 2024-08-08T00:00:00.000000000Z"), "{failure}");
}

#[test]
fn failures_have_the_documented_codes() {
    let path = PathBuf::from("d");
    let failures = [
        (StoreError::Missing(path.clone()), Code::Usage),
        (StoreError::Locked { path: path.clone(), pid: Some(3) }, Code::Held),
        (StoreError::Damaged { path: path.clone(), what: "w".to_owned() }, Code::Damaged),
        (StoreError::Failed { path, what: "w".to_owned() }, Code::Failed),
    ];
    for (error, code) in failures {
        let shown = format!("cannot query: {error}");
        let failure = Failure::from(Err::<(), _>(error).context("cannot query").unwrap_err());
        assert_eq!(failure.code, code);
        assert_eq!(failure.to_string(), shown);
    }
    let cut = SourceError::Cut { path: PathBuf::from("a.gz"), offset: 7 };
    assert_eq!(Failure::from(cut).code, Code::Damaged);
    assert_eq!(Failure::from(SourceError::Missing(PathBuf::from("a"))).code, Code::Usage);
    let wrong = ConfigError::Wrong { text: "x".to_owned(), count: 1 };
    assert_eq!(Failure::from(wrong).code, Code::Usage);
    assert_eq!(Failure::from(anyhow::anyhow!("x")).code, Code::Failed);
    assert_eq!([Code::Failed, Code::Usage, Code::Damaged, Code::Held].map(|code| code as u8), [1, 2, 3, 4]);
}

fn listing(list: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> String {
    let mut out = Vec::new();
    list(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn lists_have_one_entry_a_line_with_its_name_first() {
    let first_words = |text: String| -> Vec<String> {
        // What is said of an entry below its first line is indented.
        let entries = text.lines().filter(|line| !line.is_empty() && !line.starts_with(' '));
        entries.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let statistics = first_words(listing(|out| lists::stats(&StatsArgs { sets: false }, out)));
    assert_eq!(statistics, crate::stat::STATISTICS.iter().map(|s| s.name).collect::<Vec<_>>());
    let sets = first_words(listing(|out| lists::stats(&StatsArgs { sets: true }, out)));
    assert_eq!(sets, crate::stat::SETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let venues = first_words(listing(lists::venues));
    assert_eq!(venues, feeds::venues::VENUES.iter().map(|v| v.id()).collect::<Vec<_>>());
    let formats = first_words(listing(lists::formats));
    assert_eq!(formats, feeds::formats::FORMATS.iter().map(|f| f.name()).collect::<Vec<_>>());
    assert_eq!(first_words(listing(lists::windows)), ["tumbling"]);
    let functions = first_words(listing(lists::functions));
    let names = crate::rule::NAMES.iter().map(|name| name.name);
    assert_eq!(functions, names.chain(crate::rule::FUNCTIONS.iter().map(|f| f.name)).collect::<Vec<_>>());
}

#[test]
fn a_run_that_anybody_could_ask_is_wrong_usage() {
    let Command::Run(args) = parse("tapedeck run binance:BTCUSDT --listen 0.0.0.0:0") else {
        panic!("no run")
    };
    let failure = super::run::run(&args).unwrap_err();
    assert_eq!(failure.code, Code::Usage, "{failure}");
    assert!(failure.to_string().contains("there are no tokens"), "{failure}");
}

#[test]
fn check_says_what_a_right_configuration_says_and_what_a_wrong_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.toml");
    fs::write(&file, "[[windows]]\nname = \"5m\"\nstats = [\"vwap\"]\n").unwrap();
    let args = CheckArgs { file: file.clone() };
    let said = listing(|out| lists::check(&args, out));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("{} is right", file.display()));
    assert_eq!(lines[1], "window 5m: tumbling 5m, vwap");
    assert_eq!(lines[2].len(), "digest ".len() + 64);
    let feed =
        "[[feeds]]\nvenue = \"binance\"\nsymbols = [\"BTCUSDT\"]\nurl = \"ws://a:1\"\nsilence = \"90s\"\n";
    fs::write(&file, format!("{feed}[http]\nlisten = \"off\"\n")).unwrap();
    let said = listing(|out| lists::check(&args, out));
    assert!(
        said.contains("feed binance: BTCUSDT (trades, quotes) at ws://a:1, silent after 90s\n"),
        "{said}"
    );
    assert!(said.contains("\nhttp off\n") && !said.contains("not used"), "{said}");
    fs::write(&file, "[[rules]]\nname = \"a\"\nwhen = \"price > 1\"\n").unwrap();
    let said = listing(|out| lists::check(&args, out));
    assert!(
        said.contains("\nrules: 1, silences: 0, inhibitions: 0\n") && !said.contains("not used"),
        "{said}"
    );
    let (there, none) = (file.display(), directory.path().join("none"));
    let sink = |secret: &dyn std::fmt::Display| {
        format!(
            "[[sinks]]\nname = \"pager\"\nkind = \"webhook\"\nurl = \"https://a/\"\nsecret_file = \"{secret}\"\n"
        )
    };
    let not_here =
        format!("not here: {}, the `secret_file` of sink `pager`; a run needs it\n", none.display());
    for (text, is_there) in [(sink(&there), true), (sink(&none.display()), false)] {
        fs::write(&file, text).unwrap();
        assert_eq!(listing(|out| lists::check(&args, out)).contains(&not_here), !is_there);
    }
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        let failure = Failure::from(lists::check(&args, &mut Vec::new()).unwrap_err());
        assert_eq!(failure.code, Code::Usage);
        failure.to_string()
    };
    let said = refused("[http]\nlisten = \"0.0.0.0:7311\"\n");
    let expected =
        format!("{}: 0.0.0.0:7311 can be reached by others and there are no tokens", file.display());
    assert!(said.starts_with(&expected), "{said}");
    let tokens = "[http]\nlisten = \"0.0.0.0:7311\"\ntokens_file = \"tokens.toml\"\n";
    for right in [tokens, "[http]\nlisten = \"127.0.0.1:7311\"\n", "[http]\nlisten = \"[::1]:7311\"\n"] {
        fs::write(&file, right).unwrap();
        assert!(listing(|out| lists::check(&args, out)).contains("\nhttp on "), "{right}");
    }
    fs::write(&file, "[[windows]]\nname = \"5m\"\nstats = [\"vwp\"]\n").unwrap();
    let failure = Failure::from(lists::check(&args, &mut Vec::new()).unwrap_err());
    assert_eq!(failure.code, Code::Usage);
    assert_eq!(
        failure.to_string(),
        format!(
            "{}:3:10: unknown statistic or set `vwp`; the nearest is `vwap`\n  3 | stats = [\"vwp\"]\n    |          ^^^^^",
            file.display()
        )
    );
}
