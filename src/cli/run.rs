//! `run` and `record`: what to connect to, and the end told.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use feeds::live::Channel;
use feeds::symbol::Symbol;
use feeds::time::{Nanos, SECOND};
use feeds::venue::Venue;
use feeds::venues::{VENUES, by_id};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;
use tokio::sync::{mpsc, oneshot};

use super::Failure;
use super::args::{FeedArgs, RecordArgs, RunArgs};
use super::files;
use super::screen::Screen;
use super::summary;
use crate::clock;
use crate::config::limits::{CA_BYTES_MAX, SILENCE};
use crate::config::{Catalogue, Config};
use crate::feed::dial::TcpDial;
use crate::feed::{ConnectionStatus, FeedSpec};
use crate::live::control::Command;
use crate::live::generation;
use crate::live::recorder::Recorder;
use crate::live::service::{self, Service, Watch};
use crate::live::{Deck, LiveOptions};
use crate::replay::stop::Stop;
use crate::serve::{self, Bound, Server};
use crate::sink::{Means, SinkError, Sinks};
use crate::store::open_writer;
use crate::tape::Cut;
use crate::view::{Facts, Viewer};

/// What a certificate in PEM begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Where results go if nothing says.
const DEFAULT_DB: &str = "data";

/// `run`.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = config(&args.feeds)?;
    files::make_room(config.access.bounds.connections);
    let service = service(&args.feeds, &config)?;
    let listen = args.listen.as_ref().unwrap_or(&config.listen);
    let bound =
        serve::bind_for(listen, &config.access.clone().with_token_file()?).map_err(anyhow::Error::from)?;
    let db =
        args.db.clone().or_else(|| config.engine.db.clone()).unwrap_or_else(|| PathBuf::from(DEFAULT_DB));
    let store = open_writer(&db)?;
    let recorder = args.record.as_ref().map(|folder| Recorder::start(folder, clock::wall())).transpose();
    let cores = available_parallelism().map_or(1, usize::from);
    let workers = args.workers.or(config.engine.workers).unwrap_or(cores);
    let checkpoint_every = config.engine.checkpoint_every;
    let facts = Facts { db: Some(db.clone()), recording: args.record.clone(), checkpoint_every };
    let options = LiveOptions { config, workers, cut: Cut::Adaptive, sabotage: None };
    generation::found(&*store, clock::wall()).map_err(anyhow::Error::from)?;
    let deck =
        Deck::start(&store, &options, recorder.map_err(anyhow::Error::from)?).map_err(anyhow::Error::from)?;
    let stop = Stop::on_signals().map_err(anyhow::Error::from)?;
    let means = Means { ca: service.ca.clone() };
    let sinks = Sinks::start(&options.config.sinks, &means, &store, deck.pulse().alerts());
    let sinks = sinks.map_err(|error| match error {
        SinkError::Unopened { .. } => Failure::usage(error.to_string()),
        other => anyhow::Error::from(other).into(),
    })?;
    if let Some(path) = &args.feeds.config {
        reload_on_signal(path.clone(), deck.control()).map_err(anyhow::Error::from)?;
    }
    let viewer = Viewer::new(deck.pulse(), Arc::clone(&store), facts).controlled(deck.control());
    let viewer = viewer.telling(sinks.pulses());
    let shown = show(bound, viewer, Vec::new())?;
    if let Some(server) = &shown.server {
        let _ = writeln!(io::stderr(), "{}", place(server));
    }
    let summary = service::run(service, deck, &stop, Box::new(|_| {}));
    sinks.stop();
    drop(shown);
    let summary = summary.map_err(anyhow::Error::from)?;
    // Who reads alerts there reads nothing else.
    let has_alerts = crate::sink::are_on_stdout(&options.config.sinks);
    let mut out: Box<dyn Write + Send> =
        if has_alerts { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(out, "stopped; all that came is in {}, and the same command goes on from there", db.display())
        .map_err(anyhow::Error::from)?;
    summary::faults(&summary, &mut io::stderr());
    summary::live(&summary, &mut out)?;
    if summary.alerts > 0 {
        summary::alerts(&*store, &mut out)?;
    }
    Ok(())
}

