//! All live feeds of a process: started, added to, asked how they do, stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr};
use feeds::live::{Channel, Live, Stream};
use feeds::time::Nanos;
use feeds::venue::Venue;
use tokio::sync::mpsc;

use super::actor::{ConnectionActor, Stop, Subscribe, Unsubscribe};
use super::address::{Address, AddressError};
use super::budget::Budgets;
use super::delivery::Delivery;
use super::dial::{Dial, TcpDial};
use super::plan::{Load, place};
use super::slot::{ConnectionStatus, Shared, Slot, lock};
use super::warden::{Adopt, Current, Dismiss, Held, Ward, Warden};
use crate::clock;

/// What is wanted of one venue.
#[derive(Clone)]
pub struct FeedSpec {
    /// The venue.
    pub venue: &'static dyn Venue,
    /// Its symbols, as on the wire.
    pub symbols: Vec<String>,
    /// Their channels.
    pub channels: Vec<Channel>,
    /// Scheme, host, port and the beginning of the path, instead of the venue's own: `ws://127.0.0.1:9100/foo`.
    pub url: Option<String>,
    /// How long a stream may bring nothing before it is alarming.
    pub silence: Duration,
}

/// How connections are made.
pub struct FeedOptions {
    /// Opens streams of bytes.
    pub dial: Arc<dyn Dial>,
    /// Connects of the whole process.
    pub budgets: Arc<Budgets>,
    /// What jitter follows from.
    pub seed: u64,
    /// The wall clock: when frames are received.
    pub wall: fn() -> Nanos,
}

impl FeedOptions {
    /// Over TCP and TLS.
    ///
    /// # Errors
    /// If there is no TLS.
    pub fn tcp(seed: u64) -> io::Result<FeedOptions> {
        FeedOptions::tcp_trusting(seed, &[])
    }

    /// Over TCP and TLS, where the authorities whose certificates are in `ca` (PEM) are trusted as well: private
    /// endpoints, proxies of a company, tests.
    ///
    /// # Errors
    /// If there is no TLS, or `ca` has a certificate that is none.
    pub fn tcp_trusting(seed: u64, ca: &[u8]) -> io::Result<FeedOptions> {
        let dial = Arc::new(TcpDial::trusting(ca)?);
        Ok(FeedOptions { dial, budgets: Arc::default(), seed, wall: clock::wall })
    }
}

