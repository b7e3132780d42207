//! `run` with rules, killed with -9 at any moment while five clients follow its alerts: each of them has the log, alert
//! by alert, and where the exchange sends again what was lost, the log is that of a run that was never killed. Its sinks tell
//! each alert at least once, grouped or not.
//!
//! `TAPEDECK_KILLS` says how many kills there are to be, `TAPEDECK_SEED` where they fall.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

use tapedeck::alert::{Alert, Cursor, Severity, State};
use tapedeck::clock;
use tapedeck::schema::alerts::{self, Generation};
use tapedeck::store::open_reader;

use super::crashes::{Live, head_of, line_of, simulator, started};
use super::following::{Follower, Program, Row, Socket};
use super::resending::{NATIVES, Resending};
use super::support::{Draws, Folder, number, pause, rows, since, wait_for};

/// Kills, unless the environment says otherwise: with an exchange that sends again what was lost.
const KILLS: u64 = 16;
/// And with one that goes on.
const KILLS_WITH_LOSS: u64 = 6;
/// A market of its own each.
const MARKET_SEED: u64 = 11;
/// How long one may live that is not waited for: it is killed as it opens its database, recovers or connects.
const BORN_WITHIN_MS: u64 = 150;
/// How long one may live beyond what it was waited for.
const LIVES_MS: u64 = 600;
/// At most so many events that were committed are sent again.
const AGAIN_MAX: u64 = 500;
/// Events behind the last kill.
const LAST_EVENTS: u64 = 2_000;
/// All that follow, over WebSocket.
const FOLLOWERS: &str = "tapedeck_followers{way=\"socket\"} 5";
/// Between two looks over HTTP, whose requests are counted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Rules of every kind whose conditions read trades: live and over final windows, with deadlines, with memory, over two
/// symbols, silenced and inhibited.
const RULES: &str = "
[[rules]]
name = 'burst'
when = 'volume[1s, -1] > 2 * mean(volume[1s, -1], 5)'
cooldown = '3s'
[[rules]]
name = 'held'
when = 'close[1s, -1] > vwap[1m]'
for = '2s'
severity = 'info'
[[rules]]
name = 'now'
when = 'size > 2 * mean(volume[1s], 3) and trades[1s] > 0'
until = 'trades[1s] > 2'
once_per_window = '5s'
[[rules]]
name = 'turn'
when = 'change(close[1s, -1]) > 0 then change(close[1s, -1]) < 0 within 10s'
labels = { kind = 'pattern' }
[[rules]]
name = 'quiet'
when = 'not size > 0 for 3s'
severity = 'critical'
[[rules]]
name = 'crossing'
when = 'crosses_above(price, vwap[1m])'
[[rules]]
name = 'pair'
when = '''change(\"ONE\".close[1s, -1]) > 0 and change(\"TWO\".close[1s, -1]) > 0'''
for = '500ms'
[[silences]]
name = 'some'
rules = ['turn']
symbols = ['TWO']
until = '2100-01-01T00:00:00Z'
[[inhibitions]]
source = { rules = ['quiet'] }
target = { rules = ['burst'] }
equal = []
";

/// Everything to two files: each alert by itself, and in groups that wait for less than most runs live.
const SINKS: &str = "
[[sinks]]
name = 'each'
kind = 'file'
path = 'FOLDER/each'
states = ['pending', 'firing', 'resolved']
suppressed = true
[[sinks]]
name = 'groups'
kind = 'file'
path = 'FOLDER/groups'
states = ['pending', 'firing', 'resolved']
suppressed = true
group_by = ['rule', 'label.kind']
group_wait = '100ms'
group_interval = '400ms'
";

