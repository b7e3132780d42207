//! Who has been silent for too long. Pure: it is told what came when, and says what is overdue.
//!
//! Only data counts, or a venue's own word that there is none: a socket that pings and brings nothing is the failure
//! that this is here for. A market may be quiet all the same. So a stream's patience doubles with every alarm in vain
//! and comes down only when it has been lively for as long, which makes the alarms of a quiet stream ever rarer.

use std::collections::BTreeMap;
use std::time::Duration;

use feeds::live::{Channel, Stream};
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Tick};

/// Most times that patience doubles: with one minute of allowed silence an alarm every 17 hours.
const DOUBLINGS_MAX: u32 = 10;

/// How often the patience with each stream was doubled; outlives connections.
pub type Patience = BTreeMap<Stream, u32>;

/// What is to be done about a silent stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Subscribe again, on the same connection.
    Resubscribe,
    /// That was in vain: take another connection.
    Reconnect,
}

/// A stream that is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Which.
    pub stream: Stream,
    /// For how long nothing came.
    pub silent: Duration,
    /// What to do.
    pub remedy: Remedy,
}

#[derive(Debug)]
struct Watched {
    stream: Stream,
    /// The last data, or when it was subscribed.
    heard: Duration,
    /// Since when nothing was overdue.
    lively: Duration,
    /// The last alarm, if nothing came since.
    alarmed: Option<(Duration, Remedy)>,
    newest: Option<u64>,
    doublings: u32,
    has_data: bool,
}

/// The streams of one connection. Times are since any one moment.
#[derive(Debug)]
pub struct Watch {
    silence: Duration,
    streams: BTreeMap<Stream, usize>,
    watched: Vec<Option<Watched>>,
    /// By symbol's number and channel, where in `watched`.
    places: Vec<[Option<usize>; 2]>,
}

impl Watch {
    /// No streams yet; `silence` is how long one may bring nothing.
    #[must_use]
    pub fn new(silence: Duration) -> Watch {
        Watch { silence, streams: BTreeMap::new(), watched: Vec::new(), places: Vec::new() }
    }

    /// `stream` is subscribed from now on.
    pub fn add(&mut self, stream: &Stream, known: &[Symbol], patience: &Patience, now: Duration) {
        let doublings = patience.get(stream).copied().unwrap_or(0);
        let fresh = Watched {
            stream: stream.clone(),
            heard: now,
            lively: now,
            alarmed: None,
            newest: None,
            doublings,
            has_data: false,
        };
        let place = self.watched.len();
        let place = *self.streams.entry(stream.clone()).or_insert(place);
        if place == self.watched.len() {
            self.watched.push(Some(fresh));
        } else {
            self.watched[place] = Some(fresh);
        }
        let of = |symbol: &Symbol| symbol.native() == stream.native;
        if let Some(index) = known.iter().position(of)
            && let Some(places) = self.places.get_mut(index)
        {
            places[channel_index(stream.channel)] = Some(place);
        }
    }

    /// `stream` is not subscribed any more.
    pub fn remove(&mut self, stream: &Stream) {
        if let Some(place) = self.streams.get(stream) {
            self.watched[*place] = None;
        }
    }

    /// The session met a symbol; called for each in the order of its numbers.
    pub fn meet(&mut self, symbol: &Symbol) {
        let place = |channel| self.streams.get(&Stream::new(symbol.native(), channel)).copied();
        let places = Channel::ALL.map(place);
        self.places.push(places);
    }

    /// A tick came in; the stream, if it is its first. What is history, or could not be read, shows nothing.
    #[inline]
    pub fn hear(&mut self, tick: &Tick, now: Duration) -> Option<Stream> {
        let (channel, id) = match &tick.event {
            Event::Trade(trade) => (Channel::Trades, trade.id()),
            Event::Quote(_) => (Channel::Quotes, None),
            Event::Rejected(_) => return None,
        };
        if tick.history {
            return None;
        }
        let silence = self.silence;
        let watched = self.find(tick.symbol, channel)?;
        watched.newest = watched.newest.max(id);
        watched.hear(silence, now);
        let is_first = !std::mem::replace(&mut watched.has_data, true);
        is_first.then(|| watched.stream.clone())
    }

