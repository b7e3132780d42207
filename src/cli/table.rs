//! The picture of a live run as lines of text that fit a terminal. Pure: a view and a size in, lines out.

use console::{StyledObject, measure_text_width, style, truncate_str};

use crate::feed::slot::SlotState;
use crate::latency::Stage;
use crate::symbol::ledger::Ledger;
use crate::view::{LatencyView, Status, SymbolView, VenueView, View};

/// What there is room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Characters in a line.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
    /// True if the terminal has colours.
    pub(super) colours: bool,
}

/// Fewest symbols that are shown, however low the terminal is.
const SYMBOLS_MIN: usize = 3;
/// Spaces between columns.
const GUTTER: usize = 2;

/// A column: what stands above it, how much it matters (1 goes last), whether it is set flush left.
struct Column {
    title: String,
    rank: u8,
    is_text: bool,
}

/// A cell with what it says by its colour.
struct Cell {
    text: String,
    tone: Tone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Soft,
    Good,
    Mid,
    Bad,
}

/// The picture with `notes` below it. No line is wider than the size, and there are no more lines than fit.
pub(super) fn lines(view: &View, notes: &[String], size: Size) -> Vec<String> {
    let mut above = vec![heading(&view.status, size.colours)];
    let unready = view.status.unready.iter().filter(|_| !view.status.ended);
    above.extend(unready.map(|why| paint(&format!("  {why}"), Tone::Mid, size.colours)));
    above.push(String::new());
    let mut below = vec![String::new(), ledger(&view.status.ledger.0)];
    below.extend(view.venues.iter().map(venue));
    below.extend(notes.iter().map(|note| paint(note, Tone::Soft, size.colours)));
    // The table's own heading, the line of those left out, and the one that the cursor is in.
    let others = above.len() + below.len() + 3;
    let room = size.height.saturating_sub(others).max(SYMBOLS_MIN);
    let mut lines = above;
    lines.extend(symbols(view, room, size));
    let left_out = view.symbols.len().saturating_sub(room);
    if left_out > 0 {
        lines.push(paint(&format!("and {} more", grouped(left_out as u64)), Tone::Soft, size.colours));
    }
    lines.extend(below);
    // Narrow and low at once, what comes last is what can be missed.
    lines.truncate(size.height.saturating_sub(1).max(1));
    lines.iter().map(|line| truncate_str(line, size.width.max(1), "…").into_owned()).collect()
}

fn heading(status: &Status, colours: bool) -> String {
    let (word, tone) = match (status.ended, status.ready) {
        (true, _) => ("ended", Tone::Soft),
        (false, true) => ("ready", Tone::Good),
        (false, false) => ("not ready", Tone::Mid),
    };
    let ready = paint(word, tone, colours);
    let age = status.checkpoint_age_s.map_or("none yet".to_owned(), |age| format!("{age:.1} s ago"));
    format!(
        "tapedeck {}  {ready}  up {}  {} ticks/s  tape {}  committed {}, {age}  {} windows",
        status.version,
        clock(status.uptime_s),
        grouped(status.ticks_per_s as u64),
        grouped(status.tape),
        grouped(status.committed),
        grouped(status.windows),
    )
}

/// The ledger as the equation that it is, without the columns that have nothing.
fn ledger(ledger: &Ledger) -> String {
    let columns = Ledger::COLUMNS.iter().zip(ledger.columns());
    let parts = columns.skip(1).filter(|(name, count)| *count > 0 || **name == "aggregated");
    let parts: Vec<String> = parts.map(|(name, count)| format!("{name} {}", grouped(count))).collect();
    format!("received {} = {}", grouped(ledger.received), parts.join(" + "))
}

fn venue(venue: &VenueView) -> String {
    let mut text = format!(
        "{}: {} of {} connections live, {} frames",
        venue.venue,
        venue.live,
        venue.connections,
        grouped(venue.frames)
    );
    for (count, what) in [
        (venue.reconnects, "reconnects"),
        (venue.failures, "failed attempts"),
        (venue.refused, "refused streams"),
        (venue.silent as u64, "silent streams"),
        (venue.alarms, "alarms"),
        (venue.missing, "ids missing"),
        (venue.skipped, "messages missing"),
        (venue.undelivered, "frames lost"),
        (venue.kinds.get("broken").copied().unwrap_or(0), "broken"),
        (venue.unknown_fields.len() as u64, "new fields"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    text
}

/// The table: as many of the columns as fit, those that matter most.
fn symbols(view: &View, room: usize, size: Size) -> Vec<String> {
    let window = view.symbols.iter().find_map(|symbol| symbol.window.as_ref());
    let columns = columns(window.map_or("window", |window| &window.window));
    let rows: Vec<Vec<Cell>> =
        view.symbols.iter().take(room).map(|symbol| row(symbol, &view.latency)).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let cells = rows.iter().map(|row| measure_text_width(&row[at].text));
            cells.chain([measure_text_width(&columns[at].title)]).max().unwrap_or(0)
        })
        .collect();
    let shown = fitting(&columns, &widths, size.width);
    let line = |cells: Vec<(&str, Tone)>| {
        let cells = shown.iter().map(|&at| {
            let (text, tone) = cells[at];
            let space = " ".repeat(widths[at].saturating_sub(measure_text_width(text)));
            let painted = paint(text, tone, size.colours);
            if columns[at].is_text { painted + &space } else { space + &painted }
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GUTTER)).trim_end().to_owned()
    };
    let titles = line(columns.iter().map(|column| (column.title.as_str(), Tone::Soft)).collect());
    let rows = rows.iter().map(|row| line(row.iter().map(|cell| (cell.text.as_str(), cell.tone)).collect()));
    std::iter::once(titles).chain(rows).collect()
}

