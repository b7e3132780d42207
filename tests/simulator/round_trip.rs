//! Every protocol of the simulator against the engine's decoder of that venue: its messages go in over a real socket,
//! and what it makes of the frames is what the market made, value by value.

use std::collections::BTreeMap;

use feeds::frame::FrameKind;
use feeds::live::{Channel, Notice, Stream};
use feeds::number::Decimal;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Quote, Side, Tick};
use feeds::venue::Venue;
use tapedeck::market::{Market, MarketSpec};
use tapedeck::simulator::Simulator;
use tapedeck::simulator::protocol::PROTOCOLS;
use tapedeck::simulator::totals::{SymbolTotals, Totals};
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Client, End, MARKET, account, all_streams, get, put, socket_path, spec, start};

/// Events of a short market.
const EVENTS: u64 = 3_000;
/// Venues whose quotes have no time of their own.
const UNTIMED_QUOTES: &[&str] = &["binance", "binance-us"];
/// Venues that say in words of their own that a connection will end.
const WARNING: &[&str] =
    &["binance", "binance-us", "binance-usdm", "binance-coinm", "kraken", "okx", "bitstamp"];

/// A tick as far as a frame can tell of it.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Trade { id: u64, price: Decimal, size: Decimal, side: Side, at: i64 },
    Quote { id: Option<u64>, bid: (Decimal, Decimal), ask: (Decimal, Decimal), at: Option<i64> },
}

impl Told {
    fn of(tick: &Tick, timed: bool) -> Told {
        match &tick.event {
            Event::Trade(trade) => Told::Trade {
                id: trade.id().unwrap(),
                price: trade.price(),
                size: trade.size(),
                side: trade.side,
                at: tick.exchange_ts,
            },
            Event::Quote(quote) => Told::Quote {
                id: update_of(tick, quote),
                bid: (quote.bid(), quote.bid_size()),
                ask: (quote.ask(), quote.ask_size()),
                at: timed.then_some(tick.exchange_ts),
            },
            other => panic!("{other:?}"),
        }
    }

    fn without_id(self) -> Told {
        match self {
            Told::Quote { bid, ask, at, .. } => Told::Quote { id: None, bid, ask, at },
            trade @ Told::Trade { .. } => trade,
        }
    }
}

/// The number of an update. Where a time stands in for one it is none: several updates may have it.
fn update_of(tick: &Tick, quote: &Quote) -> Option<u64> {
    quote.id().filter(|id| id.checked_mul(1_000) != u64::try_from(tick.exchange_ts).ok())
}

type Sequences = BTreeMap<(String, bool), Vec<Told>>;

/// By symbol and kind, what a client got, in order.
fn got(client: &Client) -> Sequences {
    let timed = !UNTIMED_QUOTES.contains(&client.venue.id());
    let mut sequences = Sequences::new();
    for tick in &client.out.ticks {
        let key = (client.native(tick).to_owned(), matches!(tick.event, Event::Trade(_)));
        sequences.entry(key).or_default().push(Told::of(tick, timed));
    }
    sequences
}

/// By symbol and kind, what the market made: the same market again, from the moment at which it opened.
fn made(venue: &dyn Venue, totals: &Totals) -> Sequences {
    let timed = !UNTIMED_QUOTES.contains(&venue.id());
    let market = Market::new(MarketSpec { start: totals.opened_at.unwrap(), ..MARKET });
    let instruments = market.instruments().to_vec();
    let mut sequences = Sequences::new();
    for event in market.take(EVENTS as usize) {
        let tick = instruments[event.symbol as usize].tick(&event, SymbolId(event.symbol));
        let native = totals.made.symbols[event.symbol as usize].native.clone();
        let key = (native, matches!(tick.event, Event::Trade(_)));
        sequences.entry(key).or_default().push(Told::of(&tick, timed));
    }
    sequences
}

/// `made` without the ids of quotes, if this venue's quotes have none.
fn as_told(made: Sequences, got: &Sequences) -> Sequences {
    let has_ids = got.values().flatten().any(|told| matches!(told, Told::Quote { id: Some(_), .. }));
    if has_ids {
        return made;
    }
    made.into_iter().map(|(key, told)| (key, told.into_iter().map(Told::without_id).collect())).collect()
}

fn venues() -> impl Iterator<Item = &'static dyn Venue> {
    PROTOCOLS.iter().map(|protocol| feeds::venues::by_id(protocol.venue()).unwrap())
}

