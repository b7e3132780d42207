//! Which connection carries which streams: what it was granted or has brought. When it ends, what no other one carries is
//! out.
//!
//! What was granted is told by entries of its own and not by what frames are decoded to: many venues answer by the number
//! of a request, which only the session knows that has sent it, and a replay sends nothing.

use std::collections::{BTreeMap, BTreeSet};

use feeds::live::{Channel, Stream};
use feeds::recording::{Answer, Wish};
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
    /// By the connection's own number of the symbol: its name, and what came of it.
    symbols: Vec<(String, Channels)>,
    granted: BTreeSet<Stream>,
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
        let new =
            Connection { venue, symbols: Vec::new(), granted: BTreeSet::new(), unwanted: BTreeSet::new() };
        self.connections.insert(connection, new);
    }

    /// It names a symbol; called in the order of its own numbers.
    pub(super) fn meet(&mut self, connection: ConnectionId, symbol: &Symbol) {
        if let Some(known) = self.connections.get_mut(&connection) {
            known.symbols.push((symbol.native().to_owned(), Channels::NONE));
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
            if let Some((_, channels)) = known.symbols.get_mut(tick.symbol.0 as usize) {
                *channels = channels.with(Channels::of(channel));
            }
        }
    }

    /// It was granted streams, or refused them.
    pub(super) fn answer(&mut self, connection: ConnectionId, answer: Answer) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        if answer.granted {
            known.granted.extend(answer.streams);
        } else {
            known.granted.retain(|stream| !answer.streams.contains(stream));
        }
    }

    /// A stream is not wanted of it any more, or is again. What of it came before counts no more. True if nobody wants it
    /// any more.
    pub(super) fn wish(&mut self, connection: ConnectionId, wish: &Wish) -> bool {
        let Some(known) = self.connections.get_mut(&connection) else { return false };
        let venue = known.venue;
        if wish.wanted {
            known.unwanted.remove(&wish.stream);
        } else {
            known.unwanted.insert(wish.stream.clone());
        }
        known.granted.remove(&wish.stream);
        let of_it = known.symbols.iter_mut().filter(|(native, _)| *native == wish.stream.native);
        for (_, channels) in of_it {
            *channels = channels.without(Channels::of(wish.stream.channel));
        }
        let carries = |other: &Connection| {
            let of_it = other.carries().get(&*wish.stream.native).copied().unwrap_or_default();
            of_it.has(wish.stream.channel)
        };
        !wish.wanted && !self.connections.values().any(|other| other.venue == venue && carries(other))
    }

    /// What of the symbol with this own number is wanted of the connection.
    #[must_use]
    pub(super) fn wanted(&self, connection: ConnectionId, number: usize) -> Channels {
        let Some(known) = self.connections.get(&connection).filter(|known| !known.unwanted.is_empty()) else {
            return Channels::ALL;
        };
        let native = known.symbols.get(number).map(|(native, _)| native.as_str()).unwrap_or_default();
        let not = known.unwanted.iter().filter(|stream| stream.native == native);
        not.fold(Channels::ALL, |wanted, stream| wanted.without(Channels::of(stream.channel)))
    }

    /// It has ended. What it carried and no other one does, by the symbol's number; `number` knows that by name. A symbol
    /// that has none has never been heard of, so that nothing of it is missing.
    pub(super) fn close(
        &mut self,
        connection: ConnectionId,
        number: impl Fn(&str) -> Option<SymbolId>,
    ) -> Carried {
        let Some(closed) = self.connections.remove(&connection) else { return Vec::new() };
        let mut left: FxHashMap<&str, Channels> = FxHashMap::default();
        for other in self.connections.values().filter(|other| other.venue == closed.venue) {
            for (native, channels) in other.carries() {
                let all = left.entry(native).or_default();
                *all = all.with(channels);
            }
        }
        let mut out = Carried::new();
        for (native, channels) in closed.carries() {
            let channels = channels.without(left.get(native).copied().unwrap_or_default());
            if let Some(symbol) = number(native).filter(|_| !channels.is_empty()) {
                out.push((symbol, channels));
            }
        }
        out.sort_by_key(|(symbol, _)| *symbol);
        out
    }
}