/// Has the run take the rules of the file `path` whenever a SIGHUP comes.
fn reload_on_signal(path: PathBuf, control: mpsc::Sender<Command>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP])?;
    std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
        for _ in &mut signals {
            let (answer, told) = oneshot::channel();
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
            let asked = text.and_then(|text| {
                let asked = control.blocking_send(Command::Reload { text, answer });
                asked.map_err(|_| "the run has ended".to_owned())
            });
            let told =
                asked.and_then(|()| told.blocking_recv().unwrap_or(Err("the run has ended".to_owned())));
            match told {
                Ok(entry) => tracing::info!(entry, path = %path.display(), "the rules were read again"),
                Err(why) => tracing::error!(why, path = %path.display(), "the rules stay as they were"),
            }
        }
    })?;
    Ok(())
}

/// What people look at while it runs; ends when it is dropped.
pub(super) struct Shown {
    /// Dropped first, so that the last picture on the terminal is of the end.
    _screen: Option<Screen>,
    /// None if nobody wants it.
    pub(super) server: Option<Server>,
}

/// Shows what `viewer` sees on the page and, if there is one, on the terminal, there with `notes` below.
pub(super) fn show(bound: Option<Bound>, viewer: Viewer, mut notes: Vec<String>) -> Result<Shown, Failure> {
    let viewer = Arc::new(viewer);
    let server = bound.map(|bound| bound.serve(Arc::clone(&viewer))).transpose();
    let server = server.map_err(anyhow::Error::from)?;
    notes.extend(server.as_ref().map(place));
    let screen = Screen::start(viewer, notes).map_err(anyhow::Error::from)?;
    Ok(Shown { _screen: screen, server })
}

/// Where to look.
pub(super) fn place(server: &Server) -> String {
    let why = if server.is_elsewhere() { format!(" ({} is taken)", serve::USUAL) } else { String::new() };
    format!("look at {}://{}/{why}", server.scheme(), server.address())
}

/// `record`.
pub(super) fn record(args: &RecordArgs) -> Result<(), Failure> {
    let service = service(&args.feeds, &config(&args.feeds)?)?;
    let recorder = Recorder::of_frames(&args.out, clock::wall()).map_err(anyhow::Error::from)?;
    let stop = Stop::on_signals().map_err(anyhow::Error::from)?;
    let entries = service::record(service, recorder, &stop, watch()).map_err(anyhow::Error::from)?;
    writeln!(io::stdout(), "stopped; {entries} entries in {}", args.out.display())
        .map_err(anyhow::Error::from)?;
    Ok(())
}

fn config(args: &FeedArgs) -> Result<Config, Failure> {
    let names = Catalogue::built_in();
    Ok(match &args.config {
        Some(path) => Config::load(path, &names)?,
        None => Config::standard(&names),
    })
}

