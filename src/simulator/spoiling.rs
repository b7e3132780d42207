//! A script of faults at work: what becomes of each event on its way to the connections.

use std::collections::HashMap;

use super::faults::{BY_CHANCE, FAULTS_MAX, Fault, Kind, OF_CHAOS, Script};
use crate::market::random::Random;
use crate::market::{Change, MarketEvent};

/// Most trades that wait to be sent behind a later one: one for each symbol in a `reorder`.
const HELD_MAX: usize = 4_096;

/// What the connections get, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The market's event of this number, for whoever is subscribed to it.
    Event(u64, MarketEvent),
    /// Rubbish made from this number.
    Garbage(u64),
    /// One frame of so many bytes.
    Oversize(usize),
    /// So many of the next frames are sent slowly.
    Slow(u64),
    /// A warning that the connection will end.
    Shutdown,
    /// The end of the connection, in order.
    Close,
    /// The end of the connection, without a word.
    Disconnect,
    /// Silence from here on.
    HalfOpen,
}

/// A script in progress.
#[derive(Debug)]
pub(super) struct Faults {
    /// Those that wait for their event, the last one first, with the number of their symbol.
    waiting: Vec<(Fault, Option<u32>)>,
    /// Those that spoil events at the moment, each with how many more.
    active: Vec<(Kind, u64, Option<u32>)>,
    /// Trades that come behind the next one of their symbol.
    held: HashMap<u32, (u64, MarketEvent)>,
    chance: Option<Chance>,
    close_in: Option<u64>,
    skew_millis: i64,
    events: u64,
    /// Those that began since somebody looked, with their counts.
    begun: Vec<(Kind, u64)>,
}

/// Faults that are drawn.
#[derive(Debug)]
struct Chance {
    random: Random,
    /// One in about so many events.
    every: u64,
    kinds: &'static [Kind],
}

impl Faults {
    /// The script from its beginning; `number` gives the number of a symbol. A fault of a symbol that is unknown
    /// never comes.
    pub(super) fn new(script: &Script, number: impl Fn(&str) -> Option<u32>) -> Faults {
        let by_event = |kind| ![Kind::TooMany, Kind::Unavailable, Kind::Random, Kind::Chaos].contains(&kind);
        let known = script.0.iter().filter(|fault| by_event(fault.kind)).filter_map(|fault| {
            let symbol = fault.symbol.as_deref().map(&number);
            (symbol != Some(None)).then(|| (fault.clone(), symbol.flatten()))
        });
        let mut waiting: Vec<(Fault, Option<u32>)> = known.collect();
        waiting.sort_by_key(|(fault, _)| std::cmp::Reverse(fault.at));
        let chance = script.0.iter().find_map(|fault| {
            let kinds = match fault.kind {
                Kind::Random => BY_CHANCE,
                Kind::Chaos => OF_CHAOS,
                _ => return None,
            };
            Some(Chance { random: Random::new(fault.at), every: fault.count.max(1), kinds })
        });
        Faults {
            waiting,
            active: Vec::new(),
            held: HashMap::new(),
            chance,
            close_in: None,
            skew_millis: 0,
            events: 0,
            begun: Vec::new(),
        }
    }

