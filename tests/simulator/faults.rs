//! What is missing, repeated or spoilt is what the script says.

use feeds::frame::FrameKind;
use feeds::live::Notice;
use feeds::tick::Event;
use tapedeck::simulator::totals::SymbolTotals;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Client, End, account, all_streams, put, socket_path, spec, start};

const VENUE: &str = "binance";

/// The ids of all trades of a client, in the order in which they came.
fn ids(client: &Client, symbol: &str) -> Vec<u64> {
    let of = client
        .out
        .ticks
        .iter()
        .filter(|tick| client.symbols.symbols()[tick.symbol.0 as usize].native() == symbol);
    of.filter_map(|tick| match &tick.event {
        Event::Trade(trade) => trade.id(),
        _ => None,
    })
    .collect()
}

#[tokio::test]
async fn a_gap_is_what_the_past_has() {
    let simulator = start(VENUE, "gap@200*30:BTCUSDT,gap@800*7:ETHUSDT", 2_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    let totals = simulator.totals().remove(0);
    let mut account = client.account(&totals.sent);
    assert_eq!(account, totals.sent);
    for (symbol, missing) in [(0, 30), (1, 7), (2, 0)] {
        let (sent, made) = (&mut account.symbols[symbol], &totals.made.symbols[symbol]);
        assert_eq!(made.trades - sent.trades, missing);
        assert_eq!(made.quotes, sent.quotes);
        let holes: Vec<(u64, u64)> =
            sent.runs.windows(2).map(|pair| (pair[0].1 + 1, pair[1].0 - 1)).collect();
        assert_eq!(holes.iter().map(|(first, last)| last - first + 1).sum::<u64>(), missing);
        let native = made.native.clone();
        for (first, last) in holes {
            let ticks = client.past(&simulator, &native, first, last).await;
            let mut past = SymbolTotals { size_scale: sent.size_scale, ..SymbolTotals::default() };
            ticks.iter().for_each(|tick| put(&mut past, tick));
            assert_eq!(past.runs, [(first, last)]);
            sent.volume += past.volume;
            sent.trades += past.trades;
        }
        assert_eq!((sent.trades, sent.volume), (made.trades, made.volume));
    }
}

#[tokio::test]
async fn the_past_has_the_same_trades_as_the_socket() {
    let simulator = start(VENUE, "", 1_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    client.run_out().await;
    let came: Vec<String> = client
        .out
        .ticks
        .iter()
        .filter(|tick| client.symbols.symbols()[tick.symbol.0 as usize].native() == "BTCUSDT")
        .filter(|tick| matches!(tick.event, Event::Trade(_)))
        .map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event))
        .collect();
    let all = ids(&client, "BTCUSDT");
    let past = client.past(&simulator, "BTCUSDT", all[0], all[all.len() - 1]).await;
    let told: Vec<String> =
        past.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect();
    assert_eq!(told, came);
}

#[test]
fn a_fault_of_a_symbol_that_nobody_has_is_refused() {
    let refused =
        |faults: &str| Simulator::start(spec(VENUE, faults, 1)).err().map(|error| error.to_string());
    let said = refused("gap@10:BTCUSDT,gap@10:BTCUSTD");
    assert_eq!(said.as_deref(), Some("no symbol `BTCUSTD` for a fault; the nearest is `BTCUSDT`"));
    let said = refused("silence@10:no-such-symbol");
    assert_eq!(said.as_deref(), Some("no symbol `no-such-symbol` for a fault; write it as on the wire"));
    assert_eq!(refused("gap@10:BTCUSDT"), None);
    // Venues write symbols in their own ways; one of them is enough.
    let both = SimulatorSpec {
        venues: vec![VENUE.to_owned(), "okx".to_owned()],
        ..spec(VENUE, "gap@1:BTC-USDT", 1)
    };
    assert!(Simulator::start(both).is_ok());
}