/// With sinks, and without for a run beside it. No clock of this machine moves a symbol whose times are long past.
fn configuration(folder: &Folder, symbols: [&str; 2]) {
    let engine = "[engine]\ncheckpoint_every = '700ms'\nlateness = '500ms'\nidle = '1h'\n";
    let windows = ["1s", "5s", "1m"].map(|name| format!("[[windows]]\nname = '{name}'\n")).concat();
    let rules = RULES.replace("ONE", symbols[0]).replace("TWO", symbols[1]);
    let sinks = SINKS.replace("FOLDER", folder.path().to_str().unwrap());
    folder.write("whole.toml", format!("{engine}{windows}{rules}"));
    folder.write("c.toml", format!("{engine}{windows}{rules}{sinks}"));
}

/// The number of an alert's row, as a sink tells it.
fn told_number(row: &serde_json::Value) -> u64 {
    row["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
}

/// The file of each sink has every alert of the log, and in each of its lines they rise.
fn assert_sinks_told(folder: &Folder, log: &[Alert]) {
    for sink in ["each", "groups"] {
        let text = std::fs::read_to_string(folder.path().join(sink)).unwrap();
        let lines: Vec<Vec<u64>> = text
            .lines()
            .map(|line| {
                let said: serde_json::Value = serde_json::from_str(line).unwrap();
                let grouped = said["alerts"].as_array().map(|rows| rows.iter().map(told_number).collect());
                grouped.unwrap_or_else(|| vec![told_number(&said)])
            })
            .collect();
        assert!(lines.iter().all(|line| line.is_sorted()), "{sink}: not as in the log");
        let told: BTreeSet<u64> = lines.iter().flatten().copied().collect();
        let missing: Vec<u64> = (1..=log.len() as u64).filter(|number| !told.contains(number)).collect();
        assert!(missing.is_empty(), "{sink}: {missing:?} of {} were never told", log.len());
        let in_all = lines.iter().map(Vec::len).sum::<usize>();
        eprintln!(
            "{sink}: {} alerts in {} lines, {} of them again",
            told.len(),
            lines.len(),
            in_all - told.len()
        );
        assert!(sink == "each" || lines.len() < log.len() / 2, "{sink}: {} lines", lines.len());
    }
}

/// A port on which nobody listens, below those that systems give out by themselves, so that the engine finds it free
/// whenever it is started again.
fn free_port() -> u16 {
    let first = 20_000 + std::process::id() as u16 % 8_000;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..first + 4_000).find(free).unwrap()
}

fn log(folder: &Folder, db: &str) -> Vec<Alert> {
    let store = open_reader(&folder.path().join(db)).unwrap();
    let log: Vec<(u64, Alert)> = alerts::scan(&*store, 1).map(Result::unwrap).collect();
    for ((number, _), expected) in log.iter().zip(1..) {
        assert_eq!(*number, expected, "the log has a hole");
    }
    log.into_iter().map(|(_, alert)| alert).collect()
}

/// How many trades a database has, each once.
fn trades(folder: &Folder, db: &str) -> u64 {
    let out = folder.run(&format!("query symbols --db {db} --format csv")).fine();
    rows(&out).iter().map(|row| row["trades"].parse::<u64>().unwrap()).sum()
}

/// Five that follow, each in its own way: from the beginning, from later on, going back a little each time it comes
/// again; and the program twice, of which one is killed, too.
fn five(folder: &Folder, port: u16) -> Vec<Box<dyn Follower>> {
    let head = log(folder, "db").len() as u64;
    let store = open_reader(&folder.path().join("db")).unwrap();
    let generation = Generation::read(&*store).unwrap().number;
    let behind = |number| Cursor { generation, number };
    vec![
        Box::new(Socket::start(port, behind(0), 0)),
        Box::new(Socket::start(port, behind(head), 0)),
        Box::new(Socket::start(port, behind(head / 2), 40)),
        Box::new(Program::start(folder, port, "steady", behind(0), false)),
        Box::new(Program::start(folder, port, "mortal", behind(head), true)),
    ]
}

/// A run that is killed again and again.
struct Chase<'a> {
    folder: &'a Folder,
    line: String,
    draws: Draws,
    /// The last entry that was committed when it died.
    before: u64,
    followed: u64,
}

