//! Which connection carries which streams: what it has confirmed or brought. When it ends, what no other one carries is
//! out.

use std::collections::{BTreeMap, BTreeSet};

use feeds::live::{Channel, Notice, Stream};
use feeds::recording::Wish;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::Event;
use feeds::venue::Output;
use rustc_hash::FxHashMap;

use super::delivery::ConnectionId;
use crate::symbol::outages::Channels;

/// Symbols by their number in the whole source, and channels of theirs.
pub(super) type Carried = Vec<(SymbolId, Channels)>;

struct Connection {
    venue: &'static str,
    /// By the connection's own number of the symbol: its name and number in the whole source, and what came of it.
    symbols: Vec<(String, SymbolId, Channels)>,
    names: FxHashMap<String, SymbolId>,
    confirmed: BTreeSet<Stream>,
    /// Not wanted of it any more: what it brings of them is still on its way.
    unwanted: BTreeSet<Stream>,
}

/// All open connections.
#[derive(Default)]
pub(super) struct Carriers {
    connections: BTreeMap<ConnectionId, Connection>,
}

impl Carriers {
    /// A connection is open.
    pub(super) fn open(&mut self, connection: ConnectionId, venue: &'static str) {
        let new = Connection {
            venue,
            symbols: Vec::new(),
            names: FxHashMap::default(),
            confirmed: BTreeSet::new(),
            unwanted: BTreeSet::new(),
        };
        self.connections.insert(connection, new);
    }

    /// It names a symbol; called in the order of its own numbers.
    pub(super) fn meet(&mut self, connection: ConnectionId, symbol: &Symbol, id: SymbolId) {
        if let Some(known) = self.connections.get_mut(&connection) {
            known.symbols.push((symbol.native().to_owned(), id, Channels::NONE));
            known.names.insert(symbol.native().to_owned(), id);
        }
    }