#[tokio::test]
async fn what_is_decoded_is_what_was_made() {
    for venue in venues() {
        let id = venue.id();
        let simulator = start(id, "", EVENTS);
        let mut client = Client::subscribed(&simulator, id).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        assert_eq!(client.acknowledged(), all_streams(&simulator).into_iter().collect(), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(client.strange(), 0, "{id}: {:?}", client.frames);
        let got = got(&client);
        assert_eq!(got.len(), 10, "{id}");
        let made = as_told(made(venue, &totals), &got);
        for (key, told) in &got {
            assert_eq!(told.len(), made[key].len(), "{id} {key:?}");
            for (number, (got, made)) in told.iter().zip(&made[key]).enumerate() {
                assert_eq!(got, made, "{id} {key:?} {number}");
            }
        }
        // And the account is the client's, frame by frame.
        assert_eq!(client.account(&totals.sent), totals.sent, "{id}");
        assert_eq!(totals.sent, totals.made, "{id}");
        assert_eq!(totals.sent.ticks().0 + totals.sent.ticks().1, EVENTS, "{id}");
        assert_eq!((totals.frames, totals.connections), (client.frames.len() as u64, 1), "{id}");
    }
}

/// Repeats, disorder, gaps, rubbish, slowness, silence and a clock that is wrong: the account stays exact, and what comes
/// through is unchanged.
#[tokio::test]
async fn faults_change_what_comes_and_never_what_it_says() {
    let script = "duplicate@200*4,reorder@500*3,gap@900*7,garbage@1200*8,slow@1500*5,silence@1900*100,skew@2500*250,\
                  lag@2700*100";
    for venue in venues() {
        let id = venue.id();
        let simulator = start(id, script, EVENTS);
        let mut client = Client::subscribed(&simulator, id).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(client.account(&totals.sent), totals.sent, "{id}");
        let ((made_trades, made_quotes), (trades, quotes)) = (totals.made.ticks(), totals.sent.ticks());
        assert!(trades < made_trades + 4 - 7 && quotes < made_quotes, "{id}: {totals}");
        assert_eq!((totals.spoilt, totals.faults.len()), (8, 8), "{id}");
        assert_eq!(client.strange(), 8, "{id}: {:?}", client.frames);
        let made = made(venue, &totals);
        let by_id: BTreeMap<(&str, u64), &Told> = made
            .iter()
            .flat_map(|((native, _), told)| told.iter().map(move |told| (native.as_str(), told)))
            .filter_map(|(native, told)| match told {
                Told::Trade { id, .. } => Some(((native, *id), told)),
                Told::Quote { .. } => None,
            })
            .collect();
        for ((native, _), told) in &got(&client) {
            for told in told {
                let Told::Trade { id: trade, at, price, size, side } = told else { continue };
                let Told::Trade { at: made_at, price: made_price, size: made_size, side: made_side, .. } =
                    by_id[&(native.as_str(), *trade)]
                else {
                    panic!("{id}: trade {trade} of {native} was never made")
                };
                assert_eq!((price, size, side), (made_price, made_size, made_side), "{id} {native} {trade}");
                let shift = (at - made_at) / 1_000_000;
                assert!([0, 250, -100].contains(&shift), "{id} {native} {trade}: {shift}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_unsubscribed_does_not_come() {
    for venue in venues() {
        let id = venue.id();
        let simulator =
            Simulator::start(tapedeck::simulator::SimulatorSpec { opens_with: 8, ..spec(id, "", EVENTS) })
                .unwrap();
        let path = socket_path(venue);
        let mut client = Client::connect(&simulator, id, path).await.unwrap();
        let all = all_streams(&simulator);
        client.subscribe(&all[..6]).await;
        client.unsubscribe(&all[1..3]).await;
        // Now there are four; four more open the market.
        client.subscribe(&all[6..]).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(client.account(&totals.sent), totals.sent, "{id}");
        let (sent, made) = (&totals.sent.symbols, &totals.made.symbols);
        // All but the quotes of the first symbol and the trades of the second.
        assert_eq!((sent[0].trades, sent[0].quotes), (made[0].trades, 0), "{id}");
        assert_eq!((sent[1].trades, sent[1].quotes), (0, made[1].quotes), "{id}");
        assert_eq!(sent[2..], made[2..], "{id}");
        assert!(made[0].quotes > 100 && made[1].trades > 100);
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name_and_the_rest_is_taken() {
    for venue in venues() {
        let id = venue.id();
        let simulator = start(id, "", EVENTS);
        let path = socket_path(venue);
        let mut client = Client::connect(&simulator, id, path).await.unwrap();
        let unknown = Stream::new("NOSUCH", Channel::Trades);
        client.subscribe(std::slice::from_ref(&unknown)).await;
        loop {
            match client.next_answer().await {
                Notice::Refused(streams, why) => {
                    assert_eq!(streams, std::slice::from_ref(&unknown), "{id}");
                    assert!(!why.is_empty(), "{id}");
                    break;
                }
                Notice::Acknowledged(streams) => panic!("{id}: {streams:?}"),
                _ => {}
            }
        }
        client.subscribe(&all_streams(&simulator)).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(client.account(&totals.made), totals.made, "{id}");
        // Nothing is at another path.
        assert!(Client::connect(&start(id, "", 1), id, "/nowhere").await.is_err(), "{id}");
    }
}

/// A second connection begins with what its venue tells first, and goes on behind it without a hole or a repeat.
#[tokio::test]
async fn a_connection_in_the_middle_begins_where_the_market_is() {
    for venue in venues() {
        let id = venue.id();
        // Most of a second is left for coming back.
        let simulator = start(id, "disconnect@1000", 8_000);
        let mut first = Client::subscribed(&simulator, id).await;
        assert_eq!(first.run_out().await, End::Cut, "{id}");
        let mut second = Client::subscribed(&simulator, id).await;
        assert_eq!(second.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(account(&[&first, &second], &totals.sent), totals.sent, "{id}");
        let told = totals.sent.history();
        let expected = match id {
            "kraken" => (50..=250).contains(&told),
            "coinbase" => told == 5,
            _ => told == 0,
        };
        assert!(expected, "{id}: {told} past trades");
        for symbol in &totals.made.symbols {
            let mut ids = SymbolTotals::default();
            let mut updates = Vec::new();
            for tick in second.out.ticks.iter().filter(|tick| second.native(tick) == symbol.native) {
                match &tick.event {
                    Event::Trade(trade) => ids.count_trade(trade.id().unwrap(), 0),
                    Event::Quote(quote) => updates.extend(update_of(tick, quote)),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(ids.runs.len(), 1, "{id} {}: {:?}", symbol.native, ids.runs);
            assert_eq!(ids.runs[0].1, symbol.runs[0].1, "{id}: to the last trade");
            assert!(updates.is_sorted_by(|one, next| one < next), "{id} {}", symbol.native);
        }
    }
}

#[tokio::test]
async fn gaps_are_closed_by_the_past_as_it_is_asked_for() {
    let mut asked = 0;
    for venue in venues().filter(|venue| venue.past_trades().is_some()) {
        let id = venue.id();
        let simulator = start(id, "gap@500*9", EVENTS);
        let mut client = Client::subscribed(&simulator, id).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.totals().remove(0);
        let made = made(venue, &totals);
        let mut account = client.account(&totals.sent);
        let mut missing = 0;
        for symbol in &mut account.symbols {
            let holes: Vec<(u64, u64)> =
                symbol.runs.windows(2).map(|pair| (pair[0].1 + 1, pair[1].0 - 1)).collect();
            let native = symbol.native.clone();
            for (first, last) in holes {
                let ticks = client.past(&simulator, &native, first, last).await;
                missing += ticks.len();
                let told: Vec<Told> = ticks.iter().map(|tick| Told::of(tick, true)).collect();
                let of = |told: &&Told| matches!(told, Told::Trade { id, .. } if (first..=last).contains(id));
                let expected: Vec<Told> = made[&(native.clone(), true)].iter().filter(of).cloned().collect();
                assert_eq!(told, expected, "{id} {native}");
                ticks.iter().for_each(|tick| put(symbol, tick));
            }
        }
        assert_eq!(missing, 9, "{id}");
        assert_eq!(account.ticks(), totals.made.ticks(), "{id}");
        asked += 1;
    }
    assert_eq!(asked, 8);
}

#[tokio::test]
async fn questions_about_the_past_that_make_no_sense_are_refused() {
    for (venue, path, status, said) in [
        ("coinbase", "/products/NO-SUCH/trades", "404", "NotFound"),
        ("coinbase", "/products/BTC-USD/trades?limit=x", "400", "Invalid"),
        ("kraken", "/0/public/Depth", "404", "Unknown method"),
        ("kraken", "/0/public/Trades?pair=NOSUCH", "200", "Unknown asset pair"),
        ("kraken", "/0/public/Trades?pair=XBTUSD&since=x", "200", "Invalid arguments"),
        ("okx", "/api/v5/market/history-trades?instId=NO-SUCH", "200", "51001"),
        ("okx", "/api/v5/market/history-trades?instId=BTC-USDT&after=x", "200", "51000"),
        ("okx", "/api/v5/market/history-trades?instId=BTC-USDT&type=2", "200", "51000"),
        ("okx", "/api/v5/market/candles", "404", "Not Found"),
        ("bybit-spot", "/v5/market/recent-trade", "404", "not found"),
        ("deribit", "/api/v2/public/get_last_trades_by_instrument?instrument_name=NO", "400", "-32602"),
        ("deribit", "/api/v2/public/get_time", "404", "-32601"),
    ] {
        let simulator = start(venue, "", 1);
        let (head, body) = get(&simulator, &format!("/{venue}{path}")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
        assert!(body.contains(said), "{path}: {body}");
    }
}

#[tokio::test]
async fn an_end_is_announced_in_the_words_of_the_venue() {
    for venue in venues() {
        let id = venue.id();
        let simulator = start(id, "shutdown@500*200", EVENTS);
        let mut client = Client::subscribed(&simulator, id).await;
        assert_eq!(client.run_out().await, End::Closed(1001), "{id}");
        let totals = simulator.stop().remove(0);
        assert_eq!(client.out.ticks.len(), 700, "{id}");
        assert_eq!(client.account(&totals.sent), totals.sent, "{id}");
        let warned = client.out.notices.iter().any(|notice| match notice {
            Notice::Ending(_) => id != "kraken",
            Notice::Complaint(why) => id == "kraken" && why.contains("maintenance"),
            _ => false,
        });
        assert_eq!(warned, WARNING.contains(&id), "{id}: {:?}", client.out.notices);
    }
}

/// Heartbeats that name the newest trade name the one that came last.
#[tokio::test]
async fn heartbeats_come_each_second_and_name_what_came() {
    for (id, named) in [("coinbase", true), ("kraken", false)] {
        let spec = spec(id, "", 2_400);
        let market = MarketSpec { ticks_per_second: 1_000, ..MARKET };
        let simulator = Simulator::start(tapedeck::simulator::SimulatorSpec { market, ..spec }).unwrap();
        let mut client = Client::subscribed(&simulator, id).await;
        let (mut heard, mut newest) = (0, BTreeMap::new());
        let mut ticks = 0;
        while client.step().await.is_none() {
            for tick in &client.out.ticks[ticks..] {
                if let Event::Trade(trade) = &tick.event {
                    newest.insert(tick.symbol, trade.id().unwrap());
                }
            }
            ticks = client.out.ticks.len();
            for notice in std::mem::take(&mut client.out.notices) {
                if let Notice::Newest { symbol, id } = notice {
                    assert_eq!(newest.get(&symbol), Some(&id));
                    heard += 1;
                }
            }
        }
        let heartbeats = client.frames.iter().filter(|kind| **kind == FrameKind::Heartbeat).count();
        assert_eq!(heartbeats, if named { heard } else { heartbeats }, "{id}");
        assert!(heartbeats >= 2, "{id}: {heartbeats}");
        assert!(!named || heard >= 10, "{heard}");
    }
}

/// Faults of connections are the same at every venue: refusals, frames that are too large, sockets that are half open.
#[tokio::test]
async fn connections_fail_alike_at_every_venue() {
    for venue in venues() {
        let id = venue.id();
        let simulator = start(id, "too-many@1,unavailable@2,half-open@500", 600);
        for status in [429, 503] {
            let Err(Error::Http(response)) = Client::connect(&simulator, id, socket_path(venue)).await else {
                panic!("{id}: not refused")
            };
            assert_eq!(response.status().as_u16(), status, "{id}");
        }
        let mut client = Client::subscribed(&simulator, id).await;
        while client.out.ticks.len() < 499 {
            assert_eq!(client.step().await, None, "{id}");
        }
        // Nothing comes any more, not even the end.
        let wait = std::time::Duration::from_millis(100);
        assert!(tokio::time::timeout(wait, client.step()).await.is_err(), "{id}: something came");
        let totals = simulator.stop().remove(0);
        assert_eq!((totals.refused, totals.connections, totals.faults.len()), (2, 1, 1), "{id}");
        assert_eq!(client.run_out().await, End::Cut, "{id}");
        assert_eq!(client.out.ticks.len(), 499, "{id}");

        let simulator = start(id, "oversize@100", 200);
        let mut client = Client::subscribed(&simulator, id).await;
        assert_eq!(client.run_out().await, End::TooLarge, "{id}");
        assert!(client.out.ticks.len() <= 99, "{id}: {}", client.out.ticks.len());
        assert_eq!(simulator.stop().remove(0).faults.len(), 1, "{id}");
    }
}

/// Whoever has a sign of life of its own gets an answer to it.
#[tokio::test]
async fn signs_of_life_are_answered() {
    let mut asked = 0;
    for venue in venues().filter(|venue| venue.live().unwrap().ping_seconds.is_some()) {
        let id = venue.id();
        let simulator = start(id, "", 1);
        let mut client = Client::connect(&simulator, id, socket_path(venue)).await.unwrap();
        client.ping().await;
        while client.frames.last() != Some(&FrameKind::Heartbeat) {
            assert_eq!(client.step().await, None, "{id}: {:?}", client.frames);
        }
        asked += 1;
    }
    assert_eq!(asked, 6);
}
