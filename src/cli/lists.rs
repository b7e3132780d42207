//! The commands that say what there is, from the lists in the code, and whether a configuration is right.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use feeds::formats::FORMATS;
use feeds::live::{Channel, Live, Rate};
use feeds::venue::{DuplicateKey, Venue};
use feeds::venues::VENUES;

use super::args::{CheckArgs, StatsArgs};
use crate::config::{Catalogue, Config, Listen, WINDOW_KINDS, duration};
use crate::rule::{FUNCTIONS, NAMES};
use crate::serve;
use crate::stat::{SETS, STATISTICS};

/// `tapedeck venues`: a paragraph for each. Its first line is id and name; below it channels, how repeats are known,
/// what keeps a connection alive, limits, past trades, and what shows that nothing is missing.
pub(super) fn venues(out: &mut dyn Write) -> Result<()> {
    for (index, venue) in VENUES.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}  {}", venue.id(), venue.name())?;
        for (label, fact) in facts(*venue) {
            writeln!(out, "  {label:9} {fact}")?;
        }
    }
    Ok(())
}

fn facts(venue: &dyn Venue) -> Vec<(&'static str, String)> {
    let source = if venue.live().is_some() { "live and from files" } else { "from files only" };
    let mut facts = vec![("channels", format!("{}, {source}", venue.channels().join(" and ")))];
    let mut repeats = format!("trades: {}", repeats(venue.trade_key()));
    if venue.channels().contains(&Channel::Quotes.name()) {
        repeats += &format!("; quotes: {}", self::repeats(venue.quote_key()));
    }
    facts.push(("repeats", repeats));
    if let Some(live) = venue.live() {
        facts.push(("life", life(venue, live)));
        facts.push(("limits", limits(live)));
        let past = venue.past_trades().map_or_else(
            || "cannot be asked for".to_owned(),
            |past| {
                format!(
                    "asked for {}, {} an answer, {}",
                    past.reach(),
                    past.per_request(),
                    rate(past.requests(), "request")
                )
            },
        );
        facts.push(("past", past));
    }
    facts.push(("missing", venue.completeness().to_owned()));
    facts
}

fn repeats(key: DuplicateKey) -> &'static str {
    match key {
        DuplicateKey::Contiguous => "by id, which counts up by one",
        DuplicateKey::Unique => "by id",
        DuplicateKey::Row => "by id, price, size, side and time together",
        DuplicateKey::None => "nothing tells",
    }
}

fn life(venue: &dyn Venue, live: &Live) -> String {
    let ping = match live.ping_seconds {
        Some(seconds) if venue.ticket().is_some() => {
            format!("a message each {seconds} s, or as the ticket says")
        }
        Some(seconds) => format!("a message each {seconds} s"),
        None => "WebSocket's pings and what the venue sends".to_owned(),
    };
    let end = live.lifetime_seconds.map(|seconds| format!("; ended by it after {} h", seconds / 3_600));
    format!("{ping}; dead after {} s without a byte{}", live.dead_seconds, end.unwrap_or_default())
}

fn limits(live: &Live) -> String {
    format!(
        "{} streams a connection, {} a request; {}, {}",
        live.streams_per_connection,
        live.streams_per_request,
        rate(live.requests, "request"),
        rate(live.connects, "connection"),
    )
}

fn rate(rate: Rate, what: &str) -> String {
    format!("{} {what}{} in {} s", rate.count, if rate.count == 1 { "" } else { "s" }, rate.seconds)
}

/// `tapedeck stats`: name, type, unit, formula; or the sets with their members.
pub(super) fn stats(args: &StatsArgs, out: &mut dyn Write) -> Result<()> {
    if args.sets {
        return print(
            out,
            SETS.iter().map(|(set, members)| [(*set).to_owned(), members.join(" ")]).collect(),
        );
    }
    let rows = STATISTICS.iter().map(|statistic| {
        let kind = format!("{:?}", statistic.value_type).to_lowercase();
        [statistic.name.to_owned(), kind, statistic.unit.name().to_owned(), statistic.doc.to_owned()]
    });
    print(out, rows.collect())
}

/// `tapedeck functions`: the names that rules can use with what they measure, then the functions with how they are
/// written.
pub(super) fn functions(out: &mut dyn Write) -> Result<()> {
    let names = NAMES.iter().map(|n| [n.name, n.unit.name(), n.doc]);
    let functions = FUNCTIONS.iter().map(|f| [f.name, f.signature, f.doc]);
    print(out, names.chain(functions).map(|row| row.map(str::to_owned)).collect())
}