    /// The venue says which trade is a symbol's newest. If we have it, or none to compare with, silence is its truth.
    pub fn newest(&mut self, symbol: SymbolId, id: u64, now: Duration) {
        let silence = self.silence;
        if let Some(watched) = self.find(symbol, Channel::Trades)
            && watched.newest.is_none_or(|newest| id <= newest)
        {
            watched.newest = watched.newest.max(Some(id));
            watched.hear(silence, now);
        }
    }

    /// Streams that are overdue now; each is named once for each remedy.
    pub fn overdue(&mut self, patience: &mut Patience, now: Duration) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for (stream, place) in &self.streams {
            let Some(watched) = &mut self.watched[*place] else { continue };
            let since = watched.alarmed.map_or(watched.heard, |(at, _)| at);
            if now.saturating_sub(since) < self.silence * (1 << watched.doublings) {
                // It comes down only after it was lively for as long as patience lasts.
                if watched.doublings > 0
                    && watched.alarmed.is_none()
                    && watched.heard.saturating_sub(watched.lively) >= self.silence * (1 << watched.doublings)
                {
                    watched.doublings -= 1;
                    watched.lively = watched.heard;
                    patience.insert(stream.clone(), watched.doublings);
                }
                continue;
            }
            let remedy = match watched.alarmed {
                None => Remedy::Resubscribe,
                Some(_) => Remedy::Reconnect,
            };
            if remedy == Remedy::Reconnect {
                watched.doublings = (watched.doublings + 1).min(DOUBLINGS_MAX);
                patience.insert(stream.clone(), watched.doublings);
            }
            watched.alarmed = Some((now, remedy));
            overdue.push(Overdue {
                stream: stream.clone(),
                silent: now.saturating_sub(watched.heard),
                remedy,
            });
        }
        overdue
    }

    /// Streams that were overdue, and from which nothing has come since.
    pub fn silent(&self) -> impl Iterator<Item = &Stream> {
        self.watched
            .iter()
            .flatten()
            .filter(|watched| watched.alarmed.is_some())
            .map(|watched| &watched.stream)
    }

    fn find(&mut self, symbol: SymbolId, channel: Channel) -> Option<&mut Watched> {
        let place = self.places.get(symbol.0 as usize)?[channel_index(channel)]?;
        self.watched.get_mut(place)?.as_mut()
    }
}

impl Watched {
    fn hear(&mut self, silence: Duration, now: Duration) {
        if now.saturating_sub(self.heard) >= silence {
            self.lively = now;
        }
        self.heard = now;
        self.alarmed = None;
    }
}

