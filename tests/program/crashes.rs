//! `run`, killed with -9 at any moment and started again: what it said was committed is there, what was missed is marked,
//! and every window without a mark has each of its trades.
//!
//! `TAPEDECK_KILLS` says how many kills there are to be, `TAPEDECK_SEED` where they fall.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use feeds::live::Channel;
use feeds::time::{Nanos, parse_words};
use tapedeck::clock;
use tapedeck::market::{Change, Market, MarketSpec};
use tapedeck::schema::head::{self, Head};
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::totals::Totals;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::store::{Family, open_reader};

use super::support::{Draws, Folder, Running, number, pause, rows, wait_for};

/// Kills, unless the environment says otherwise.
const KILLS: u64 = 12;
/// One whose ids say which trades are missing, and one whose ids do not.
const VENUES: [&str; 2] = ["binance", "bybit-spot"];
const MARKET: MarketSpec = MarketSpec { symbols: 3, ticks_per_second: 400, ..MarketSpec::DEFAULT };
const SECOND: Nanos = 1_000_000_000;
/// The windows of the configuration.
const WINDOWS: [(&str, Nanos); 4] =
    [("quarter", SECOND / 4), ("1s", SECOND), ("5s", 5 * SECOND), ("1m", 60 * SECOND)];
/// No answer takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at the status.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// How long one may live that is not waited for: it is killed as it opens its database, recovers or connects.
const BORN_WITHIN_MS: u64 = 150;

/// The program at work, and where it says how it does.
pub(crate) struct Live {
    pub(crate) running: Running,
    address: SocketAddr,
}

/// Starts `line` and waits until it says where to look.
pub(crate) fn started(folder: &Folder, line: &str) -> Live {
    let mut command = folder.command(line);
    command.stdout(Stdio::null());
    started_by(command)
}

/// The same with a command that starts it.
pub(crate) fn started_by(mut command: Command) -> Live {
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut running = Running { child };
    let mut said = BufReader::new(running.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut before = Vec::new();
    let address = loop {
        let Some(line) = said.next() else { panic!("it ended: {before:?}") };
        if let Some((_, rest)) = line.split_once("look at http://") {
            break rest.split('/').next().unwrap().parse().unwrap();
        }
        before.push(line);
    };
    // Nobody may have to wait for a reader of its complaints.
    std::thread::spawn(move || said.for_each(drop));
    Live { running, address }
}

impl Live {
    /// What it answers; none if it is gone.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        self.ask(&format!("GET {path}"), "", "")
    }

    /// The same of a method and path, with further headers, each with its line's end, and a body.
    pub(crate) fn ask(&self, what: &str, headers: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER_WITHIN).ok()?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    }

    /// What `/v1/status` says was committed; none if it is gone.
    pub(crate) fn committed(&self) -> Option<u64> {
        let status: serde_json::Value = serde_json::from_str(&self.get("/v1/status")?).ok()?;
        status["committed"].as_u64()
    }

    /// Waits until more than `number` entries are committed.
    fn wait_until_past(&self, number: u64) -> u64 {
        wait_for(|| self.committed().filter(|committed| *committed > number))
    }
}

/// How far the tape is in a database that nobody has open.
pub(crate) fn head_of(folder: &Folder, db: &str) -> Head {
    let store = open_reader(&folder.path().join(db)).unwrap();
    Head::decode(&store.get(Family::Meta, &head::key()).unwrap().unwrap()).unwrap()
}

fn configuration(folder: &Folder) {
    let mut text = "[engine]\ncheckpoint_every = \"700ms\"\n".to_owned();
    for (name, size) in WINDOWS {
        text += &format!("[[windows]]\nname = \"{name}\"\nsize = \"{}ms\"\n", size / 1_000_000);
    }
    folder.write("c.toml", text);
}

/// What a symbol's market made, as far as a window has it.
#[derive(Debug, PartialEq)]
struct Trades {
    count: u64,
    first: u64,
    last: u64,
}

