//! No silent error: a live run on faulty exchanges against the same market without a fault. What has no flag is equal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use feeds::frame::FrameCounts;
use feeds::number::Decimal;
use feeds::symbol::{Symbol, SymbolId};
use feeds::time::{self, Nanos, SECOND};
use feeds::venue::{DuplicateKey, Output};
use feeds::venues::by_id;
use tapedeck::clock;
use tapedeck::config::{Catalogue as Names, Config};
use tapedeck::feed::delivery::{ConnectionId, Decoded, Delivery, RawFrame};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::{Change, Market, MarketEvent, MarketSpec};
use tapedeck::output::Cell;
use tapedeck::query::{Catalogue, Filter, tables};
use tapedeck::simulator::protocol::PROTOCOLS;
use tapedeck::simulator::totals::Totals;
use tapedeck::store::Store;
use tapedeck::tape::Cut;

use crate::exchanges::Exchanges;
use crate::support::{dumped, memory};

/// Events of each exchange, and how many of them in a second.
const EVENTS: u64 = 5_400;
const RATE: u64 = 300;
/// What goes wrong at every exchange, once it is open. Losses are close together, so that much of the run is sound. What
/// is sent slowly just before comes more than a second late, which is more than messages overtake each other by.
const FAULTS: &str = "duplicate@600*9,slow@1740*90,garbage@1800*5";
/// Where ids or the venue's own counting show what is missing.
const LOSSES: &str = "gap@1500*5,silence@1700*60";
/// What goes wrong with connections, at one half of the exchanges and at the other: waits grow with every failure, and
/// all of them together would take a minute to get over.
const CONNECTIONS: [&str; 2] =
    ["too-many@1,disconnect@1850,shutdown@2400*100", "unavailable@1,half-open@1850"];
/// Streams that bring nothing for so long are alarming.
const SILENCE: Duration = Duration::from_millis(800);
/// Their quotes have no time of their own: in which window they are depends on when they came.
const UNTIMED_QUOTES: [&str; 2] = ["binance", "binance-us"];
/// Their quotes have no id but their time, so that of several within a millisecond, which this market has, one counts.
const QUOTES_BY_TIME: [&str; 1] = ["bitstamp"];

fn config() -> Config {
    let text = "[engine]\nidle = \"1s\"\n[[windows]]\nname = \"trades\"\nsize = \"250ms\"\n\
                [[windows]]\nname = \"second\"\nsize = \"1s\"\n\
                [[windows]]\nname = \"quotes\"\nsize = \"250ms\"\nstats = [\"quote\"]\n";
    Config::parse("made", text, &Names::built_in()).unwrap()
}

/// A venue's market as it was made, given to the engine as ticks: no socket, no frame, no decoder.
fn faultless(market: MarketSpec, totals: &Totals) -> Arc<dyn Store> {
    let venue = by_id(&totals.venue).unwrap();
    let mut market = Market::new(MarketSpec { start: totals.opened_at.unwrap(), ..market });
    let instruments = market.instruments().to_vec();
    let (connection, store) = (ConnectionId(1), memory());
    let options = LiveOptions { config: config(), workers: 1, cut: Cut::Adaptive, sabotage: None };
    let mut deck = Deck::start(&store, &options, None).unwrap();
    let opened = Delivery::Opened { connection, venue, address: "made".to_owned(), received_at: 0 };
    deck.take(opened, true).unwrap();
    let made = market.by_ref().take(usize::try_from(EVENTS).unwrap());
    let ticks = made.map(|mut event| {
        if let Change::Quote { id, .. } = &mut event.change
            && QUOTES_BY_TIME.contains(&venue.id())
        {
            *id = event.exchange_ts.unsigned_abs();
        }
        instruments[event.symbol as usize].tick(&event, SymbolId(event.symbol))
    });
    let output = Output { ticks: ticks.collect(), ..Output::default() };
    let last = output.ticks.last().and_then(|tick| tick.received_at()).unwrap();
    let (entered, ticks) = (clock::stamp(), output.ticks.len());
    let decoded = Decoded {
        connection,
        frames: vec![RawFrame { received_at: last, entered, payload: Bytes::new(), ticks }],
        output,
        counts: FrameCounts::default(),
        new_symbols: totals.made.symbols.iter().map(|it| Symbol::new(venue.id(), &it.native)).collect(),
        decoded: entered,
    };
    deck.take(Delivery::Frames(Box::new(decoded)), true).unwrap();
    // Long enough for every window to come to its end.
    deck.take(Delivery::Time { received_at: last + 60 * SECOND }, false).unwrap();
    let summary = deck.stop().unwrap();
    let ledger = summary.ledger;
    assert_eq!((ledger.received, ledger.aggregated + ledger.duplicate), (EVENTS, EVENTS), "{ledger:?}");
    store
}

