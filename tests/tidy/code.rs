//! Rules about Rust files.

use crate::tree::{File, Offence, Tree, has_word};

/// Most lines a file may have, tests included.
const LINES: usize = 500;

/// Files that are longer, each with how long it may be and why. Numbers here only ever get smaller.
const LONGER: &[(&str, usize, &str)] = &[];

/// Folders (or single files) whose code only maps what it is given to what it returns.
const PURE: &[&str] = &[
    "feeds/src",
    "src/window",
    "src/stat",
    "src/symbol",
    "src/rule",
    "src/alert",
    "src/latency",
    "src/market",
    "src/sink/groups",
];

/// Files in pure folders that reach out all the same, and why.
const REACHING: &[(&str, &str)] = &[("src/market/file.rs", "the files that `simulate` writes")];

/// What a pure folder may not name: runtimes, the outside world, clocks.
const IMPURE: &[&str] = &[
    "actix",
    "tokio",
    "rocksdb",
    "crossbeam_channel",
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "Utc::now",
    "Local::now",
];

/// Where the order of a hash map's iteration could reach a result.
const ORDERED: &[&str] = &["src/window", "src/stat", "src/symbol", "src/rule", "src/alert"];

/// Exchanges. Their names belong to the adapters.
const VENUES: &[&str] = &[
    "binance",
    "coinbase",
    "kraken",
    "bybit",
    "okx",
    "bitstamp",
    "deribit",
    "bitget",
    "dydx",
    "bitfinex",
    "gemini",
    "bitmex",
    "kucoin",
    "gate",
    "hitbtc",
    "htx",
    "huobi",
    "hyperliquid",
    "upbit",
    "bitflyer",
    "phemex",
    "poloniex",
    "crypto-com",
];

/// Where a venue may be named beside the adapters, and why.
const VENUES_NAMED: &[(&str, &str)] = &[
    ("src/market", "the made-up market plays a real venue"),
    ("src/simulator", "it speaks their protocols"),
    ("src/cli/help", "examples for people"),
];

/// Lists that must be complete: the folder whose `mod.rs` has the list, and what marks a line that makes an entry.
const REGISTRIES: &[(&str, &str)] = &[
    ("feeds/src/venues", "impl Venue for "),
    ("feeds/src/formats", "impl Format for "),
    ("src/stat", ": Statistic"),
    ("src/sink", "impl SinkKind for "),
];

/// Every file says in its first line what it is for.
pub(crate) fn module_doc(tree: &Tree) -> Vec<Offence> {
    let silent = tree.rust().filter(|file| !file.text.starts_with("//! "));
    silent.map(|file| file.offence(1, "begin the file with `//! ` and what it is for")).collect()
}

/// Names say what a module holds.
pub(crate) fn module_name(tree: &Tree) -> Vec<Offence> {
    let empty_words = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];
    let is_empty = |file: &&File| {
        file.path.trim_end_matches(".rs").split(['/', '_']).any(|word| empty_words.contains(&word))
    };
    tree.rust().filter(is_empty).map(|file| file.offence(1, "name the file after what it holds")).collect()
}

/// Files stay short enough to read at one sitting.
pub(crate) fn length(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".rs")) {
        let most = LONGER.iter().find(|(path, ..)| *path == file.path).map_or(LINES, |(_, most, _)| *most);
        let lines = file.text.lines().count();
        if lines > most {
            offences.push(
                file.offence(lines, format!("{lines} lines, {most} are allowed: divide it by subject")),
            );
        }
    }
    offences
}

