//! An exchange on this machine that any client can talk to over real sockets: for tests, demonstrations and load.
//!
//! Its market is the made-up one of [`crate::market`], or a capture ([`replayed`]), in real time. A venue lives under its
//! id and then under its own path: `ws://127.0.0.1:9100/binance/stream`. It tells what it truly sent, and can be told to
//! misbehave.
//!
//! [`protocol`] says what a venue's protocol is, one file each; `market` drives the market and keeps its past;
//! `server` and `connection` hold the sockets; [`faults`] is the script of what goes wrong and `spoiling` what it makes
//! of the events; [`totals`] is the account.

pub mod faults;
pub mod market;
pub mod protocol;
pub mod replayed;
pub mod totals;

mod binance;
mod bitstamp;
mod bybit;
mod coinbase;
mod connection;
mod deribit;
mod kraken;
mod okx;
mod server;
mod spoiling;
mod wire;

#[cfg(test)]
mod tests;

pub mod cli;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use self::faults::Script;
use self::market::{Exchange, Origin};
use self::replayed::Replayed;
use self::totals::Totals;
use crate::config::nearest::{advice, nearest};
use crate::market::MarketSpec;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct SimulatorSpec {
    /// Where to listen; port 0 for any.
    pub address: SocketAddr,
    /// The ids of the venues.
    pub venues: Vec<String>,
    /// The market of each of them, where no capture is played. It opens when it opens, whatever its `start` says.
    pub market: MarketSpec,
    /// What goes wrong at each of them.
    pub faults: Script,
    /// A venue's market opens when so many streams are subscribed; with 0 at once.
    pub opens_with: usize,
    /// A venue's market ends after so many events, and every connection is closed behind the last.
    pub events: Option<u64>,
}

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// No such venue.
    #[error("unknown venue `{0}`; {1}")]
    Venue(String, String),
    /// The capture has nothing of a venue that is to play it.
    #[error("the capture has nothing of venue `{0}`; it is of {1}")]
    Absent(String, String),
    /// A fault of a symbol that no venue has.
    #[error("no symbol `{0}` for a fault; {1}")]
    Symbol(String, String),
    /// The address cannot be listened on.
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The runtime or its thread could not be had.
    #[error("start the simulator")]
    Start(#[source] io::Error),
}

/// A simulator that runs until it is stopped or dropped.
pub struct Simulator {
    address: SocketAddr,
    exchanges: Arc<[Arc<Exchange>]>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens, on a thread of its own. Connections are accepted when this returns.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub fn start(spec: SimulatorSpec) -> Result<Simulator, SimulatorError> {
        let origin = Origin::Made(spec.market);
        Simulator::open(spec, |_| Ok(origin.clone()))
    }

    /// [`Simulator::start`], with a capture in place of the made-up market: one of a single venue is played by any
    /// venue, of one of several each plays its own part.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub fn replay(spec: SimulatorSpec, replayed: Replayed) -> Result<Simulator, SimulatorError> {
        let replayed = Arc::new(replayed);
        Simulator::open(spec, |venue| match replayed.part(venue) {
            Some(part) => Ok(Origin::Replayed(part)),
            None => Err(SimulatorError::Absent(venue.to_owned(), replayed.venues().join(", "))),
        })
    }

    fn open(
        spec: SimulatorSpec,
        origin: impl Fn(&str) -> Result<Origin, SimulatorError>,
    ) -> Result<Simulator, SimulatorError> {
        let exchanges: Result<Vec<Arc<Exchange>>, SimulatorError> =
            spec.venues.iter().zip(0..).map(|venue| exchange(venue, &spec, &origin)).collect();
        let exchanges: Arc<[Arc<Exchange>]> = exchanges?.into();
        known(&spec.faults, &exchanges)?;
        let listen = |error| SimulatorError::Listen(spec.address, error);
        let listener = TcpListener::bind(spec.address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SimulatorError::Start)?;
        let (stop, mut stopped) = watch::channel(false);
        let served = Arc::clone(&exchanges);
        let run = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                for exchange in served.iter() {
                    tokio::spawn(Arc::clone(exchange).run(spec.opens_with, spec.events));
                }
                tokio::spawn(server::serve(listener, served));
                // An error means that nobody can say stop any more.
                let _ = stopped.wait_for(|stop| *stop).await;
            });
        };
        let thread = std::thread::Builder::new().name("simulator".to_owned()).spawn(run);
        let thread = Some(thread.map_err(SimulatorError::Start)?);
        Ok(Simulator { address, exchanges, stop, thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was made and sent so far, venue by venue.
    #[must_use]
    pub fn totals(&self) -> Vec<Totals> {
        self.exchanges.iter().map(|exchange| exchange.totals().clone()).collect()
    }

    /// Ends every connection without a word, and says what was made and sent.
    #[must_use]
    pub fn stop(mut self) -> Vec<Totals> {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the simulator ended by a panic");
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.end();
    }
}

/// An error if a fault is of a symbol that none of them has: it would never come.
fn known(faults: &Script, exchanges: &[Arc<Exchange>]) -> Result<(), SimulatorError> {
    for symbol in faults.0.iter().filter_map(|fault| fault.symbol.as_deref()) {
        if exchanges.iter().all(|exchange| exchange.listing.number(symbol).is_none()) {
            let natives = exchanges.iter().flat_map(|exchange| &exchange.listing.natives).map(String::as_str);
            let advice = match nearest(symbol, natives) {
                Some(native) => format!("the nearest is `{native}`"),
                None => "write it as on the wire".to_owned(),
            };
            return Err(SimulatorError::Symbol(symbol.to_owned(), advice));
        }
    }
    Ok(())
}

/// The venue in this place. What chance does to one venue it does not do to the next.
fn exchange(
    (venue, place): (&String, u64),
    spec: &SimulatorSpec,
    origin: &impl Fn(&str) -> Result<Origin, SimulatorError>,
) -> Result<Arc<Exchange>, SimulatorError> {
    let Some(protocol) = protocol::by_venue(venue) else {
        let known: Vec<&str> = protocol::PROTOCOLS.iter().map(|protocol| protocol.venue()).collect();
        return Err(SimulatorError::Venue(venue.clone(), advice(venue, known)));
    };
    Ok(Arc::new(Exchange::new(protocol, origin(venue)?, spec.faults.at_place(place))))
}
