//! Several connections of one venue that bring the same stream, where its ticks have no key by which a repeat is known:
//! while one connection replaces another, both do.
//!
//! Both bring the same ticks, each in its own time. So of equal ticks as many count as the connection has brought that
//! brought most of them, and the rest are repeats: nothing is missing if either is ahead, and two equal trades of one
//! connection stay two.

use std::collections::VecDeque;

use feeds::live::Channel;
use feeds::symbol::SymbolId;
use feeds::tick::{Event, Tick};
use feeds::time::Nanos;
use feeds::venue::{DuplicateKey, Venue};
use rustc_hash::FxHashMap;

use super::delivery::ConnectionId;
use crate::config::limits::{OVERLAP_KEPT, OVERLAP_TICKS};
use crate::symbol::outages::Channels;

/// What makes ticks of a symbol equal: everything but when they came in. A time that was estimated is none.
type Content = (Option<Nanos>, Event);

/// How often equal ticks came.
struct Copies {
    counted: u32,
    /// The connection that brought the first, and how many.
    first: (ConnectionId, u32),
    others: Vec<(ConnectionId, u32)>,
}

/// The ticks of a stream that came lately.
#[derive(Default)]
struct Lately {
    copies: FxHashMap<Content, Copies>,
    /// What counted, by when it came in.
    order: VecDeque<(Nanos, Content)>,
}

/// The connections of one venue.
#[derive(Default)]
struct Overlap {
    open: usize,
    lately: FxHashMap<(SymbolId, Channel), Lately>,
}

/// All venues, by id.
#[derive(Default)]
pub(super) struct Overlaps(FxHashMap<&'static str, Overlap>);

/// The channels of `venue` whose ticks have no key.
pub(super) fn unkeyed(venue: &dyn Venue) -> Channels {
    let of = |key, channel| if key == DuplicateKey::None { Channels::of(channel) } else { Channels::NONE };
    of(venue.trade_key(), Channel::Trades).with(of(venue.quote_key(), Channel::Quotes))
}

impl Overlaps {
    /// A connection to `venue` is open.
    pub(super) fn open(&mut self, venue: &'static str) {
        self.0.entry(venue).or_default().open += 1;
    }

    /// One is not any more. What was equal without a time may be new now: nobody else brings it.
    pub(super) fn close(&mut self, venue: &'static str) {
        let Some(overlap) = self.0.get_mut(venue) else { return };
        overlap.open = overlap.open.saturating_sub(1);
        for lately in overlap.lately.values_mut() {
            lately.copies.retain(|(time, _), _| time.is_some());
            lately.order.retain(|(_, (time, _))| time.is_some());
        }
        overlap.lately.retain(|_, lately| overlap.open > 0 && !lately.order.is_empty());
    }

    /// Marks those of `ticks`, which `connection` brought, that another one had brought before. `symbols` are the numbers
    /// in the whole source of the connection's own, `unkeyed` the channels that are looked at.
    pub(super) fn mark(
        &mut self,
        (venue, connection): (&'static str, ConnectionId),
        unkeyed: Channels,
        symbols: &[SymbolId],
        ticks: &mut [Tick],
    ) {
        let Some(overlap) = self.0.get_mut(venue) else { return };
        if overlap.open < 2 && overlap.lately.is_empty() {
            return;
        }
        for tick in ticks.iter_mut().filter(|tick| !tick.history && !tick.excluded) {
            let channel = match tick.event {
                Event::Trade(_) => Channel::Trades,
                Event::Quote(_) => Channel::Quotes,
                Event::Rejected(_) => continue,
            };
            let (Some(&symbol), Some(at)) = (symbols.get(tick.symbol.0 as usize), tick.received_at()) else {
                continue;
            };
            if unkeyed.has(channel) {
                let content = (tick.timed.then_some(tick.exchange_ts), tick.event);
                tick.repeated =
                    overlap.lately.entry((symbol, channel)).or_default().hear(connection, at, content);
            }
        }
    }
}

impl Lately {
    /// A tick came from `connection`. True if it is a repeat.
    fn hear(&mut self, connection: ConnectionId, at: Nanos, content: Content) -> bool {
        self.forget(at);
        let copies = self.copies.entry(content).or_insert_with(|| Copies {
            counted: 0,
            first: (connection, 0),
            others: Vec::new(),
        });
        let brought = copies.brought_by(connection);
        *brought += 1;
        let brought = *brought;
        if brought <= copies.counted {
            return true;
        }
        copies.counted += 1;
        self.order.push_back((at, content));
        false
    }

    /// Forgets what came too long before `now`, and the oldest of what is too much.
    fn forget(&mut self, now: Nanos) {
        while let Some(&(at, content)) = self.order.front() {
            if self.order.len() < OVERLAP_TICKS && now.saturating_sub(at) <= OVERLAP_KEPT {
                return;
            }
            self.order.pop_front();
            if let Some(copies) = self.copies.get_mut(&content) {
                copies.forget();
                if copies.counted == 0 {
                    self.copies.remove(&content);
                }
            }
        }
    }
}

impl Copies {
    fn brought_by(&mut self, connection: ConnectionId) -> &mut u32 {
        if self.first.0 == connection {
            return &mut self.first.1;
        }
        let place = self.others.iter().position(|(other, _)| *other == connection);
        let place = place.unwrap_or_else(|| {
            self.others.push((connection, 0));
            self.others.len() - 1
        });
        &mut self.others[place].1
    }

    /// One less counted, and one less brought by each.
    fn forget(&mut self) {
        self.counted = self.counted.saturating_sub(1);
        for (_, brought) in std::iter::once(&mut self.first).chain(&mut self.others) {
            *brought = brought.saturating_sub(1);
        }
    }
}