/// No file is left out of the program: each is a module of its folder.
pub(crate) fn declared(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust().filter(|file| file.is_in("src") || file.is_in("feeds/src")) {
        let is_root = ["src/lib.rs", "src/main.rs", "feeds/src/lib.rs"].contains(&file.path.as_str());
        let (folder, name) = match file.stem() {
            "mod" => file.folder().rsplit_once('/').unwrap_or(("", file.folder())),
            stem => (file.folder(), stem),
        };
        let parents = [format!("{folder}/mod.rs"), format!("{folder}/lib.rs"), format!("{folder}.rs")];
        let is_module = |text: &str| text.lines().any(|line| line.trim().ends_with(&format!("mod {name};")));
        let mut known = parents.iter().filter_map(|path| tree.get(path)).peekable();
        // A planted `mod.rs` stands alone, without the `lib.rs` above it.
        if is_root
            || (file.stem() == "mod" && known.peek().is_none())
            || known.any(|file| is_module(&file.text))
        {
            continue;
        }
        offences
            .push(file.offence(1, format!("declare `mod {name};` in {folder}/mod.rs, or remove the file")));
    }
    offences
}

/// Lists are complete: what a file of the folder makes is in the folder's list.
pub(crate) fn registries(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (folder, mark) in REGISTRIES {
        let Some(list) = tree.get(&format!("{folder}/mod.rs")) else { continue };
        for file in tree.rust().filter(|file| file.is_in(folder) && file.path != list.path) {
            let module = file.path[folder.len() + 1..].split(['/', '.']).next().unwrap_or_default();
            for (number, line) in file.program_lines().filter(|(_, line)| line.contains(mark)) {
                // A static is listed by its own name, a type by any static of its module.
                let name = line.trim().strip_prefix("pub static ").and_then(|rest| rest.split(':').next());
                let entry = format!("{module}::{}", name.unwrap_or_default());
                if !list.program_lines().any(|(_, line)| has_word(line, &entry)) {
                    offences.push(file.offence(number, format!("add {entry} to the list in {}", list.path)));
                }
            }
        }
    }
    offences
}

/// Pure folders name no runtime, clock, file or socket.
pub(crate) fn pure(tree: &Tree) -> Vec<Offence> {
    let is_pure = |file: &&File| {
        PURE.iter().any(|place| file.is_in(place)) && !REACHING.iter().any(|(path, _)| *path == file.path)
    };
    let names = |line: &str, word: &str| {
        let inside_braces = word.strip_prefix("std::").is_some_and(|part| has_word(line, part));
        has_word(line, word) || (line.contains("std::{") && inside_braces)
    };
    lines_with(tree.rust().filter(is_pure), |line| {
        let word = IMPURE.iter().find(|word| names(line, word))?;
        Some(format!("`{word}` in a pure folder: take the value as an argument, or do it in the caller"))
    })
}

/// No unordered map where results are made.
pub(crate) fn hash_order(tree: &Tree) -> Vec<Offence> {
    let is_ordered = |file: &&File| ORDERED.iter().any(|place| file.is_in(place));
    lines_with(tree.rust().filter(is_ordered), |line| {
        let word = ["HashMap", "HashSet"].into_iter().find(|word| has_word(line, word))?;
        Some(format!("`{word}` where results are made: use BTreeMap, or a vector by number"))
    })
}

/// Only adapters know exchanges by name.
pub(crate) fn venue_names(tree: &Tree) -> Vec<Offence> {
    let may_not =
        |file: &&File| file.is_in("src") && !VENUES_NAMED.iter().any(|(place, _)| file.is_in(place));
    lines_with(tree.rust().filter(may_not), |line| {
        let line = line.to_lowercase();
        let name = VENUES.iter().find(|name| has_word(&line, name))?;
        Some(format!("`{name}` outside the adapters: make it a constant of trait Venue"))
    })
}

/// No comment begins with a word in capitals and a colon or a name in brackets behind it, as those do that put something
/// off. What the code itself leaves open, clippy finds.
pub(crate) fn leftovers(tree: &Tree) -> Vec<Offence> {
    lines_with_comments(tree, |comment| {
        let (word, _) = comment.trim_start().split_once([':', '('])?;
        let shouts = word.len() > 2 && word.chars().all(|letter| letter.is_ascii_uppercase());
        shouts.then(|| format!("`{word}`: finish it, or take it out"))
    })
}