impl Chase<'_> {
    fn started(&self) -> Live {
        let live = started(self.folder, &self.line);
        let is_past = || {
            pause(LOOK_EVERY);
            live.committed().filter(|committed| *committed > self.before)
        };
        wait_for(is_past);
        live
    }

    /// Starts and kills: as it comes up, at work, or when all follow.
    fn kill(&mut self, followers: &mut [Box<dyn Follower>]) {
        let way = self.draws.below(4);
        let mut running = if way == 0 && self.before > 0 {
            let running = self.folder.start(&self.line);
            pause(Duration::from_millis(self.draws.below(BORN_WITHIN_MS)));
            running
        } else {
            let live = self.started();
            if way > 1 {
                all_follow(&live, followers);
                self.followed += 1;
            }
            pause(Duration::from_millis(self.draws.below(LIVES_MS)));
            live.running
        };
        running.signal("KILL");
        assert_eq!(running.wait().code(), None, "it had ended before");
        let head = head_of(self.folder, "db");
        assert!(head.applied >= self.before, "{} were committed, {} are", self.before, head.applied);
        self.before = head.applied;
        for follower in followers {
            follower.disturb(&mut self.draws);
        }
    }
}

fn all_follow(live: &Live, followers: &mut [Box<dyn Follower>]) {
    wait_for(|| {
        pause(LOOK_EVERY);
        followers.iter_mut().for_each(|follower| follower.check());
        live.get("/metrics").filter(|metrics| metrics.contains(FOLLOWERS))
    });
}

/// Waits until all have been told the whole log, and ends the run and them.
fn settle(folder: &Folder, mut live: Live, mut followers: Vec<Box<dyn Follower>>) -> Vec<Alert> {
    let head = log(folder, "db").len() as u64;
    for follower in &mut followers {
        wait_for(|| {
            follower.check();
            (follower.number() >= head).then_some(())
        });
    }
    live.running.signal("TERM");
    assert_eq!(live.running.wait().code(), Some(0));
    let log = log(folder, "db");
    let all: Vec<Row> = log.iter().zip(1..).map(|(alert, number)| Row::of(number, alert)).collect();
    for follower in followers {
        let name = follower.name();
        let (from, told) = follower.end();
        let behind = &all[from as usize..];
        let differs = told.iter().zip(behind).find(|(told, logged)| told != logged);
        assert_eq!(differs, None, "{name}: not what is in the log");
        // What came in since then may be told or not.
        let wanted = (head - from) as usize..=behind.len();
        assert!(wanted.contains(&told.len()), "{name}: {} of {wanted:?}", told.len());
    }
    log
}

/// What every run over one market says alike: all but receive times, tape numbers, revisions, and the flags of windows,
/// which say that something may be missing until it has come.
type Said =
    (String, State, (String, String), Severity, i64, [Vec<(String, String)>; 2], String, Option<String>);

fn said(alert: &Alert) -> Said {
    let windows = alert.windows.iter().map(|it| format!("{:?} {} {}", it.symbol, it.window, it.start));
    (
        alert.id.to_string(),
        alert.state,
        (alert.rule.clone(), alert.symbol.clone()),
        alert.severity,
        alert.event_time,
        [alert.labels.clone(), alert.values.clone()],
        format!("{} {:?}", alert.message, windows.collect::<Vec<_>>()),
        alert.suppressed.clone(),
    )
}

fn line(exchange: &Resending, config: &str, db: &str, port: u16) -> String {
    let symbols = NATIVES.map(|native| format!(" binance:{native}")).concat();
    let url = format!("--url binance=ws://{}/binance", exchange.address());
    format!("run --config {config} --db {db} --listen 127.0.0.1:{port} {url}{symbols}")
}

/// The log of a run that is never killed, over so many events.
fn uninterrupted(folder: &Folder, events: u64) -> Vec<Alert> {
    let exchange = Resending::start(MARKET_SEED, true);
    exchange.end_with(events);
    let mut live = started(folder, &line(&exchange, "whole.toml", "whole", 0));
    wait_for(|| (trades(folder, "whole") == events).then_some(()));
    live.running.signal("TERM");
    assert_eq!(live.running.wait().code(), Some(0));
    log(folder, "whole")
}

