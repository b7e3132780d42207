//! How many connections there are, in all and from each address and with each token, and how often each address asks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feeds::time::{Nanos, SECOND};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{self, Stamp};
use crate::config::AccessBounds;
use crate::config::limits::{
    HTTP_ADDRESS_CONNECTIONS, HTTP_ADDRESSES, HTTP_REQUESTS_A_SECOND, HTTP_TOKEN_CONNECTIONS,
};

/// Bytes of an IPv6 address that name a network: who has one has all addresses in it.
const NETWORK_BITS: u32 = 64;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The address has as many as it may.
    Address,
}

/// Who was not answered, by why.
#[derive(Debug, Default)]
pub(super) struct Refused([AtomicU64; Refused::NAMES.len()]);

/// Why somebody was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// All places were taken.
    All,
    /// The address had as many as it may.
    Address,
    /// The token had as many as it may.
    Token,
    /// The address asked too often.
    Pace,
    /// There was no token, or none that is known.
    Unknown,
    /// It was addressed to another name, or came from another site's page.
    Foreign,
}

impl Refused {
    /// Names for the counters, in their order.
    pub(super) const NAMES: [&str; 6] = ["places", "address", "token", "pace", "unknown", "foreign"];

    /// Counts one.
    pub(super) fn count(&self, why: Why) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Names and counts.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Refused::NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// All places.
pub(super) struct Places {
    pub(super) refused: Refused,
    bounds: AccessBounds,
    begun: Stamp,
    all: Arc<Semaphore>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    addresses: HashMap<IpAddr, Visitor>,
    /// By place in the list of tokens.
    tokens: Vec<usize>,
}

/// One address.
#[derive(Default)]
struct Visitor {
    connections: usize,
    /// When its requests so far would be done, at the pace that it may have.
    due: Nanos,
}

/// One connection's place: among those that ask until it follows, and with its address and its token until it ends.
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    is_loopback: bool,
    held: Mutex<Held>,
}

/// What a place takes up beside its address.
#[derive(Default)]
struct Held {
    permit: Option<OwnedSemaphorePermit>,
    token: Option<usize>,
    /// When the token ends.
    until: Option<Nanos>,
}

impl Places {
    /// None are taken. There are `tokens` tokens.
    pub(super) fn new(bounds: AccessBounds, tokens: usize) -> Places {
        let counts = Counts { addresses: HashMap::new(), tokens: vec![0; tokens] };
        Places {
            refused: Refused::default(),
            all: Arc::new(Semaphore::new(bounds.connections)),
            bounds,
            begun: clock::stamp(),
            counts: Mutex::new(counts),
        }
    }

    /// Connections that ask, and how many there may be.
    pub(super) fn taken(&self) -> (u64, u64) {
        let free = self.all.available_permits();
        (self.bounds.connections.saturating_sub(free) as u64, self.bounds.connections as u64)
    }

    /// A place for a connection from `address`.
    pub(super) fn enter(self: &Arc<Places>, address: IpAddr) -> Result<Place, Full> {
        let entered = self.find(address);
        if let Err(full) = &entered {
            self.refused.count(if *full == Full::All { Why::All } else { Why::Address });
        }
        entered
    }

    fn find(self: &Arc<Places>, address: IpAddr) -> Result<Place, Full> {
        let (address, is_loopback) = visitor_of(address);
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let mut counts = self.counts();
        if !counts.addresses.contains_key(&address) && counts.addresses.len() >= HTTP_ADDRESSES {
            let now = self.now();
            counts.addresses.retain(|_, visitor| visitor.connections > 0 || visitor.due > now);
            if counts.addresses.len() >= HTTP_ADDRESSES {
                return Err(Full::All);
            }
        }
        let most = self.bounds.per_address.or((!is_loopback).then_some(HTTP_ADDRESS_CONNECTIONS));
        let visitor = counts.addresses.entry(address).or_default();
        if most.is_some_and(|most| visitor.connections >= most) {
            return Err(Full::Address);
        }
        visitor.connections += 1;
        drop(counts);
        let places = Arc::clone(self);
        let held = Held { permit: Some(permit), ..Held::default() };
        Ok(Place { places, address, is_loopback, held: Mutex::new(held) })
    }

    /// Waits until all places are free.
    pub(super) async fn emptied(&self) {
        let all = u32::try_from(self.bounds.connections).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.all.acquire_many(all).await;
    }