/// What `judge` says of the text of each comment that is no document.
fn lines_with_comments(tree: &Tree, judge: impl Fn(&str) -> Option<String>) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust() {
        for (number, line) in (1..).zip(file.text.lines()) {
            // Documents say what is, and begin as they like.
            let comment = line.split_once("// ");
            let comment = comment.filter(|(code, _)| !code.ends_with('/')).map(|(_, comment)| comment);
            offences.extend(comment.and_then(&judge).map(|said| file.offence(number, said)));
        }
    }
    offences
}

/// Lint exceptions end by themselves when they are no longer needed.
pub(crate) fn lint_exceptions(tree: &Tree) -> Vec<Offence> {
    lines_with(tree.rust(), |line| {
        let allows = line.contains("#[allow(") || line.contains("#![allow(");
        allows.then(|| "`allow`: write `expect(lint, reason = \"...\")`".to_owned())
    })
}

/// Messages of errors and logs can be chained: lower case, no full stop.
pub(crate) fn messages(tree: &Tree) -> Vec<Offence> {
    let marks = [
        "#[error(",
        ".context(",
        ".with_context(",
        "bail!(",
        "anyhow!(",
        "ensure!(",
        "error!(",
        "warn!(",
        "info!(",
        "debug!(",
        "trace!(",
    ];
    let mut offences = Vec::new();
    for file in tree.rust() {
        let program = file.program();
        for (at, mark) in marks.iter().flat_map(|mark| program.match_indices(mark)) {
            let line = &program[program[..at].rfind('\n').map_or(0, |at| at + 1)..];
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let goes_on = mark.starts_with(is_name) && program[..at].ends_with(is_name);
            if goes_on || line.trim_start().starts_with("//") {
                continue;
            }
            let Some(message) = message_of(&program[at + mark.len()..]) else { continue };
            let number = program[..at].lines().count().max(1);
            if let Some(fault) = fault_of(message) {
                offences.push(file.offence(number, format!("message {message:?} {fault}")));
            }
        }
    }
    offences.sort_by_key(|offence| offence.line);
    offences
}

/// The first string among the arguments that begin here which is not the value of a field.
fn message_of(arguments: &str) -> Option<&str> {
    let end = arguments.find(";\n").or_else(|| arguments.find(")]")).unwrap_or(arguments.len());
    let arguments = &arguments[..end];
    let mut from = 0;
    while let Some(open) = arguments[from..].find('"').map(|at| at + from) {
        let inside = &arguments[open + 1..];
        let close = inside.match_indices('"').map(|(at, _)| at).find(|&at| !inside[..at].ends_with('\\'))?;
        if !arguments[..open].trim_end().ends_with('=') {
            return Some(&inside[..close]);
        }
        from = open + 1 + close + 1;
    }
    None
}

/// What is wrong with a message. A name with capitals inside it, or all of them, may come first.
fn fault_of(message: &str) -> Option<&'static str> {
    let first = message.split(' ').next().unwrap_or_default();
    let mut letters = first.chars();
    let is_capital = letters.next().is_some_and(char::is_uppercase);
    let rest = letters.as_str();
    if is_capital && !rest.chars().any(char::is_uppercase) && !rest.is_empty() {
        return Some("begins with a capital: begin lower case");
    }
    (message.ends_with('.') && !message.ends_with("..")).then_some("ends with a full stop: drop it")
}

/// One offence for each line of the program's code that `fault` finds fault with.
fn lines_with<'a>(
    files: impl Iterator<Item = &'a File>,
    fault: impl Fn(&str) -> Option<String>,
) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in files {
        let faults = file.program_lines().filter_map(|(number, line)| Some((number, fault(line)?)));
        offences.extend(faults.map(|(number, what)| file.offence(number, what)));
    }
    offences
}

#[test]
fn messages_are_found_behind_fields() {
    assert_eq!(message_of("venue = \"x\", path = %p, \"opened\");\n"), Some("opened"));
    assert_eq!(message_of("|| format!(\"open {p}\"))?;\n"), Some("open {p}"));
    assert_eq!(message_of("source)]\n\"x\""), None);
}