impl Connection {
    /// Names of symbols, and what of each is granted or has come, and is wanted. Each once.
    fn carries(&self) -> BTreeMap<&str, Channels> {
        let mut all: BTreeMap<&str, Channels> = BTreeMap::new();
        let brought = self.symbols.iter().map(|(native, channels)| (native.as_str(), *channels));
        let granted = self.granted.iter().map(|one| (one.native.as_str(), Channels::of(one.channel)));
        for (native, channels) in brought.chain(granted) {
            let of_it = all.entry(native).or_default();
            *of_it = of_it.with(channels);
        }
        for stream in &self.unwanted {
            if let Some(of_it) = all.get_mut(stream.native.as_str()) {
                *of_it = of_it.without(Channels::of(stream.channel));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use feeds::number::Decimal;
    use feeds::tick::{Quote, Side, Tick, Trade};

    use super::*;

    fn granted(streams: &[(&str, Channel)]) -> Answer {
        let streams = streams.iter().map(|&(native, channel)| Stream::new(native, channel)).collect();
        Answer { streams, granted: true }
    }

    fn heard(ticks: &[(u32, Channel)]) -> Output {
        let one = Decimal::new(1, 0);
        let event = |channel| match channel {
            Channel::Trades => Event::Trade(Trade::new(None, one, one, Side::Buy)),
            Channel::Quotes => Event::Quote(Quote::new(None, one, one, one, one)),
        };
        let ticks =
            ticks.iter().map(|&(symbol, channel)| Tick::new(SymbolId(symbol), 0, None, event(channel)));
        Output { ticks: ticks.collect(), ..Output::default() }
    }

    /// Numbers of symbols by name.
    fn number(native: &str) -> Option<SymbolId> {
        ["A", "B", "C"].iter().position(|known| *known == native).map(|at| SymbolId(7 + at as u32))
    }

    #[test]
    fn only_what_nobody_else_carries_is_out() {
        let (one, other, elsewhere) = (ConnectionId(1), ConnectionId(2), ConnectionId(3));
        let mut carriers = Carriers::default();
        for (connection, venue) in [(one, "here"), (other, "here"), (elsewhere, "there")] {
            carriers.open(connection, venue);
        }
        for native in ["B", "A", "C"] {
            carriers.meet(one, &Symbol::new("here", native));
        }
        let (trades, quotes) = (Channel::Trades, Channel::Quotes);
        carriers.hear(one, &heard(&[(1, trades), (1, quotes), (0, trades)]));
        carriers.answer(one, granted(&[("B", quotes), ("C", trades)]));
        // Another connection brings quotes of the one, and was granted another.
        carriers.meet(other, &Symbol::new("here", "A"));
        carriers.hear(other, &heard(&[(0, quotes)]));
        carriers.answer(other, granted(&[("C", trades), ("NEVER HEARD OF", trades)]));
        // A venue with symbols of the same names carries none of these.
        carriers.meet(elsewhere, &Symbol::new("there", "A"));
        carriers.hear(elsewhere, &heard(&[(0, trades)]));
        carriers.answer(elsewhere, granted(&[("B", trades)]));
        let carried = carriers.close(one, number);
        assert_eq!(carried, [(SymbolId(7), Channels::of(trades)), (SymbolId(8), Channels::ALL)]);
        assert_eq!(carriers.close(one, number), []);
        // It had not named the third symbol, and carried it all the same.
        let carried = carriers.close(other, number);
        assert_eq!(carried, [(SymbolId(7), Channels::of(quotes)), (SymbolId(9), Channels::of(trades))]);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_out_until_it_is_wanted_again_and_comes() {
        let (trades, quotes) = (Channel::Trades, Channel::Quotes);
        let wish = |wanted| Wish { stream: Stream::new("A", trades), wanted };
        let closed = |wishes: &[bool], comes: bool| {
            let (one, mut carriers) = (ConnectionId(1), Carriers::default());
            carriers.open(one, "here");
            carriers.meet(one, &Symbol::new("here", "A"));
            carriers.hear(one, &heard(&[(0, trades), (0, quotes)]));
            carriers.answer(one, granted(&[("A", trades)]));
            for &wanted in wishes {
                carriers.wish(one, &wish(wanted));
            }
            if comes {
                carriers.hear(one, &heard(&[(0, trades)]));
            }
            carriers.close(one, number)
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