/// Why feeds do not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The venue is a protocol of the past.
    #[error("{0} is known from files only and has no live feed")]
    NotLive(&'static str),
    /// The venue has no such channel.
    #[error("{0} has no channel {1}")]
    NoChannel(&'static str, &'static str),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No feed of that venue was started.
    #[error("no feed of {0} was started")]
    NotStarted(&'static str),
}

struct SlotWard(Arc<Slot>);

impl Ward for SlotWard {
    type Child = ConnectionActor;

    fn make(&self) -> Addr<ConnectionActor> {
        ConnectionActor::new(self.0.clone()).start()
    }

    fn is_done(&self) -> bool {
        *self.0.done.borrow()
    }

    fn revived(&self) {
        self.0.counters.revived.fetch_add(1, Ordering::Relaxed);
    }
}

/// A venue that was started: what further connections to it are like.
#[derive(Clone)]
struct Feed {
    venue: &'static dyn Venue,
    live: &'static Live,
    base: Option<Address>,
    silence: Duration,
    channels: Vec<Channel>,
}

#[derive(Clone)]
struct Member {
    slot: Arc<Slot>,
    actor: Current<ConnectionActor>,
}

/// See the module.
pub struct Feeds {
    shared: Arc<Shared>,
    warden: Addr<Warden<SlotWard>>,
    feeds: BTreeMap<&'static str, Feed>,
    members: Mutex<Vec<Member>>,
}

impl Feeds {
    /// Starts connections for all of `specs`, on the arbiter that this runs on. What they bring goes to `deliveries`.
    /// A venue is named once.
    ///
    /// # Errors
    /// If a spec cannot be; nothing is started then.
    pub fn start(
        specs: &[FeedSpec],
        deliveries: mpsc::Sender<Delivery>,
        options: FeedOptions,
    ) -> Result<Feeds, FeedError> {
        let FeedOptions { dial, budgets, seed, wall } = options;
        let shared = Arc::new(Shared {
            dial,
            budgets,
            deliveries,
            next: AtomicU32::new(0),
            keepers: AtomicU64::new(0),
            seed,
            wall,
        });
        let mut feeds = BTreeMap::new();
        let mut slots = Vec::new();
        for spec in specs {
            let live = spec.venue.live().ok_or(FeedError::NotLive(spec.venue.id()))?;
            let base = spec.url.as_deref().map(Address::parse).transpose()?;
            let feed = Feed {
                venue: spec.venue,
                live,
                base,
                silence: spec.silence,
                channels: spec.channels.clone(),
            };
            let streams = streams(feed.venue, &spec.symbols, &spec.channels);
            let of_venue = |slot: &Arc<Slot>| slot.venue.id() == feed.venue.id();
            let known: Vec<Arc<Slot>> = slots.iter().filter(|slot| of_venue(slot)).cloned().collect();
            let (more, new) = spread(&shared, &feed, &known, &streams)?;
            for (slot, streams) in more {
                slot.want(|wanted| wanted.extend(streams));
            }
            slots.extend(new);
            let of_venue: &mut Feed = feeds.entry(spec.venue.id()).or_insert(feed);
            let more = spec.channels.iter().filter(|channel| !of_venue.channels.contains(channel));
            let more: Vec<Channel> = more.copied().collect();
            of_venue.channels.extend(more);
        }
        let held: Vec<Held<SlotWard>> =
            slots.iter().map(|slot| Held::start(SlotWard(slot.clone()))).collect();
        let members = slots.into_iter().zip(&held).map(|(slot, held)| Member { slot, actor: held.current() });
        let members = Mutex::new(members.collect());
        Ok(Feeds { shared, warden: Warden::new(held).start(), feeds, members })
    }

    /// Adds channels of symbols to a venue that was started, where there is room, else on further connections. Must
    /// be called where [`Feeds::start`] was.
    ///
    /// # Errors
    /// If the venue was not started, or lacks a channel.
    pub async fn subscribe(
        &self,
        venue: &'static str,
        symbols: &[String],
        channels: &[Channel],
    ) -> Result<(), FeedError> {
        let feed = self.feeds.get(venue).ok_or(FeedError::NotStarted(venue))?;
        let members = self.members_of(venue);
        let has = |stream: &Stream| members.iter().any(|member| member.slot.wanted().contains(stream));
        let streams: Vec<Stream> =
            streams(feed.venue, symbols, channels).into_iter().filter(|stream| !has(stream)).collect();
        let slots: Vec<Arc<Slot>> = members.iter().map(|member| member.slot.clone()).collect();
        let (more, new) = spread(&self.shared, feed, &slots, &streams)?;
        for (slot, streams) in more {
            let member = members.iter().find(|member| Arc::ptr_eq(&member.slot, &slot));
            let Some(member) = member else { continue };
            if !member.actor.tell(Subscribe(streams.clone())).await {
                // It died and is about to be made again: then it finds what is wanted.
                slot.want(|wanted| wanted.extend(streams));
            }
        }
        for slot in new {
            let held = Held::start(SlotWard(slot.clone()));
            lock(&self.members).push(Member { slot, actor: held.current() });
            // The warden ends with the feeds only.
            let _ = self.warden.send(Adopt(held)).await;
        }
        Ok(())
    }

    /// Ends subscriptions; what is not there is no error.
    pub async fn unsubscribe(&self, venue: &'static str, symbols: &[String], channels: &[Channel]) {
        let Some(feed) = self.feeds.get(venue) else { return };
        let streams = streams(feed.venue, symbols, channels);
        for member in self.members_of(venue) {
            let wanted = member.slot.wanted();
            let of_it: Vec<Stream> = streams.iter().filter(|s| wanted.contains(s)).cloned().collect();
            if !of_it.is_empty() && !member.actor.tell(Unsubscribe(of_it.clone())).await {
                member.slot.want(|wanted| wanted.retain(|stream| !of_it.contains(stream)));
            }
        }
    }

    /// The venues that were started, by id.
    #[must_use]
    pub fn venues(&self) -> Vec<&'static dyn Venue> {
        self.feeds.values().map(|feed| feed.venue).collect()
    }

    /// The channels that a venue was started with; none if it was not.
    #[must_use]
    pub fn channels(&self, venue: &str) -> Vec<Channel> {
        self.feeds.get(venue).map(|feed| feed.channels.clone()).unwrap_or_default()
    }

    /// The symbols of which anything is wanted: `venue:NATIVE`.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<String> {
        let members = lock(&self.members).clone();
        let of = |member: &Member| {
            let venue = member.slot.venue.id();
            member.slot.wanted().into_iter().map(move |stream| format!("{venue}:{}", stream.native))
        };
        members.iter().flat_map(of).collect()
    }

    /// How each connection does.
    #[must_use]
    pub fn status(&self) -> Vec<ConnectionStatus> {
        lock(&self.members).iter().map(|member| member.slot.status()).collect()
    }

    /// Closes every connection, and waits until each was delivered as closed.
    pub async fn stop(self) {
        let members = lock(&self.members).clone();
        for member in &members {
            if !member.actor.tell(Stop).await {
                member.slot.stopping.send_replace(true);
            }
        }
        for member in &members {
            // The slot holds the other end.
            let _ = member.slot.done.subscribe().wait_for(|done| *done).await;
        }
        let _ = self.warden.send(Dismiss).await;
    }

    fn members_of(&self, venue: &str) -> Vec<Member> {
        lock(&self.members).iter().filter(|member| member.slot.venue.id() == venue).cloned().collect()
    }
}