#[test]
fn five_who_follow_a_run_that_is_killed_are_told_what_an_uninterrupted_one_says() {
    let (folder, port) = (Folder::new(), free_port());
    configuration(&folder, ["binance:ONEUSDT", "binance:TWOUSDT"]);
    let exchange = Resending::start(MARKET_SEED, false);
    let mut chase = Chase {
        folder: &folder,
        line: line(&exchange, "c.toml", "db", port),
        draws: Draws(number("TAPEDECK_SEED", 5)),
        before: 0,
        followed: 0,
    };
    drop(chase.started().running);
    let mut followers = five(&folder, port);
    let (begin, kills) = (clock::stamp(), number("TAPEDECK_KILLS", KILLS));
    for _ in 0..kills {
        let committed = trades(&folder, "db");
        exchange.resend_from(committed.saturating_sub(chase.draws.below(AGAIN_MAX)));
        chase.kill(&mut followers);
    }
    let lasted = since(begin);
    let events = exchange.sent() + LAST_EVENTS;
    exchange.end_with(events);
    exchange.resend_from(trades(&folder, "db"));
    let live = chase.started();
    wait_for(|| (trades(&folder, "db") == events).then_some(()));
    let log = settle(&folder, live, followers);
    let whole = uninterrupted(&folder, events);
    eprintln!(
        "{kills} kills in {lasted:?}, {} with five who followed: {} alerts of {events} trades",
        chase.followed,
        log.len()
    );
    for (number, (ours, theirs)) in log.iter().zip(&whole).enumerate() {
        assert_eq!(said(ours), said(theirs), "alert {}:\n{ours:?}\n{theirs:?}", number + 1);
    }
    assert_eq!(log.len(), whole.len());
    assert_sinks_told(&folder, &log);
    assert_says_much(&log);
}

/// Otherwise it would not say much that two logs are equal.
fn assert_says_much(log: &[Alert]) {
    let mut steps: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for alert in log {
        *steps.entry((&alert.rule, alert.state.name())).or_default() += 1;
    }
    for rule in ["burst", "held", "now", "turn", "quiet", "crossing", "pair"] {
        assert!(
            steps.contains_key(&(rule, "firing")) && steps.contains_key(&(rule, "resolved")),
            "{steps:?}"
        );
    }
    assert!(
        steps.contains_key(&("held", "pending")) && steps.contains_key(&("pair", "pending")),
        "{steps:?}"
    );
    for why in ["silence:some", "inhibited:quiet"] {
        assert!(log.iter().any(|alert| alert.suppressed.as_deref() == Some(why)), "none is {why}");
    }
}

/// What is lost for good changes what rules see, but not that everybody is told the same.
#[test]
fn five_who_follow_a_run_that_loses_trades_are_told_its_log() {
    let (folder, port) = (Folder::new(), free_port() + 4_000);
    let simulator = simulator();
    let names: Vec<String> = simulator
        .totals()
        .iter()
        .map(|totals| format!("{}:{}", totals.venue, totals.made.symbols[0].native))
        .collect();
    configuration(&folder, [&names[0], &names[1]]);
    let line = line_of(&simulator).replace("127.0.0.1:0 ", &format!("127.0.0.1:{port} "));
    let draws = Draws(number("TAPEDECK_SEED", 5));
    let mut chase = Chase { folder: &folder, line, draws, before: 0, followed: 0 };
    drop(chase.started().running);
    let mut followers = five(&folder, port);
    let kills = number("TAPEDECK_KILLS", KILLS_WITH_LOSS);
    for _ in 0..kills {
        chase.kill(&mut followers);
    }
    let live = chase.started();
    all_follow(&live, &mut followers);
    let log = settle(&folder, live, followers);
    eprintln!("{kills} kills, {} with five who followed: {} alerts", chase.followed, log.len());
    assert!(!log.is_empty());
    assert_sinks_told(&folder, &log);
}
