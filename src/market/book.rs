//! One symbol's best bid and ask: a random walk that the whole market pulls at, and the orders that hit it.

use feeds::time::Nanos;

use super::Change;
use super::instrument::Instrument;
use super::random::Random;

/// Prices between ticks are kept in 2⁻¹⁶ ticks.
const TICK: i64 = 1 << 16;
/// Relative moves are in 2⁻³⁰ of the price.
const PARTS_BITS: u32 = 30;
/// The widest move of one step: 5 %.
const STEP_MAX: i64 = (1 << PARTS_BITS) / 20;
/// The square root of a second's nanoseconds.
const ROOT_OF_SECOND: i64 = 31_623;
/// Prices come most of the way back to where they began within 2⁴² ns, 73 minutes.
const RETURN_BITS: u32 = 42;

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

    /// Moves the prices to time `at`, with the whole market at level `market` (2⁻³⁰, added up since the start).
    pub(super) fn step(&mut self, instrument: &Instrument, at: Nanos, market: i64, random: &mut Random) {
        let elapsed = at - self.moved_at;
        let own = deviation(instrument.volatility, elapsed, random);
        let pulled = (market - self.followed) * instrument.beta / 256;
        let step = (own + pulled).clamp(-STEP_MAX, STEP_MAX);
        let home = instrument.home * TICK;
        let homeward = scaled(home - self.middle, elapsed, RETURN_BITS);
        let moved = self.middle + scaled(self.middle, step, PARTS_BITS) + homeward;
        self.middle = moved.clamp(home / 4, home * 4);
        self.moved_at = at;
        self.followed = market;
        self.requote(instrument, random);
    }

    /// Sets bid and ask around the middle, with new sizes where they moved, and one new size where none did.
    fn requote(&mut self, instrument: &Instrument, random: &mut Random) {
        let spread = scaled(self.middle, instrument.spread, PARTS_BITS);
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

/// A random move over `elapsed`, where one second's standard deviation is `volatility`.
#[inline]
pub(super) fn deviation(volatility: i64, elapsed: Nanos, random: &mut Random) -> i64 {
    let root = u64::try_from(elapsed).unwrap_or(0).isqrt() as i64;
    volatility * root / ROOT_OF_SECOND * random.bell() / (1 << 16)
}

/// `value × factor / 2^bits`, rounded down.
#[inline]
fn scaled(value: i64, factor: i64, bits: u32) -> i64 {
    ((i128::from(value) * i128::from(factor)) >> bits) as i64
}
