//! A live run with its sockets: feeds on a thread of their own, the deck on this one, and a second hand between them.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use feeds::time::Nanos;
use tokio::sync::mpsc;

use super::control::Commands;
use super::pulse::Pulse;
use super::recorder::{RecordError, Recorder};
use super::{Deck, LiveError};
use crate::clock;
use crate::commit::Summary;
use crate::config::limits::DELIVERIES_WAITING;
use crate::feed::backfill::{Backfill, Wanted};
use crate::feed::delivery::Delivery;
use crate::feed::{ConnectionStatus, FeedError, FeedOptions, FeedSpec, Feeds};
use crate::replay::stop::Stop;

/// How often the wish to stop is looked for. The second hand moves with it.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks in a second.
const LOOKS_A_SECOND: u32 = 10;

/// Why feeds ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// What is behind them failed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The recording failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// They could not be started.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// No thread, or no TLS.
    #[error("the feeds cannot be started")]
    Start(#[source] io::Error),
    /// Their thread panicked.
    #[error("the thread of the feeds panicked; what was committed is safe")]
    Panicked,
}

/// What runs, and until when.
pub struct Service {
    /// What to connect to.
    pub feeds: Vec<FeedSpec>,
    /// Certificates (PEM) of authorities that are trusted beside those that browsers trust; empty for none.
    pub ca: Vec<u8>,
    /// What jitter follows from.
    pub seed: u64,
    /// Asks venues for trades that are missing.
    pub backfill: bool,
    /// Ends by itself after so long.
    pub limit: Option<Nanos>,
}

/// Hears once a second how each connection does.
pub type Watch = Box<dyn FnMut(&[ConnectionStatus]) + Send>;

/// Runs `deck` on `service` until `stop` is asked for.
///
/// # Errors
/// [`ServiceError`]; what was committed before stays.
pub fn run(service: Service, mut deck: Deck, stop: &Stop, watch: Watch) -> Result<Summary, ServiceError> {
    let pulse = Some(deck.pulse());
    let wanted = deck.wanted().filter(|_| service.backfill);
    let commands = deck.commands();
    let taken = drive(service, stop, Eyes { watch, pulse, wanted, commands }, |delivery, more| {
        Ok(deck.take(delivery, more)?)
    });
    // Whatever ended the feeds, what came is committed.
    let summary = deck.stop();
    taken?;
    Ok(summary?)
}

/// Records `service` until `stop` is asked for; nothing is computed. Returns the number of entries.
///
/// # Errors
/// [`ServiceError`].
pub fn record(
    service: Service,
    mut recorder: Recorder,
    stop: &Stop,
    watch: Watch,
) -> Result<u64, ServiceError> {
    let mut entries = 0;
    let taken =
        drive(service, stop, Eyes { watch, pulse: None, wanted: None, commands: None }, |delivery, _| {
            recorder.put(entries + 1, &delivery)?;
            entries += match &delivery {
                Delivery::Frames(decoded) => decoded.frames.len() as u64,
                _ => 1,
            };
            Ok(())
        });
    let stopped = recorder.stop(entries + 1, clock::wall());
    taken?;
    stopped?;
    Ok(entries)
}

/// Who looks at the feeds once a second, and what they are told.
struct Eyes {
    watch: Watch,
    pulse: Option<Arc<Pulse>>,
    /// What is missing comes out here.
    wanted: Option<mpsc::Receiver<Wanted>>,
    /// What people ask of the run comes out here.
    commands: Option<Commands>,
}

/// Feeds `take` with what comes; its second argument says whether more waits already.
fn drive(
    service: Service,
    stop: &Stop,
    eyes: Eyes,
    mut take: impl FnMut(Delivery, bool) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let (deliveries, mut arriving) = mpsc::channel(DELIVERIES_WAITING);
    let asked = stop.clone();
    let feeds = std::thread::Builder::new()
        .name("feeds".to_owned())
        .spawn(move || actix::System::new().block_on(connect(service, deliveries, asked, eyes)))
        .map_err(ServiceError::Start)?;
    let mut result = Ok(());
    while let Some(delivery) = arriving.blocking_recv() {
        result = take(delivery, !arriving.is_empty());
        if result.is_err() {
            stop.ask();
            break;
        }
    }
    // Whoever waits for room finds that there is nobody.
    drop(arriving);
    let ended = feeds.join().unwrap_or(Err(ServiceError::Panicked));
    result?;
    ended
}

/// The feeds, from their start to their end.
async fn connect(
    service: Service,
    deliveries: mpsc::Sender<Delivery>,
    stop: Stop,
    mut eyes: Eyes,
) -> Result<(), ServiceError> {
    let options = FeedOptions::tcp_trusting(service.seed, &service.ca).map_err(ServiceError::Start)?;
    let backfill = Backfill::new(&service.feeds, &options, deliveries.clone()).map_err(FeedError::from)?;
    let feeds = Rc::new(Feeds::start(&service.feeds, deliveries.clone(), options)?);
    let asking = eyes.wanted.take().map(|wanted| tokio::task::spawn_local(backfill.run(wanted)));
    let granting = eyes.commands.take().map(|commands| {
        tokio::task::spawn_local(commands.grant(deliveries.clone(), Some(Rc::clone(&feeds))))
    });
    let begun = clock::stamp();
    let mut looks: u32 = 0;
    let is_over = || service.limit.is_some_and(|limit| begun.elapsed_nanos() >= limit);
    while !stop.asked() && !is_over() {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        if looks.is_multiple_of(LOOKS_A_SECOND) {
            let connections = feeds.status();
            (eyes.watch)(&connections);
            if let Some(pulse) = &eyes.pulse {
                pulse.ask(connections, deliveries.max_capacity() - deliveries.capacity());
            }
            if deliveries.send(Delivery::Time { received_at: clock::wall() }).await.is_err() {
                break;
            }
        }
    }
    // Whoever takes deliveries may be gone.
    let _ = deliveries.send(Delivery::Stopping { received_at: clock::wall() }).await;
    drop(deliveries);
    for task in [asking, granting].into_iter().flatten() {
        task.abort();
        // It has ended, by itself or by that.
        let _ = task.await;
    }
    // Who else had it has ended.
    if let Some(feeds) = Rc::into_inner(feeds) {
        feeds.stop().await;
    }
    Ok(())
}