fn channel_index(channel: Channel) -> usize {
    match channel {
        Channel::Trades => 0,
        Channel::Quotes => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feeds::number::Decimal;
    use feeds::tick::{Rejection, Side, Trade};

    const SILENCE: Duration = Duration::from_secs(30);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn stream(native: &str) -> Stream {
        Stream::new(native, Channel::Trades)
    }

    fn trade(symbol: u32, id: u64) -> Tick {
        let one = Decimal::parse(b"1").unwrap();
        Tick::new(SymbolId(symbol), 0, None, Event::Trade(Trade::new(Some(id), one, one, Side::Buy)))
    }

    /// A watch over `A` and `B`, met in the other order, at second 0.
    fn watch() -> (Watch, Patience) {
        let (mut watch, patience) = (Watch::new(SILENCE), Patience::new());
        let symbols = [Symbol::new("foo", "B"), Symbol::new("foo", "A")];
        watch.add(&stream("A"), &[], &patience, seconds(0));
        for symbol in &symbols {
            watch.meet(symbol);
        }
        watch.add(&stream("B"), &symbols, &patience, seconds(0));
        (watch, patience)
    }

    fn remedies(overdue: &[Overdue]) -> Vec<(&str, u64, Remedy)> {
        overdue.iter().map(|late| (late.stream.native.as_str(), late.silent.as_secs(), late.remedy)).collect()
    }

    #[test]
    fn each_stream_is_overdue_by_itself_first_to_be_asked_again_then_to_be_replaced() {
        let (mut watch, mut patience) = watch();
        assert_eq!(watch.hear(&trade(1, 1), seconds(10)), Some(stream("A")), "its first data");
        assert_eq!(watch.hear(&trade(1, 2), seconds(11)), None);
        assert!(watch.overdue(&mut patience, seconds(29)).is_empty());
        let overdue = watch.overdue(&mut patience, seconds(30));
        assert_eq!(remedies(&overdue), [("B", 30, Remedy::Resubscribe)]);
        assert!(watch.overdue(&mut patience, seconds(31)).is_empty(), "said once");
        let overdue = watch.overdue(&mut patience, seconds(60));
        assert_eq!(remedies(&overdue), [("A", 49, Remedy::Resubscribe), ("B", 60, Remedy::Reconnect)]);
        assert_eq!(patience, [(stream("B"), 1)].into());
    }

    #[test]
    fn history_and_what_cannot_be_read_and_other_channels_are_no_sign_of_life() {
        let (mut watch, mut patience) = watch();
        let mut past = trade(0, 1);
        past.history = true;
        let mut rejected = trade(0, 2);
        rejected.event = Event::Rejected(Rejection::BadTime);
        assert_eq!([watch.hear(&past, seconds(29)), watch.hear(&rejected, seconds(29))], [None, None]);
        assert_eq!(watch.hear(&trade(7, 1), seconds(29)), None, "a symbol that was never met");
        assert_eq!(watch.overdue(&mut patience, seconds(30)).len(), 2);
    }

    #[test]
    fn patience_doubles_up_to_1024_times_and_comes_down_when_lively() {
        let (mut watch, mut patience) = watch();
        watch.remove(&stream("A"));
        let mut now = 0;
        for alarms in 0..40 {
            let overdue = watch.overdue(&mut patience, seconds(now));
            assert!(overdue.len() <= 1, "{alarms}");
            now += SILENCE.as_secs() << DOUBLINGS_MAX;
        }
        assert_eq!(patience[&stream("B")], DOUBLINGS_MAX);
        // One step down each time that patience has gone by in liveliness: all ten within twice the longest.
        let longest = SILENCE.as_secs() << DOUBLINGS_MAX;
        let end = now + 2 * longest + 20 * u64::from(DOUBLINGS_MAX);
        let mut steps = Vec::new();
        while now < end {
            now += 20;
            watch.hear(&trade(0, now), seconds(now));
            assert!(watch.overdue(&mut patience, seconds(now)).is_empty());
            steps.push(patience[&stream("B")]);
        }
        steps.dedup();
        assert_eq!(steps, (0..=DOUBLINGS_MAX).rev().collect::<Vec<_>>());
    }

    #[test]
    fn the_newest_by_the_venue_is_a_sign_of_life_unless_it_is_one_that_we_lack() {
        let (mut watch, mut patience) = watch();
        watch.remove(&stream("B"));
        watch.hear(&trade(1, 7), seconds(1));
        watch.newest(SymbolId(1), 7, seconds(20));
        assert!(watch.overdue(&mut patience, seconds(49)).is_empty());
        watch.newest(SymbolId(1), 8, seconds(40));
        assert_eq!(remedies(&watch.overdue(&mut patience, seconds(50))), [("A", 30, Remedy::Resubscribe)]);
    }

    #[test]
    fn what_is_removed_is_not_missed_and_what_is_added_again_begins_anew() {
        let (mut watch, mut patience) = watch();
        watch.remove(&stream("A"));
        watch.remove(&stream("B"));
        assert!(watch.overdue(&mut patience, seconds(3_600)).is_empty());
        let symbols = [Symbol::new("foo", "B"), Symbol::new("foo", "A")];
        watch.add(&stream("A"), &symbols, &patience, seconds(3_600));
        assert_eq!(watch.hear(&trade(1, 1), seconds(3_629)), Some(stream("A")));
        assert!(watch.overdue(&mut patience, seconds(3_658)).is_empty());
        assert_eq!(watch.overdue(&mut patience, seconds(3_659)).len(), 1);
    }
}
