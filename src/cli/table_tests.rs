//! The picture at three widths: nothing wraps, what matters most stays, and the ledger is an equation.

use std::collections::BTreeMap;

use console::{measure_text_width, strip_ansi_codes};

use super::table::{Size, lines};
use crate::feed::slot::SlotState;
use crate::latency::Stage;
use crate::symbol::ledger::Ledger;
use crate::view::{Columns, LatencyView, Status, SymbolView, VenueView, View, WindowView};

fn symbol(name: &str, silent: bool) -> SymbolView {
    SymbolView {
        symbol: name.to_owned(),
        last: Some("64321.5".to_owned()),
        side: Some("sell"),
        bid: Some("64321.4".to_owned()),
        ask: Some("64321.6".to_owned()),
        spread: Some("0.2".to_owned()),
        spread_bps: Some(0.031),
        trades: 10,
        quotes: 20,
        ticks_per_s: 30.4,
        age_s: Some(0.2),
        state: Some(SlotState::Live),
        silent,
        window: Some(WindowView {
            window: "1s".to_owned(),
            start: String::new(),
            trades: Some(1_234),
            volume: Some("0.75".to_owned()),
            flags: "gap".to_owned(),
        }),
    }
}

fn view(symbols: usize) -> View {
    let ledger = Ledger {
        received: 1_010,
        aggregated: 1_000,
        late: 3,
        duplicate: 7,
        trades: 500,
        quotes: 503,
        ..Ledger::default()
    };
    let status = Status {
        version: "1.2.3",
        run: 0,
        uptime_s: 3_725.0,
        ended: false,
        ready: false,
        unready: vec!["1 of 2 connections wait".to_owned()],
        tape: 12_345,
        committed: 12_000,
        checkpoints: 4,
        checkpoint_age_s: Some(0.5),
        ledger: Columns(ledger),
        trades: 500,
        quotes: 503,
        symbols,
        out_of_service: Vec::new(),
        windows: 99,
        ticks_per_s: 2_031.7,
        queues: Vec::new(),
        backfills_refused: 0,
        alerts: 0,
        db: None,
        recording: None,
        memory_bytes: None,
    };
    let venue = VenueView {
        venue: "made".to_owned(),
        connections: 2,
        live: 1,
        frames: 7_000,
        gaps: 1,
        missing: 5,
        unknown_fields: BTreeMap::from([("multiplier".to_owned(), 7)]),
        ..VenueView::default()
    };
    let latency = LatencyView {
        stage: Stage::Committed.name(),
        venue: "made".to_owned(),
        count: 9,
        p50_us: 1_250.0,
        p99_us: 20_400.0,
        p999_us: 30_000.0,
        max_us: 31_000.0,
    };
    let symbols = (0..symbols).map(|at| symbol(&format!("made:SYM{at:04}USDT"), at == 1)).collect();
    View {
        sinks: Vec::new(),
        at: String::new(),
        status,
        connections: Vec::new(),
        venues: vec![venue],
        symbols,
        latency: vec![latency],
    }
}

fn text(view: &View, width: usize, height: usize) -> Vec<String> {
    let plain = lines(view, &["look here".to_owned()], Size { width, height, colours: false });
    let coloured = lines(view, &["look here".to_owned()], Size { width, height, colours: true });
    let stripped: Vec<String> = coloured.iter().map(|line| strip_ansi_codes(line).into_owned()).collect();
    assert_eq!(plain, stripped, "colours move nothing");
    assert!(plain.len() < height.max(2), "{} lines of {height}", plain.len());
    for line in &plain {
        assert!(measure_text_width(line) <= width, "{width}: {line}");
    }
    plain
}

#[test]
fn a_wide_terminal_shows_every_column() {
    let shown = text(&view(2), 200, 40);
    assert_eq!(
        shown,
        [
            "tapedeck 1.2.3  not ready  up 1:02:05  2,031 ticks/s  tape 12,345  committed 12,000, 0.5 s ago  99 windows",
            "  1 of 2 connections wait",
            "",
            "symbol               last  spread   bp  1s trades  1s volume  ticks/s  commit p50    p99  feed    flags",
            "made:SYM0000USDT  64321.5     0.2  0.0      1,234       0.75       30     1.25 ms  20 ms  live    gap",
            "made:SYM0001USDT  64321.5     0.2  0.0      1,234       0.75       30     1.25 ms  20 ms  silent  gap",
            "",
            "received 1,010 = aggregated 1,000 + late 3 + duplicate 7",
            "made: 1 of 2 connections live, 7,000 frames, 5 ids missing, 1 new fields",
            "look here",
        ]
    );
}

#[test]
fn narrow_terminals_lose_the_columns_that_matter_least() {
    let (middle, narrow) = (text(&view(2), 80, 40), text(&view(2), 60, 40));
    assert_eq!(middle[3], "symbol               last  spread  1s trades  1s volume  ticks/s  feed");
    assert_eq!(narrow[3], "symbol               last  spread  ticks/s  feed");
    assert!(narrow[0].ends_with('…'));
    assert_eq!(text(&view(2), 20, 40)[3], "symbol");
}

#[test]
fn low_terminals_show_fewer_symbols_and_say_so() {
    let shown = text(&view(50), 80, 24);
    assert_eq!(shown.len(), 23);
    assert!(shown.contains(&"and 36 more".to_owned()), "{shown:?}");
    assert!(shown.contains(&"look here".to_owned()));
    assert_eq!(text(&view(50), 80, 1).len(), 1);
}