    /// What becomes of the market's next event. What is appended is sent; what is returned is what happened, which
    /// is the event by the venue's clock.
    pub(super) fn apply(&mut self, mut event: MarketEvent, out: &mut Vec<Item>) -> MarketEvent {
        self.events += 1;
        while let Some((fault, symbol)) = self.waiting.pop_if(|(fault, _)| fault.at <= self.events) {
            self.begin(fault.kind, fault.count, symbol, out);
        }
        if let Some(Chance { random, every, kinds }) = &mut self.chance
            && random.happens(1, *every)
        {
            let kind = kinds[random.below(kinds.len() as u64) as usize];
            let count = kind.chance_count(random);
            self.begin(kind, count, None, out);
        }
        event.exchange_ts += self.skew_millis * 1_000_000;
        self.send(event, out);
        match &mut self.close_in {
            Some(0) => {
                self.close_in = None;
                out.push(Item::Close);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        event
    }

    /// What still waits when the market ends.
    pub(super) fn finish(&mut self, out: &mut Vec<Item>) {
        let mut held: Vec<(u64, MarketEvent)> = self.held.drain().map(|(_, event)| event).collect();
        held.sort_by_key(|(number, _)| *number);
        out.extend(held.into_iter().map(|(number, event)| Item::Event(number, event)));
    }

    /// The number of the market's last event.
    pub(super) fn number(&self) -> u64 {
        self.events
    }

    /// How far ahead the venue's clock is, in milliseconds.
    pub(super) fn skew_millis(&self) -> i64 {
        self.skew_millis
    }

    /// What began since this was asked last, with its count.
    pub(super) fn begun(&mut self) -> Vec<(Kind, u64)> {
        std::mem::take(&mut self.begun)
    }

    fn begin(&mut self, kind: Kind, count: u64, symbol: Option<u32>, out: &mut Vec<Item>) {
        self.begun.push((kind, count));
        match kind {
            Kind::Disconnect => out.push(Item::Disconnect),
            Kind::HalfOpen => out.push(Item::HalfOpen),
            Kind::Garbage => out.extend((0..count.min(FAULTS_MAX as u64)).map(Item::Garbage)),
            Kind::Oversize => out.push(Item::Oversize(usize::try_from(count).unwrap_or(0))),
            Kind::Slow => out.push(Item::Slow(count)),
            Kind::Shutdown => {
                out.push(Item::Shutdown);
                self.close_in = Some(count);
            }
            Kind::Skew => self.skew_millis = i64::try_from(count).unwrap_or(0),
            Kind::Lag => self.skew_millis = i64::try_from(count).map_or(0, |count| -count),
            Kind::Silence | Kind::Gap | Kind::Duplicate | Kind::Reorder => {
                self.active.push((kind, count, symbol));
            }
            // Whoever accepts connections refuses them.
            Kind::TooMany | Kind::Unavailable | Kind::Random | Kind::Chaos => {}
        }
    }

    /// Sends the event as those that are active have it.
    fn send(&mut self, event: MarketEvent, out: &mut Vec<Item>) {
        let is_trade = matches!(event.change, Change::Trade { .. });
        let mut chosen = None;
        for (kind, left, symbol) in &mut self.active {
            let is_its = symbol.is_none_or(|symbol| symbol == event.symbol);
            if *kind == Kind::Silence {
                *left -= u64::from(*left > 0);
            }
            if chosen.is_some() || !is_its || !(is_trade || *kind == Kind::Silence) {
                continue;
            }
            chosen = Some(*kind);
            if *kind != Kind::Silence {
                *left -= u64::from(*left > 0);
            }
        }
        self.active.retain(|(_, left, _)| *left > 0);
        match chosen {
            Some(Kind::Silence | Kind::Gap) => return,
            Some(Kind::Duplicate) => out.push(Item::Event(self.events, event)),
            Some(Kind::Reorder) if self.held.len() < HELD_MAX && !self.held.contains_key(&event.symbol) => {
                self.held.insert(event.symbol, (self.events, event));
                return;
            }
            _ => {}
        }
        out.push(Item::Event(self.events, event));
        if is_trade && let Some((number, earlier)) = self.held.remove(&event.symbol) {
            out.push(Item::Event(number, earlier));
        }
    }
}

/// Rubbish: text that is no JSON, JSON that was cut, JSON of no meaning, bytes that are no text. `true` for binary.
pub(super) fn garbage(number: u64) -> (bool, Vec<u8>) {
    match number % 4 {
        0 => (false, b"<html>502 Bad Gateway</html>".to_vec()),
        1 => (false, b"{\"e\":\"trade\",\"s\":\"BTCU".to_vec()),
        2 => (false, b"[[[1]],{\"what\":null}]".to_vec()),
        _ => (true, vec![0xff, 0x00, 0xfe, 0x80]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(id: u64, symbol: u32) -> MarketEvent {
        let change = Change::Trade { id, price: 1, size: 1, buyer_is_maker: true };
        MarketEvent { exchange_ts: 0, received_at: id as i64, symbol, change }
    }

    /// The ids of ten trades of one symbol, as a script has them sent.
    fn sent(script: &str) -> Vec<u64> {
        let mut faults = Faults::new(&Script::parse(script).unwrap(), |name| (name == "A").then_some(0));
        let mut out = Vec::new();
        for id in 1..=10 {
            faults.apply(trade(id, 0), &mut out);
        }
        faults.finish(&mut out);
        let ids = out.iter().filter_map(|item| match item {
            Item::Event(_, MarketEvent { change: Change::Trade { id, .. }, .. }) => Some(*id),
            _ => None,
        });
        ids.collect()
    }

    #[test]
    fn trades_are_sent_as_the_script_says() {
        assert_eq!(sent(""), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(sent("gap@3*2"), [1, 2, 5, 6, 7, 8, 9, 10]);
        assert_eq!(sent("gap@3*2:B"), sent(""));
        assert_eq!(sent("silence@9*5:A"), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(sent("duplicate@2*2"), [1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(sent("reorder@2,reorder@10"), [1, 3, 2, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(sent("gap@1,gap@1,duplicate@4"), [3, 4, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn other_faults_come_at_their_event() {
        let script = Script::parse("shutdown@2*1,garbage@3,skew@3*250,disconnect@5").unwrap();
        let mut faults = Faults::new(&script, |_| None);
        let mut out = Vec::new();
        let times: Vec<i64> = (1..=5).map(|id| faults.apply(trade(id, 0), &mut out).exchange_ts).collect();
        assert_eq!(times, [0, 0, 250_000_000, 250_000_000, 250_000_000]);
        let others: Vec<(usize, Item)> =
            out.into_iter().enumerate().filter(|(_, item)| !matches!(item, Item::Event(..))).collect();
        let expected = [(1, Item::Shutdown), (3, Item::Garbage(0)), (5, Item::Close), (7, Item::Disconnect)];
        assert_eq!(others, expected);
    }

    #[test]
    fn chance_is_the_same_from_the_same_seed() {
        let run = |script: &str| {
            let mut faults = Faults::new(&Script::parse(script).unwrap(), |_| None);
            let mut out = Vec::new();
            for id in 1..=2_000 {
                faults.apply(trade(id, 0), &mut out);
            }
            out
        };
        assert_eq!(run("random@7*50"), run("random@7*50"));
        assert_ne!(run("random@7*50"), run("random@8*50"));
        assert_ne!(run("chaos@7*50"), run("random@7*50"));
    }

    #[test]
    fn chaos_leaves_no_kind_out_and_what_began_is_told() {
        let mut faults = Faults::new(&Script::parse("chaos@3*20").unwrap(), |_| None);
        let (mut out, mut begun) = (Vec::new(), Vec::new());
        for id in 1..=4_000 {
            faults.apply(trade(id, 0), &mut out);
            begun.append(&mut faults.begun());
        }
        let kinds: std::collections::BTreeSet<Kind> = begun.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, OF_CHAOS.iter().copied().collect());
        assert!((150..250).contains(&begun.len()), "{}", begun.len());
        assert!(begun.iter().all(|(_, count)| *count > 0));
        assert_eq!(faults.number(), 4_000);
    }
}