/// By symbol, window and start.
type Places = BTreeMap<(String, &'static str, Nanos), Trades>;

/// Every window that the market of each venue has trades in, up to now.
fn truth(totals: &[Totals]) -> Places {
    let mut places = Places::new();
    for totals in totals {
        let market = Market::new(MarketSpec { start: totals.opened_at.unwrap(), ..MARKET });
        let end = clock::wall();
        for event in market.take_while(|event| event.exchange_ts < end) {
            let Change::Trade { id, .. } = event.change else { continue };
            let native = &totals.made.symbols[event.symbol as usize].native;
            for (window, size) in WINDOWS {
                let start = event.exchange_ts - event.exchange_ts % size;
                let place = (format!("{}:{native}", totals.venue), window, start);
                let trades = places.entry(place).or_insert(Trades { count: 0, first: id, last: id });
                (trades.count, trades.last) = (trades.count + 1, id);
            }
        }
    }
    places
}

/// Windows without a mark are the truth, those that are not are marked. Returns how many there are of each.
fn compare(folder: &Folder, truth: &Places) -> (usize, usize) {
    let (mut sound, mut marked) = (0, 0);
    for row in rows(&folder.run("query windows --db db --format csv").fine()) {
        let field = |name: &str| row[name].parse::<u64>().unwrap();
        let (window, _) = WINDOWS.into_iter().find(|(name, _)| *name == row["window"]).unwrap();
        let place = (row["symbol"].clone(), window, parse_words(&row["start"]).unwrap());
        let ours = Trades { count: field("trades"), first: field("first_id"), last: field("last_id") };
        if row["flags"].contains("gap") || row["flags"].contains("partial") {
            marked += 1;
            assert!(ours.count <= truth[&place].count, "{row:?}: {:?}", truth[&place]);
        } else {
            sound += 1;
            let truth = &truth[&place];
            // Which trade of one time is the first is told by when they came, and what was missing came last.
            let is_same = row["flags"].contains("backfilled") && ours.count == truth.count;
            assert!(is_same || ours == *truth, "{row:?}: {truth:?}");
        }
    }
    (sound, marked)
}

/// Every tick is in one column, and where ids count up each is in the totals once, or in the list of what is missing.
/// Returns how many came.
fn account(folder: &Folder) -> u64 {
    let mut received = 0;
    let (symbols, gaps) = (rows(&folder.query("symbols")), rows(&folder.query("gaps")));
    let windows = rows(&folder.query("windows"));
    for symbol in symbols {
        let count = |name: &str| symbol[name].parse::<u64>().unwrap();
        let parts = ["aggregated", "late", "duplicate", "rejected", "dropped", "history"].map(count);
        assert_eq!(count("received"), parts.iter().sum::<u64>(), "{symbol:?}");
        received += count("received");
        if !symbol["symbol"].starts_with(VENUES[0]) {
            continue;
        }
        let of_symbol = |row: &&BTreeMap<String, String>| row["symbol"] == symbol["symbol"];
        let missing: u64 =
            gaps.iter().filter(of_symbol).filter_map(|row| row["missing"].parse::<u64>().ok()).sum();
        let ids = windows.iter().filter(of_symbol).filter(|row| row["window"] == "1m");
        let ids: Vec<u64> =
            ids.flat_map(|row| ["first_id", "last_id"].map(|name| row[name].parse().unwrap())).collect();
        let range = ids.iter().max().unwrap() - ids.iter().min().unwrap() + 1;
        assert_eq!(count("trades") + missing, range, "{symbol:?}: {missing} are missing");
    }
    received
}

pub(crate) fn simulator() -> Simulator {
    simulator_of(&VENUES, MARKET)
}

/// Exchanges of this market, which begins when all of it is subscribed to.
pub(crate) fn simulator_of(venues: &[&str], market: MarketSpec) -> Simulator {
    Simulator::start(SimulatorSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        venues: venues.iter().map(|&venue| venue.to_owned()).collect(),
        market,
        faults: Script::default(),
        opens_with: market.symbols as usize * Channel::ALL.len(),
        events: None,
    })
    .unwrap()
}

