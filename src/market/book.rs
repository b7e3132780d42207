//! One symbol's best bid and ask: a random walk that the whole market pulls at, and the orders that hit it.

use feeds::time::Nanos;

use super::Change;
use super::instrument::Instrument;
use super::random::Random;

/// Prices between ticks are kept in 2⁻¹⁶ ticks.
const TICK: i64 = 1 << 16;
/// The widest move of one step, in 10⁻⁹ of the price.
const STEP_MAX: i64 = 50_000_000;
/// 10⁹: what relative moves are in parts of.
const PARTS: i64 = 1_000_000_000;
/// The square root of a second's nanoseconds.
const ROOT_OF_SECOND: i64 = 31_623;
/// How long a price takes to come most of the way back to where it began.
const RETURN_NANOS: i128 = 3_600 * 1_000_000_000;

/// The best prices of one symbol and what moves them.
#[derive(Clone, Debug)]
pub(super) struct Book {
    /// The price between bid and ask, in 2⁻¹⁶ ticks.
    middle: i64,
    /// The market's level that `middle` has followed so far.
    followed: i64,
    moved_at: Nanos,
    bid: i64,
    ask: i64,
    bid_lots: i64,
    ask_lots: i64,
    next_trade: u64,
    next_update: u64,
}

impl Book {
    pub(super) fn new(instrument: &Instrument, start: Nanos, random: &mut Random) -> Book {
        let mut book = Book {
            middle: instrument.home * TICK + TICK / 2,
            followed: 0,
            moved_at: start,
            bid: instrument.home,
            ask: instrument.home + 1,
            bid_lots: 0,
            ask_lots: 0,
            next_trade: instrument.first_id,
            next_update: instrument.first_update,
        };
        book.bid_lots = level(instrument, random);
        book.ask_lots = level(instrument, random);
        book
    }

    /// Moves the prices to time `at`, with the whole market at level `market` (10⁻⁹, added up since the start).
    pub(super) fn step(&mut self, instrument: &Instrument, at: Nanos, market: i64, random: &mut Random) {
        let elapsed = at - self.moved_at;
        let own = instrument.volatility * root(elapsed) / ROOT_OF_SECOND * random.bell() / (1 << 16);
        let pulled = (market - self.followed) * instrument.beta / 256;
        let away =
            i128::from(instrument.home * TICK - self.middle) * i128::from(PARTS) / i128::from(self.middle);
        let homeward = away * i128::from(elapsed) / RETURN_NANOS;
        let step = (own + pulled).saturating_add(homeward as i64).clamp(-STEP_MAX, STEP_MAX);
        let moved = self.middle + (i128::from(self.middle) * i128::from(step) / i128::from(PARTS)) as i64;
        self.middle = moved.clamp(instrument.home * TICK / 4, instrument.home * TICK * 4);
        self.moved_at = at;
        self.followed = market;
        self.requote(instrument, random);
    }

    /// Sets bid and ask around the middle, with new sizes where they moved, and one new size where none did.
    fn requote(&mut self, instrument: &Instrument, random: &mut Random) {
        let spread = (i128::from(self.middle) * i128::from(instrument.spread) / i128::from(PARTS)) as i64;
        let bid = ((self.middle - spread / 2) / TICK).max(1);
        let ask = ((self.middle + spread / 2) / TICK + 1).max(bid + 1);
        let (bid_moved, ask_moved) = (bid != self.bid, ask != self.ask);
        (self.bid, self.ask) = (bid, ask);
        let either = random.happens(1, 2);
        let neither_moved = !bid_moved && !ask_moved;
        if bid_moved || (neither_moved && either) {
            self.bid_lots = level(instrument, random);
        }
        if ask_moved || (neither_moved && !either) {
            self.ask_lots = level(instrument, random);
        }
    }

    /// One trade by a taker who sells (or buys), of what he wants and the best price has. True if that emptied it.
    pub(super) fn trade(
        &mut self,
        instrument: &Instrument,
        sells: bool,
        random: &mut Random,
    ) -> (Change, bool) {
        let mut wanted = 1 + random.exponential(instrument.typical_lots) as i64;
        if random.happens(1, 32) {
            wanted *= 12;
        }
        let (price, lots) =
            if sells { (self.bid, &mut self.bid_lots) } else { (self.ask, &mut self.ask_lots) };
        let size = wanted.min(*lots);
        *lots -= size;
        let emptied = *lots == 0;
        let id = self.next_trade;
        self.next_trade += 1;
        if emptied {
            self.retreat(instrument, sells, random);
        }
        (Change::Trade { id, price, size, buyer_is_maker: sells }, emptied)
    }

    /// The best price is gone: the next one takes its place, and the middle goes with it.
    fn retreat(&mut self, instrument: &Instrument, sells: bool, random: &mut Random) {
        if sells && self.bid > 1 {
            self.bid -= 1;
            self.middle -= TICK / 2;
        } else if !sells {
            self.ask += 1;
            self.middle += TICK / 2;
        }
        let lots = level(instrument, random);
        *(if sells { &mut self.bid_lots } else { &mut self.ask_lots }) = lots;
    }

    /// The best prices as they stand, under the next update id.
    pub(super) fn quote(&mut self, random: &mut Random) -> Change {
        self.next_update += 1 + random.below(4);
        Change::Quote {
            id: self.next_update,
            bid: self.bid,
            bid_size: self.bid_lots,
            ask: self.ask,
            ask_size: self.ask_lots,
        }
    }
}

/// The size of all orders at one price, in lots.
fn level(instrument: &Instrument, random: &mut Random) -> i64 {
    1 + random.exponential(instrument.typical_lots * 8) as i64
}

/// The square root of a span of time, rounded down.
fn root(nanos: Nanos) -> i64 {
    u64::try_from(nanos).unwrap_or(0).isqrt() as i64
}