    fn now(&self) -> Nanos {
        clock::stamp().since(self.begun)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts a request; false if the address has asked too often.
    pub(super) fn may_ask(&self) -> bool {
        let usual = (!self.is_loopback).then_some(HTTP_REQUESTS_A_SECOND);
        let Some(rate) = self.places.bounds.requests_per_second.or(usual) else { return true };
        let now = self.places.now();
        let mut counts = self.places.counts();
        let admits = counts.addresses.get_mut(&self.address).is_none_or(|visitor| visitor.admits(now, rate));
        if !admits {
            self.refused(Why::Pace);
        }
        admits
    }

    /// Counts the connection to the token at `token`, which ends at `until`, from now on; false if that has as many as it
    /// may.
    pub(super) fn carries(&self, token: usize, until: Option<Nanos>) -> bool {
        let mut held = self.held();
        if held.token == Some(token) {
            return true;
        }
        let most = self.places.bounds.per_token.unwrap_or(HTTP_TOKEN_CONNECTIONS);
        let mut counts = self.places.counts();
        if counts.tokens.get(token).is_none_or(|count| *count >= most) {
            self.refused(Why::Token);
            return false;
        }
        counts.tokens[token] += 1;
        if let Some(count) = held.token.replace(token).and_then(|before| counts.tokens.get_mut(before)) {
            *count -= 1;
        }
        held.until = until;
        true
    }

    /// Counts a request of its that is not answered.
    pub(super) fn refused(&self, why: Why) {
        self.places.refused.count(why);
    }

    /// It follows from now on, and is no longer one of those that ask.
    pub(super) fn follow(&self) {
        self.held().permit.take();
    }

    /// Waits until its token has ended; for ever, if that never does.
    pub(super) async fn ended(&self) {
        let until = self.held().until;
        let Some(until) = until else { return std::future::pending().await };
        loop {
            let left = until.saturating_sub(clock::wall());
            if left <= 0 {
                return;
            }
            // The wall clock may be set meanwhile.
            tokio::time::sleep(Duration::from_nanos(left.min(LOOK_EVERY).unsigned_abs())).await;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often it is looked whether a token has ended.
const LOOK_EVERY: Nanos = 60 * SECOND;

impl Drop for Place {
    fn drop(&mut self) {
        let token = self.held().token;
        let mut counts = self.places.counts();
        if let Some(count) = token.and_then(|token| counts.tokens.get_mut(token)) {
            *count -= 1;
        }
        if let Some(visitor) = counts.addresses.get_mut(&self.address) {
            visitor.connections -= 1;
        }
    }
}

impl Visitor {
    /// True if one request more at `now` is within `rate` a second, a second's worth of them at once included.
    fn admits(&mut self, now: Nanos, rate: u32) -> bool {
        let due = self.due.max(now) + SECOND / Nanos::from(rate.max(1));
        let is_within = due - now <= SECOND;
        if is_within {
            self.due = due;
        }
        is_within
    }
}

/// Whose connection it is, and whether this machine's.
fn visitor_of(address: IpAddr) -> (IpAddr, bool) {
    let address = address.to_canonical();
    let visitor = match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) if six.is_loopback() => address,
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> NETWORK_BITS << NETWORK_BITS)),
    };
    (visitor, address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(bounds: AccessBounds) -> Arc<Places> {
        Arc::new(Places::new(bounds, 2))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_counted_in_all_and_by_address_and_come_back() {
        let bounds = AccessBounds { connections: 3, per_address: Some(2), ..AccessBounds::default() };
        let places = places(bounds);
        let enter = |text: &str| places.enter(address(text));
        let (first, second) = (enter("192.0.2.1").ok().unwrap(), enter("::ffff:192.0.2.1").ok().unwrap());
        assert_eq!(enter("192.0.2.1").err(), Some(Full::Address));
        let third = enter("2001:db8::1").ok().unwrap();
        assert_eq!(enter("192.0.2.2").err(), Some(Full::All));
        drop(second);
        assert!(enter("2001:db8::2:3").is_ok());
        drop((first, third));
        assert!(places.counts().addresses.values().all(|visitor| visitor.connections == 0));
    }

    #[test]
    fn strangers_are_bounded_by_default_and_loopback_is_not() {
        let places = places(AccessBounds { connections: 1_000, ..AccessBounds::default() });
        let taken: Vec<_> =
            (0..HTTP_ADDRESS_CONNECTIONS + 9).map(|_| places.enter(address("127.0.0.1"))).collect();
        assert!(taken.iter().all(Result::is_ok));
        let taken: Vec<_> =
            (0..HTTP_ADDRESS_CONNECTIONS).map(|_| places.enter(address("192.0.2.1"))).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(places.enter(address("192.0.2.1")).err(), Some(Full::Address));
    }

    #[test]
    fn quiet_addresses_are_forgotten_when_there_are_many() {
        let bounds = AccessBounds { connections: 2 * HTTP_ADDRESSES, ..AccessBounds::default() };
        let places = places(bounds);
        let at = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let held: Vec<_> = (0..HTTP_ADDRESSES).map(|number| places.enter(at(number)).ok().unwrap()).collect();
        assert_eq!(places.enter(at(HTTP_ADDRESSES)).err(), Some(Full::All));
        drop(held);
        assert!(places.enter(at(HTTP_ADDRESSES)).is_ok());
        assert!(places.counts().addresses.len() < HTTP_ADDRESSES);
    }

    #[test]
    fn a_token_has_so_many_connections_and_each_counts_for_one_token() {
        let places = places(AccessBounds { per_token: Some(1), ..AccessBounds::default() });
        let (one, two) =
            (places.enter(address("::1")).ok().unwrap(), places.enter(address("::1")).ok().unwrap());
        assert!(
            one.carries(0, None)
                && one.carries(0, None)
                && !two.carries(0, None)
                && two.carries(1, None)
                && !one.carries(1, None)
        );
        drop(one);
        assert!(two.carries(0, None));
        assert_eq!(places.counts().tokens, [1, 0]);
        assert!(!two.carries(2, None), "no such token");
    }

    #[test]
    fn requests_have_a_pace_and_a_second_of_it_at_once() {
        let mut visitor = Visitor::default();
        let admitted = |visitor: &mut Visitor, now| (0..100).filter(|_| visitor.admits(now, 10)).count();
        assert_eq!(admitted(&mut visitor, 0), 10);
        assert_eq!(admitted(&mut visitor, SECOND / 2), 5);
        assert_eq!(admitted(&mut visitor, 10 * SECOND), 10);
    }
}