/// What the arguments, or else the configuration, ask for.
fn service(args: &FeedArgs, config: &Config) -> Result<Service, Failure> {
    let mut feeds: Vec<FeedSpec> = Vec::new();
    if args.symbols.is_empty() {
        for feed in &config.feeds {
            let channels = feed.channels.iter().filter_map(|name| Channel::by_name(name));
            let spec = FeedSpec {
                venue: live_venue(&feed.venue)?,
                symbols: feed.symbols.clone(),
                channels: channels.collect(),
                url: feed.url.clone(),
                silence: Duration::from_nanos(feed.silence.unsigned_abs()),
            };
            add(&mut feeds, spec);
        }
        if feeds.is_empty() {
            return Err(Failure::usage("the configuration has no [[feeds]]: add one, or name symbols"));
        }
    }
    for text in &args.symbols {
        let symbol = Symbol::parse(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` names no venue: write it as VENUE:NATIVE")))?;
        let venue = live_venue(symbol.venue())?;
        let channels = venue.channels().iter().filter_map(|name| Channel::by_name(name));
        let symbols = vec![symbol.native().to_owned()];
        let silence = Duration::from_nanos(SILENCE.unsigned_abs());
        add(&mut feeds, FeedSpec { venue, symbols, channels: channels.collect(), url: None, silence });
    }
    for text in &args.url {
        let (venue, url) = text.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`{text}` is no VENUE=URL: write it as VENUE=ws://HOST:PORT/PATH"))
        })?;
        let mut of_venue = feeds.iter_mut().filter(|feed| feed.venue.id() == venue).peekable();
        if of_venue.peek().is_none() {
            return Err(Failure::usage(format!("no symbol of {venue}, which --url has an address for")));
        }
        of_venue.for_each(|feed| feed.url = Some(url.to_owned()));
    }
    let ca =
        args.ca.as_deref().or(config.engine.ca.as_deref()).map(authorities).transpose()?.unwrap_or_default();
    Ok(Service { feeds, ca, seed: clock::wall().unsigned_abs(), backfill: true, limit: args.limit })
}

/// The certificates in `path`, which must be of use: else every connection would fail later, and say so one by one.
pub(super) fn authorities(path: &Path) -> Result<Vec<u8>, Failure> {
    let refuse =
        |why: String| Failure::usage(format!("no trusted certificates in {}: {why}", path.display()));
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    file.take(CA_BYTES_MAX + 1).read_to_end(&mut pem).map_err(|error| refuse(error.to_string()))?;
    if pem.len() as u64 > CA_BYTES_MAX {
        return Err(refuse(format!("it is longer than {CA_BYTES_MAX} bytes")));
    }
    if !pem.windows(CERTIFICATE.len()).any(|text| text == CERTIFICATE) {
        return Err(refuse(
            "it is a file in PEM, with a line `-----BEGIN CERTIFICATE-----` for each".to_owned(),
        ));
    }
    TcpDial::trusting(&pem).map_err(|error| refuse(error.to_string()))?;
    Ok(pem)
}

/// Adds to the feed that is like it but for its symbols.
fn add(feeds: &mut Vec<FeedSpec>, more: FeedSpec) {
    let alike = |feed: &&mut FeedSpec| {
        let (a, b) = (&**feed, &more);
        (a.venue.id(), &a.channels, &a.url, a.silence) == (b.venue.id(), &b.channels, &b.url, b.silence)
    };
    match feeds.iter_mut().find(alike) {
        Some(feed) => feed.symbols.extend(more.symbols),
        None => feeds.push(more),
    }
}

fn live_venue(id: &str) -> Result<&'static dyn Venue, Failure> {
    match by_id(id) {
        Some(venue) if venue.live().is_some() => Ok(venue),
        Some(_) => Err(Failure::usage(format!("{id} is known from files only and has no live feed"))),
        None => {
            let live = VENUES.iter().filter(|venue| venue.live().is_some()).map(|venue| venue.id());
            let advice = crate::config::nearest::advice(id, live);
            Err(Failure::usage(format!("unknown venue `{id}`; {advice}")))
        }
    }
}

/// On a terminal a line a second, else nothing.
fn watch() -> Watch {
    if !io::stderr().is_terminal() {
        return Box::new(|_| {});
    }
    let terminal = console::Term::stderr();
    let begun = clock::stamp();
    Box::new(move |connections: &[ConnectionStatus]| {
        // With the terminal gone there is nobody to tell.
        let _ = terminal.clear_line();
        let _ = terminal.write_str(&line(connections, begun.elapsed_nanos()));
    })
}

/// How the connections do after `time`, in one line.
fn line(connections: &[ConnectionStatus], time: Nanos) -> String {
    let frames: u64 = connections.iter().map(|connection| connection.frames).sum();
    format!("{} s, {} connections, {frames} frames", time / SECOND, connections.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Code;

    #[test]
    fn certificates_that_are_of_no_use_are_refused_with_the_file_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let refused = |content: Option<&[u8]>, why: &str| {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let failure = authorities(&path).unwrap_err();
            let said = failure.to_string();
            assert_eq!(failure.code, Code::Usage);
            assert!(said.contains("ca.pem: ") && said.contains(why), "{said}");
        };
        refused(None, "No such file");
        refused(Some(b"no certificate"), "-----BEGIN CERTIFICATE-----");
        refused(Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate");
        refused(Some(&vec![b'-'; CA_BYTES_MAX as usize + 1]), "longer than");
        let certificate: &[u8] = include_bytes!("../feed/tests/tls/certificate.pem");
        std::fs::write(&path, certificate).unwrap();
        assert_eq!(authorities(&path).unwrap(), certificate);
    }
}