    /// It brought this.
    pub(super) fn hear(&mut self, connection: ConnectionId, output: &Output) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        for tick in &output.ticks {
            let channel = match tick.event {
                Event::Trade(_) => Channel::Trades,
                Event::Quote(_) => Channel::Quotes,
                Event::Rejected(_) => continue,
            };
            if let Some((_, _, channels)) = known.symbols.get_mut(tick.symbol.0 as usize) {
                *channels = channels.with(Channels::of(channel));
            }
        }
        for notice in &output.notices {
            match notice {
                Notice::Acknowledged(streams) => known.confirmed.extend(streams.iter().cloned()),
                Notice::Refused(streams, _) => known.confirmed.retain(|stream| !streams.contains(stream)),
                _ => {}
            }
        }
    }

    /// A stream is not wanted of it any more, or is again. What of it came before counts no more.
    pub(super) fn wish(&mut self, connection: ConnectionId, wish: &Wish) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        if wish.wanted {
            known.unwanted.remove(&wish.stream);
        } else {
            known.unwanted.insert(wish.stream.clone());
        }
        known.confirmed.remove(&wish.stream);
        let of_it = known.symbols.iter_mut().filter(|(native, ..)| *native == wish.stream.native);
        for (_, _, channels) in of_it {
            *channels = channels.without(Channels::of(wish.stream.channel));
        }
    }

    /// The number of its symbol of this name, if it has named it.
    #[must_use]
    pub(super) fn symbol(&self, connection: ConnectionId, native: &str) -> Option<SymbolId> {
        self.connections.get(&connection)?.names.get(native).copied()
    }

    /// It has ended. What it carried and no other one does.
    pub(super) fn close(&mut self, connection: ConnectionId) -> Carried {
        let Some(closed) = self.connections.remove(&connection) else { return Vec::new() };
        let others = || self.connections.values().filter(|other| other.venue == closed.venue);
        let mut left: FxHashMap<SymbolId, Channels> = FxHashMap::default();
        for other in others() {
            for (_, symbol, channels) in &other.symbols {
                let all = left.entry(*symbol).or_default();
                *all = all.with(*channels);
            }
        }
        let is_confirmed = |native: &str, channel| {
            let stream = Stream::new(native, channel);
            others().any(|other| other.confirmed.contains(&stream))
        };
        let out = closed.symbols.iter().map(|(native, symbol, brought)| {
            let mut channels = Channels::NONE;
            for channel in Channel::ALL {
                let carried =
                    brought.has(channel) || closed.confirmed.contains(&Stream::new(native.as_str(), channel));
                let elsewhere = left.get(symbol).is_some_and(|left| left.has(channel));
                let is_wanted = !closed.unwanted.contains(&Stream::new(native.as_str(), channel));
                if carried && is_wanted && !elsewhere && !is_confirmed(native, channel) {
                    channels = channels.with(Channels::of(channel));
                }
            }
            (*symbol, channels)
        });
        out.filter(|(_, channels)| !channels.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use feeds::number::Decimal;
    use feeds::tick::{Quote, Side, Tick, Trade};

    use super::*;

    fn heard(ticks: &[(u32, Channel)], confirmed: &[(&str, Channel)]) -> Output {
        let one = Decimal::new(1, 0);
        let event = |channel| match channel {
            Channel::Trades => Event::Trade(Trade::new(None, one, one, Side::Buy)),
            Channel::Quotes => Event::Quote(Quote::new(None, one, one, one, one)),
        };
        let ticks =
            ticks.iter().map(|&(symbol, channel)| Tick::new(SymbolId(symbol), 0, None, event(channel)));
        let streams = confirmed.iter().map(|&(native, channel)| Stream::new(native, channel)).collect();
        Output { ticks: ticks.collect(), notices: vec![Notice::Acknowledged(streams)], ..Output::default() }
    }

    #[test]
    fn only_what_nobody_else_carries_is_out() {
        let (one, other, elsewhere) = (ConnectionId(1), ConnectionId(2), ConnectionId(3));
        let mut carriers = Carriers::default();
        for (connection, venue) in [(one, "here"), (other, "here"), (elsewhere, "there")] {
            carriers.open(connection, venue);
        }
        for (native, id) in [("A", 7), ("B", 8), ("C", 9)] {
            carriers.meet(one, &Symbol::new("here", native), SymbolId(id));
        }
        let (trades, quotes) = (Channel::Trades, Channel::Quotes);
        carriers.hear(one, &heard(&[(0, trades), (0, quotes), (1, trades)], &[("B", quotes), ("C", trades)]));
        // Another connection brings quotes of the first, and has confirmed the third.
        carriers.meet(other, &Symbol::new("here", "A"), SymbolId(7));
        carriers.hear(other, &heard(&[(0, quotes)], &[("C", trades)]));
        // A venue with symbols of the same names carries none of these.
        carriers.meet(elsewhere, &Symbol::new("there", "A"), SymbolId(10));
        carriers.hear(elsewhere, &heard(&[(0, trades)], &[("B", trades)]));
        assert_eq!(carriers.symbol(one, "B"), Some(SymbolId(8)));
        assert_eq!(carriers.close(one), [(SymbolId(7), Channels::of(trades)), (SymbolId(8), Channels::ALL)]);
        assert_eq!(carriers.close(one), []);
        assert_eq!(carriers.close(other), [(SymbolId(7), Channels::of(quotes))]);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_out_until_it_is_wanted_again_and_comes() {
        let (trades, quotes) = (Channel::Trades, Channel::Quotes);
        let wish = |wanted| Wish { stream: Stream::new("A", trades), wanted };
        let closed = |wishes: &[bool], comes: bool| {
            let (one, mut carriers) = (ConnectionId(1), Carriers::default());
            carriers.open(one, "here");
            carriers.meet(one, &Symbol::new("here", "A"), SymbolId(7));
            carriers.hear(one, &heard(&[(0, trades), (0, quotes)], &[("A", trades)]));
            for &wanted in wishes {
                carriers.wish(one, &wish(wanted));
            }
            if comes {
                carriers.hear(one, &heard(&[(0, trades)], &[]));
            }
            carriers.close(one)
        };
        assert_eq!(closed(&[], false), [(SymbolId(7), Channels::ALL)]);
        // What was still on its way changes nothing.
        for comes in [false, true] {
            assert_eq!(closed(&[false], comes), [(SymbolId(7), Channels::of(quotes))]);
        }
        assert_eq!(closed(&[false, true], false), [(SymbolId(7), Channels::of(quotes))]);
        assert_eq!(closed(&[false, true], true), [(SymbolId(7), Channels::ALL)]);
    }
}