/// Which result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    window: String,
    symbol: String,
    start: String,
}

/// The flags and the statistics of each result.
fn windows(store: &Arc<dyn Store>) -> BTreeMap<Place, (String, String)> {
    let dump = dumped(store);
    let windows = dump.lines().filter_map(|line| line.strip_prefix("window,")).map(|line| {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        let [window, symbol, start, _, flags, stats] = fields[..] else { panic!("{line}") };
        let [window, symbol, start] = [window, symbol, start].map(str::to_owned);
        (Place { window, symbol, start }, (flags.to_owned(), normal(stats)))
    });
    windows.collect()
}

/// Statistics with decimals written without the zeros at their ends.
fn normal(stats: &str) -> String {
    let stats = stats.split(',').map(|stat| {
        let (name, value) = stat.split_once('=').unwrap();
        let plain = Decimal::parse(value.as_bytes()).ok().filter(|_| value.contains('.'));
        let value = plain.map_or(value, |_| value.trim_end_matches('0').trim_end_matches('.'));
        format!("{name}={value}")
    });
    stats.collect::<Vec<_>>().join(",")
}

fn is_flagged(flags: &str) -> bool {
    ["gap", "stale", "partial"].iter().any(|flag| flags.contains(flag))
}

fn is_untimed(place: &Place) -> bool {
    let (venue, _) = place.symbol.split_once(':').unwrap();
    place.window == "quotes" && UNTIMED_QUOTES.contains(&venue)
}

/// Without what says which trade was the first and the last: of trades of one time that is told by when they came, and
/// what was missing came last.
fn untied(stats: &str) -> Vec<&str> {
    let tied = ["open=", "close=", "first_id=", "last_id="];
    stats.split(',').filter(|stat| !tied.iter().any(|name| stat.starts_with(name))).collect()
}

/// By symbol and channel: stretches in which ticks are missing, or may be.
type Gaps = BTreeMap<(String, String), Vec<(Nanos, Nanos)>>;

/// True if ticks may be missing there.
fn is_in(gaps: &Gaps, place: &Place) -> bool {
    let channel = if place.window == "quotes" { "quotes" } else { "trades" };
    let start = time::parse_words(&place.start).unwrap();
    let size = if place.window == "second" { SECOND } else { SECOND / 4 };
    let of_symbol = gaps.get(&(place.symbol.clone(), channel.to_owned()));
    of_symbol.is_some_and(|gaps| gaps.iter().any(|&(after, before)| after < start + size && before >= start))
}

/// What the list of gaps says.
fn gaps(store: &Arc<dyn Store>) -> Gaps {
    let catalogue = Catalogue::read(&**store).unwrap();
    let (_, rows) = tables::gaps(&**store, &catalogue, &Filter::default()).unwrap();
    let mut gaps = Gaps::new();
    for row in rows {
        let row = row.unwrap();
        let [Cell::Text(symbol), .., after, before, Cell::Text(channel), _] = &row[..] else {
            panic!("{row:?}")
        };
        let time = |cell: &Cell, otherwise| if let Cell::Time(time) = cell { *time } else { otherwise };
        let stretch = (time(after, Nanos::MIN), time(before, Nanos::MAX));
        gaps.entry((symbol.clone(), channel.clone())).or_default().push(stretch);
    }
    gaps
}