/// `tapedeck windows`: kind and what it is.
pub(super) fn windows(out: &mut dyn Write) -> Result<()> {
    print(out, WINDOW_KINDS.iter().map(|kind| [kind.name.to_owned(), kind.doc.to_owned()]).collect())
}

/// `tapedeck formats`: name and what it is.
pub(super) fn formats(out: &mut dyn Write) -> Result<()> {
    print(out, FORMATS.iter().map(|f| [f.name().to_owned(), f.describe().to_owned()]).collect())
}

/// `tapedeck check`: what the configuration says, if it is right.
pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<()> {
    let config = Config::load(&args.file, &Catalogue::built_in())?;
    serve::guarded(&config.listen, &config.access).with_context(|| args.file.display().to_string())?;
    writeln!(out, "{} is right", args.file.display())?;
    for window in &config.windows {
        let (kind, size) = (window.kind.name(), duration::format(window.size));
        writeln!(out, "window {}: {kind} {size}, {}", window.name, window.stats.join(" "))?;
    }
    for feed in &config.feeds {
        write!(out, "feed {}: {} ({})", feed.venue, feed.symbols.join(" "), feed.channels.join(", "))?;
        let url = feed.url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
        writeln!(out, "{url}, silent after {}", duration::format(feed.silence))?;
    }
    match &config.listen {
        Listen::Usual => {}
        Listen::At(address) => writeln!(out, "http on {address}")?,
        Listen::Off => writeln!(out, "http off")?,
    }
    for (path, what) in files(&config).into_iter().filter(|(path, _)| !path.is_file()) {
        writeln!(out, "not here: {}, {what}; a run needs it", path.display())?;
    }
    if !config.rules.is_empty() {
        let rules = &config.rules;
        let (silences, inhibitions) = (rules.silences.len(), rules.inhibitions.len());
        writeln!(out, "rules: {}, silences: {silences}, inhibitions: {inhibitions}", rules.rules.len())?;
    }
    for section in config.unused() {
        writeln!(out, "{section} is checked, and not used by this version")?;
    }
    writeln!(out, "digest {}", config.digest())?;
    Ok(())
}

/// Files that a run reads beside the configuration, and what they are. Where it is checked they need not be.
fn files(config: &Config) -> Vec<(&Path, String)> {
    let mut files: Vec<(&Path, String)> = Vec::new();
    files.extend(config.access.tokens_file.as_deref().map(|path| (path, "the `tokens_file`".to_owned())));
    if let Some(tls) = &config.access.tls {
        files.push((&tls.cert, "the `cert` of [http.tls]".to_owned()));
        files.push((&tls.key, "the `key` of [http.tls]".to_owned()));
    }
    for sink in &config.sinks {
        let secret = sink.secret_file.as_deref();
        files.extend(secret.map(|path| (path, format!("the `secret_file` of sink `{}`", sink.name))));
    }
    files
}

/// One row a line, columns aligned, the last one as long as it is.
fn print<const N: usize>(out: &mut dyn Write, rows: Vec<[String; N]>) -> Result<()> {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_venue_says_what_it_is() {
        let mut out = Vec::new();
        venues(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let paragraphs: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(paragraphs.len(), VENUES.len());
        for (paragraph, venue) in paragraphs.iter().zip(VENUES) {
            assert!(paragraph.starts_with(&format!("{}  {}\n", venue.id(), venue.name())), "{paragraph}");
            let labels: Vec<&str> =
                paragraph.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
            let live = ["channels", "repeats", "life", "limits", "past", "missing"];
            let files = ["channels", "repeats", "missing"];
            let expected = if venue.live().is_some() { &live[..] } else { &files[..] };
            assert_eq!(labels, expected, "{paragraph}");
        }
    }

    #[test]
    fn what_a_venue_says_is_in_words() {
        static LIVE: Live = Live {
            routes: &[],
            streams_per_connection: 7,
            streams_per_request: 2,
            requests: Rate::new(1, 3),
            connects: Rate::new(300, 300),
            ping_seconds: None,
            dead_seconds: 65,
            lifetime_seconds: Some(86_400),
        };
        assert_eq!(
            limits(&LIVE),
            "7 streams a connection, 2 a request; 1 request in 3 s, 300 connections in 300 s"
        );
        let life = life(VENUES[0], &LIVE);
        assert!(life.ends_with("; dead after 65 s without a byte; ended by it after 24 h"), "{life}");
    }
}
