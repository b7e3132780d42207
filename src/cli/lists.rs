//! The commands that say what there is, from the lists in the code, and whether a configuration is right.

use std::io::Write;

use anyhow::Result;
use feeds::formats::FORMATS;
use feeds::venues::VENUES;

use super::args::{CheckArgs, StatsArgs};
use crate::config::{Catalogue, Config, Listen, WINDOW_KINDS, duration};
use crate::stat::{SETS, STATISTICS};

/// `tapedeck venues`: id, name, channels, and what shows that nothing is missing.
pub(super) fn venues(out: &mut dyn Write) -> Result<()> {
    let rows = VENUES.iter().map(|venue| {
        [
            venue.id().to_owned(),
            venue.name().to_owned(),
            venue.channels().join(","),
            venue.completeness().to_owned(),
        ]
    });
    print(out, rows.collect())
}

/// `tapedeck stats`: name, type, formula; or the sets with their members.
pub(super) fn stats(args: &StatsArgs, out: &mut dyn Write) -> Result<()> {
    if args.sets {
        return print(
            out,
            SETS.iter().map(|(set, members)| [(*set).to_owned(), members.join(" ")]).collect(),
        );
    }
    let rows = STATISTICS.iter().map(|statistic| {
        let kind = format!("{:?}", statistic.value_type).to_lowercase();
        [statistic.name.to_owned(), kind, statistic.doc.to_owned()]
    });
    print(out, rows.collect())
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
    for section in config.unused() {
        writeln!(out, "{section} is checked, and not used by this version")?;
    }
    writeln!(out, "digest {}", config.digest())?;
    Ok(())
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