/// Every channel of every symbol, each once, symbols together and by the names that frames will have.
fn streams(venue: &dyn Venue, symbols: &[String], channels: &[Channel]) -> Vec<Stream> {
    let mut seen = BTreeSet::new();
    let of = |symbol: &String| {
        let native = venue.native(symbol);
        channels.iter().map(|channel| Stream::new(native.clone(), *channel)).collect::<Vec<_>>()
    };
    symbols.iter().flat_map(of).filter(|stream| seen.insert(stream.clone())).collect()
}

type Spread = (Vec<(Arc<Slot>, Vec<Stream>)>, Vec<Arc<Slot>>);

/// What goes to which slot, and the slots that are new.
fn spread(
    shared: &Arc<Shared>,
    feed: &Feed,
    slots: &[Arc<Slot>],
    streams: &[Stream],
) -> Result<Spread, FeedError> {
    let load = |slot: &Arc<Slot>| Load { route: slot.route, streams: slot.wanted().len() };
    let loads: Vec<Load> = slots.iter().map(load).collect();
    let (placed, homeless) = place(feed.live, &loads, streams);
    if let Some(stream) = homeless.first() {
        return Err(FeedError::NoChannel(feed.venue.id(), stream.channel.name()));
    }
    let (mut more, mut new) = (Vec::new(), Vec::new());
    for placement in placed {
        if let Some(slot) = slots.get(placement.connection) {
            more.push((slot.clone(), placement.streams));
            continue;
        }
        let address = Address::parse(feed.live.routes[placement.route].url)?;
        let route = (placement.route, address, feed.base.clone());
        let slot =
            Slot::new(shared.clone(), (feed.venue, feed.live), route, feed.silence, &placement.streams);
        new.push(Arc::new(slot));
    }
    Ok((more, new))
}