#[tokio::test]
async fn silence_is_of_one_symbol() {
    let simulator = start(VENUE, "silence@500*1000:BTCUSDT", 2_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    let totals = simulator.stop().remove(0);
    assert_eq!(client.account(&totals.sent), totals.sent);
    let missing: Vec<(u64, u64)> = totals
        .made
        .symbols
        .iter()
        .zip(&totals.sent.symbols)
        .map(|(made, sent)| (made.trades - sent.trades, made.quotes - sent.quotes))
        .collect();
    assert!(missing[0].0 > 50 && missing[0].1 > 50, "{missing:?}");
    assert_eq!(missing[1..], [(0, 0); 4]);
}

#[tokio::test]
async fn repeats_and_disorder_lose_nothing() {
    let simulator = start(VENUE, "duplicate@300*4:BTCUSDT,reorder@600*3:ETHUSDT", 2_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    let totals = simulator.stop().remove(0);
    assert_eq!(client.account(&totals.sent), totals.sent);
    let (made, sent) = (&totals.made.symbols, &totals.sent.symbols);
    assert_eq!([sent[0].trades - made[0].trades, sent[1].trades - made[1].trades], [4, 0]);
    let bitcoin = ids(&client, "BTCUSDT");
    assert_eq!(bitcoin.windows(2).filter(|pair| pair[0] == pair[1]).count(), 4);
    let mut ether = ids(&client, "ETHUSDT");
    assert!(ether.windows(2).any(|pair| pair[0] == pair[1] + 1), "nothing is out of order");
    ether.sort_unstable();
    let (first, last) = made[1].runs[0];
    assert_eq!(ether, (first..=last).collect::<Vec<_>>());
    assert_eq!((made[1].volume, made[2].clone()), (sent[1].volume, sent[2].clone()));
}

#[tokio::test]
async fn rubbish_is_counted_and_costs_nothing() {
    let simulator = start(VENUE, "garbage@100*8,slow@200*5", 500);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(client.run_out().await, End::Closed(1001));
    let totals = simulator.stop().remove(0);
    assert_eq!((client.strange(), totals.spoilt), (8, 8));
    assert!(client.frames.iter().filter(|kind| matches!(kind, FrameKind::Broken(_))).count() >= 6);
    assert_eq!(client.account(&totals.sent), totals.sent);
    assert_eq!(totals.sent, totals.made);
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_a_careful_client() {
    let simulator = start(VENUE, "oversize@100", 100_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(client.run_out().await, End::TooLarge);
    assert!((50..=100).contains(&client.out.ticks.len()), "{}", client.out.ticks.len());
    let totals = simulator.stop().remove(0);
    assert_eq!(client.account(&totals.sent), totals.sent);
}

#[tokio::test]
async fn a_cut_connection_misses_what_passes_until_the_next() {
    let simulator = start(VENUE, "disconnect@700,shutdown@20000*200", 30_000);
    let mut first = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(first.run_out().await, End::Cut);
    let mut second = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(second.run_out().await, End::Closed(1001));
    let warned = second.out.notices.iter().filter(|notice| matches!(notice, Notice::Ending(_))).count();
    assert_eq!(warned, 1);
    let totals = simulator.stop().remove(0);
    // Up to the 699th event on the first; the 20,200th ends the second.
    assert_eq!(first.out.ticks.len(), 699);
    assert!((201..=19_501).contains(&second.out.ticks.len()), "{}", second.out.ticks.len());
    assert_eq!(account(&[&first, &second], &totals.sent), totals.sent);
    assert_eq!(totals.connections, 2);
}

#[tokio::test]
async fn a_half_open_connection_says_nothing_and_stays() {
    let simulator = start(VENUE, "half-open@400", 20_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    while client.out.ticks.len() < 399 {
        assert_eq!(client.step().await, None);
    }
    let mut next = Client::subscribed(&simulator, VENUE).await;
    // The next one sees the market to its end; the first one has nothing, not even an end.
    assert_eq!(next.run_out().await, End::Closed(1001));
    let wait = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(wait, client.step()).await.is_err(), "something came");
    let totals = simulator.stop().remove(0);
    assert_eq!(account(&[&client, &next], &totals.sent), totals.sent);
    assert_eq!(client.run_out().await, End::Cut);
}

#[tokio::test]
async fn connections_are_refused_by_number() {
    let simulator = start(VENUE, "too-many@1*2,unavailable@3", 10);
    let path = socket_path(feeds::venues::by_id(VENUE).unwrap());
    for (status, retry) in [(429, Some("1")), (429, Some("1")), (503, None)] {
        let Err(Error::Http(response)) = Client::connect(&simulator, VENUE, path).await else {
            panic!("not refused")
        };
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers().get("retry-after").map(|it| it.to_str().unwrap()), retry);
    }
    let mut client = Client::subscribed(&simulator, VENUE).await;
    client.run_out().await;
    let totals = simulator.stop().remove(0);
    assert_eq!((totals.refused, totals.connections, client.out.ticks.len()), (3, 1, 10));
}

#[tokio::test]
async fn a_skewed_clock_moves_times_and_nothing_else() {
    let simulator = start(VENUE, "skew@500*60000", 1_000);
    let mut client = Client::subscribed(&simulator, VENUE).await;
    client.run_out().await;
    let times: Vec<i64> = client
        .out
        .ticks
        .iter()
        .filter(|tick| matches!(tick.event, Event::Trade(_)))
        .map(|tick| tick.exchange_ts)
        .collect();
    let jumps: Vec<i64> =
        times.windows(2).map(|pair| pair[1] - pair[0]).filter(|by| *by > 1_000_000_000).collect();
    assert_eq!(jumps.len(), 1);
    assert!((60_000_000_000..61_000_000_000).contains(&jumps[0]), "{jumps:?}");
    let totals = simulator.stop().remove(0);
    assert_eq!(client.account(&totals.made), totals.made);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped_and_harms_nobody() {
    let simulator = start(VENUE, "", 60_000);
    let mut slow = Client::connect(&simulator, VENUE, "/stream").await.unwrap();
    let streams = all_streams(&simulator);
    slow.subscribe(&streams[..9]).await;
    let mut other = Client::subscribed(&simulator, VENUE).await;
    assert_eq!(other.run_out().await, End::Closed(1001));
    // What was on its way is still there.
    assert_eq!(slow.run_out().await, End::Cut);
    let totals = simulator.stop().remove(0);
    assert_eq!((totals.dropped, totals.connections), (1, 2));
    assert_eq!(other.account(&totals.made), totals.made);
    assert!((100..50_000).contains(&slow.out.ticks.len()), "{}", slow.out.ticks.len());
}