/// What runs on `simulator`.
pub(crate) fn line_of(simulator: &Simulator) -> String {
    let mut line = "run --config c.toml --db db --listen 127.0.0.1:0".to_owned();
    for totals in simulator.totals() {
        line += &format!(" --url {0}=ws://{1}/{0}", totals.venue, simulator.address());
        let symbols = totals.made.symbols.iter().map(|it| format!(" {}:{}", totals.venue, it.native));
        line.extend(symbols);
    }
    line
}

/// Starts and kills; returns what it said before was committed, if it came to that, and when it died.
fn killed(folder: &Folder, line: &str, before: u64, draws: &mut Draws) -> (u64, Nanos) {
    let mut said = before;
    let mut running = if before > 0 && draws.below(4) == 0 {
        let running = folder.start(line);
        pause(Duration::from_millis(draws.below(BORN_WITHIN_MS)));
        running
    } else {
        let live = started(folder, line);
        said = live.wait_until_past(before);
        for _ in 0..draws.below(200) {
            said = live.committed().unwrap_or(said).max(said);
            pause(LOOK_EVERY);
        }
        live.running
    };
    let at = clock::wall();
    running.signal("KILL");
    assert_eq!(running.wait().code(), None, "it had ended before");
    (said, at)
}

#[test]
fn killed_at_any_moment_it_goes_on_and_says_what_it_missed() {
    let (folder, mut draws) = (Folder::new(), Draws(number("TAPEDECK_SEED", 5)));
    configuration(&folder);
    let simulator = simulator();
    let line = line_of(&simulator);
    let (mut before, mut deaths) = (0, Vec::new());
    for _ in 0..number("TAPEDECK_KILLS", KILLS) {
        let (said, at) = killed(&folder, &line, before, &mut draws);
        deaths.push(at);
        before = check_dead(&folder, said);
    }
    let mut live = started(&folder, &line);
    live.wait_until_past(before);
    let run = folder.last_run("db").unwrap();
    assert!(run.first > before, "entry {} is numbered again: {before} were committed", run.first);
    live.running.signal("TERM");
    assert_eq!(live.running.wait().code(), Some(0));

    let totals = simulator.stop();
    let (sound, marked) = compare(&folder, &truth(&totals));
    eprintln!("{} kills: {sound} windows are sound, {marked} are marked", deaths.len());
    assert!(sound > 0 && marked > 0);
    assert_spanning_are_marked(&folder, &totals, &deaths);
    let sent = totals.iter().map(|totals| (totals.sent.ticks(), totals.answered));
    let sent = sent.map(|((trades, quotes), answered)| trades + quotes + answered);
    let (received, sent) = (account(&folder), sent.sum::<u64>());
    assert_eq!(received, folder.last_run("db").unwrap().ticks);
    assert!(received <= sent, "{received} came of {sent}");
}

/// What was said to be committed is there, and can be read. Returns how far the tape is.
fn check_dead(folder: &Folder, said: u64) -> u64 {
    let head = head_of(folder, "db");
    assert!(head.applied >= said, "{said} was said to be committed, {} is there", head.applied);
    for what in ["windows", "symbols", "gaps", "feeds"] {
        folder.query(what);
    }
    head.applied
}

/// The minute in which a run died says that trades are missing, or were, of the most active symbols. (The first one has begun a second before.)
fn assert_spanning_are_marked(folder: &Folder, totals: &[Totals], deaths: &[Nanos]) {
    let windows = rows(&folder.query("windows"));
    for totals in totals {
        let symbol = format!("{}:{}", totals.venue, totals.made.symbols[0].native);
        let minutes: BTreeMap<Nanos, &str> = windows
            .iter()
            .filter(|row| row["window"] == "1m" && row["symbol"] == symbol)
            .map(|row| (parse_words(&row["start"]).unwrap(), row["flags"].as_str()))
            .collect();
        for at in deaths.iter().filter(|at| **at > totals.opened_at.unwrap() + SECOND) {
            let flags = minutes.get(&(at - at % (60 * SECOND)));
            assert!(
                flags.is_some_and(|flags| flags.contains("gap") || flags.contains("backfilled")),
                "died at {at}: {symbol} {minutes:?}"
            );
        }
    }
}