/// The places of the columns that `width` has room for.
fn fitting(columns: &[Column], widths: &[usize], width: usize) -> Vec<usize> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&at| columns[at].rank);
    let (mut shown, mut taken) = (Vec::new(), 0);
    for at in by_rank {
        let more = widths[at] + if shown.is_empty() { 0 } else { GUTTER };
        if taken + more > width && !shown.is_empty() {
            break;
        }
        taken += more;
        shown.push(at);
    }
    shown.sort_unstable();
    shown
}

fn columns(window: &str) -> Vec<Column> {
    let column = |title: &str, rank, is_text| Column { title: title.to_owned(), rank, is_text };
    vec![
        column("symbol", 1, true),
        column("last", 2, false),
        column("spread", 5, false),
        column("bp", 10, false),
        column(&format!("{window} trades"), 6, false),
        column(&format!("{window} volume"), 7, false),
        column("ticks/s", 4, false),
        column("commit p50", 8, false),
        column("p99", 9, false),
        column("feed", 3, true),
        column("flags", 11, true),
    ]
}

/// In the order of [`columns`].
fn row(symbol: &SymbolView, latencies: &[LatencyView]) -> Vec<Cell> {
    let cell = |text: String, tone| Cell { text, tone };
    let venue = symbol.symbol.split(':').next().unwrap_or_default();
    let committed = Stage::Committed.name();
    let latency = latencies.iter().find(|row| row.stage == committed && row.venue == venue);
    let time = |micros: fn(&LatencyView) -> f64| latency.map_or(String::new(), |row| millis(micros(row)));
    let window = symbol.window.as_ref();
    let turn = match symbol.side {
        Some("buy") => Tone::Good,
        Some("sell") => Tone::Bad,
        _ => Tone::Plain,
    };
    let (state, tone) = match symbol.state {
        _ if symbol.silent => ("silent", Tone::Mid),
        Some(SlotState::Live) => ("live", Tone::Good),
        Some(SlotState::Subscribing) => ("subscribing", Tone::Mid),
        Some(SlotState::Connecting) => ("connecting", Tone::Mid),
        Some(SlotState::Waiting) => ("waiting", Tone::Bad),
        Some(SlotState::Stopped) => ("stopped", Tone::Soft),
        None => ("", Tone::Plain),
    };
    vec![
        cell(symbol.symbol.clone(), Tone::Plain),
        cell(symbol.last.clone().unwrap_or_default(), turn),
        cell(symbol.spread.clone().unwrap_or_default(), Tone::Plain),
        cell(symbol.spread_bps.map_or(String::new(), |bps| format!("{bps:.1}")), Tone::Soft),
        cell(window.and_then(|window| window.trades).map_or(String::new(), grouped), Tone::Plain),
        cell(window.and_then(|window| window.volume.clone()).unwrap_or_default(), Tone::Plain),
        cell(format!("{:.0}", symbol.ticks_per_s), Tone::Plain),
        cell(time(|row| row.p50_us), Tone::Soft),
        cell(time(|row| row.p99_us), Tone::Soft),
        cell(state.to_owned(), tone),
        cell(window.map_or(String::new(), |window| window.flags.clone()), Tone::Mid),
    ]
}

fn paint(text: &str, tone: Tone, colours: bool) -> String {
    if !colours || text.is_empty() {
        return text.to_owned();
    }
    let painted = |object: StyledObject<&str>| object.force_styling(true).to_string();
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Soft => painted(style(text).dim()),
        Tone::Good => painted(style(text).green()),
        Tone::Mid => painted(style(text).yellow()),
        Tone::Bad => painted(style(text).red()),
    }
}

/// Thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as milliseconds.
fn millis(micros: f64) -> String {
    let millis = micros / 1_000.0;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

/// Seconds as a clock has them.
fn clock(seconds: f64) -> String {
    let all = seconds as u64;
    let (hours, minutes, seconds) = (all / 3_600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