/// A script in which trades come behind the next one of their symbol. That one is of another time: of trades of one time
/// the first is the one that came first, whatever their ids say.
fn reorders(market: MarketSpec) -> String {
    let events: Vec<MarketEvent> = Market::new(market).take(usize::try_from(EVENTS).unwrap()).collect();
    let is_apart = |at: usize| {
        let is_next =
            |it: &&MarketEvent| it.symbol == events[at].symbol && matches!(it.change, Change::Trade { .. });
        let mut from = events[at..].iter().filter(is_next).map(|it| it.exchange_ts);
        matches!(events[at].change, Change::Trade { .. }) && from.next() < from.next()
    };
    let chosen = (900..).filter(|at| is_apart(*at)).step_by(20).take(3);
    chosen.map(|at| format!("reorder@{}", at + 1)).collect::<Vec<_>>().join(",")
}

#[test]
fn windows_without_a_flag_are_those_of_the_market_without_a_fault() {
    let market = MarketSpec { symbols: 3, ticks_per_second: RATE, ..MarketSpec::default() };
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (protocol, connections) in PROTOCOLS.iter().zip(CONNECTIONS.iter().cycle()) {
        let proves = by_id(protocol.venue()).unwrap().trade_key() == DuplicateKey::Contiguous;
        let losses = if proves { LOSSES } else { "" };
        let faults = format!("{connections},{FAULTS},{},{losses}", reorders(market));
        groups.entry(faults).or_default().push(protocol.venue());
    }
    let groups = groups.into_iter().map(|(faults, venues)| (venues, faults)).collect();
    let exchanges =
        Exchanges { market, groups, events: EVENTS, config: config(), backfill: true, silence: SILENCE };
    let ran = exchanges.run();
    ran.assert_told_and_replayed(config());
    let (mut live, gaps) = (windows(&ran.store), gaps(&ran.store));
    let (mut equal, mut repaired, mut flagged, mut wrong) =
        (0, 0, BTreeMap::<String, usize>::new(), Vec::new());
    for totals in &ran.totals {
        for (key, (flags, stats)) in windows(&faultless(market, totals)) {
            assert_eq!(flags, "", "{key:?}");
            if is_untimed(&key) {
                continue;
            }
            let Place { window, symbol, start } = &key;
            match live.remove(&key) {
                Some((flags, _)) if is_flagged(&flags) => *flagged.entry(flags).or_default() += 1,
                Some((flags, ours)) if flags.contains("backfilled") && untied(&ours) == untied(&stats) => {
                    repaired += 1;
                }
                Some((_, ours)) if ours == stats => equal += 1,
                Some((flags, ours)) => {
                    wrong.push(format!("{window} {symbol} {start} {flags}\n  {ours}\nnot\n  {stats}"));
                }
                // A window that is not there has no flag: the list of gaps has it.
                None if is_in(&gaps, &key) => *flagged.entry("absent".to_owned()).or_default() += 1,
                None => wrong.push(format!("{window} {symbol} {start} is not there: {stats}")),
            }
        }
    }
    live.retain(|key, (flags, _)| !is_untimed(key) && !is_flagged(flags));
    wrong.extend(live.into_iter().map(|(key, stats)| format!("{key:?} never was: {stats:?}")));
    assert!(wrong.is_empty(), "{} of {equal} windows:\n{}", wrong.len(), wrong.join("\n"));
    for flag in ["gap", "stale"] {
        assert!(flagged.keys().any(|flags| flags.contains(flag)), "{flagged:?}");
    }
    assert!(repaired > 0, "nothing that was missing came later");
    let in_all = flagged.values().sum::<usize>();
    assert!(equal + repaired > in_all, "{equal} windows have no flag, {repaired} are repaired; {flagged:?}");
}
