//! What rules read of a symbol beside final windows: its last tick, its windows as they stand, its outages.
//!
//! # Bytes
//! Options of the last trade (time i64, price, size, side i64) and quote (time i64, bid, its size, ask, its size); gaps
//! so far u64; the delays that can still be the least: ticks seen u64, a list of (tick u64, delay i64), and an option of
//! the last tick's.

use std::collections::VecDeque;

use feeds::live::Channel;
use feeds::tick::{Quote, Side, Trade};
use feeds::time::Nanos;

use super::history::{put_value, value};
use super::judge::Sight;
use crate::codec::{CodecError, Put, Reader};
use crate::rule::{Number, Slot};
use crate::symbol::outages::Cause;
use crate::window::Live;

/// Ticks over which the least delay is taken.
const DELAYS: u64 = 1_024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    trade: Option<(Nanos, [Number; 3])>,
    quote: Option<(Nanos, [Number; 4])>,
    gaps: u64,
    delays: Delays,
    /// Ids were found missing at the entry in hand.
    pub(super) lost_now: bool,
}

/// The delay of the last tick above the least of the last [`DELAYS`].
#[derive(Clone, Debug, Default, PartialEq)]
struct Delays {
    seen: u64,
    /// Delays that no later one is below, with their tick; the front is the least.
    least: VecDeque<(u64, Nanos)>,
    last: Option<Nanos>,
}

impl Delays {
    fn observe(&mut self, delay: Nanos) {
        self.seen += 1;
        while self.least.back().is_some_and(|(_, known)| *known >= delay) {
            self.least.pop_back();
        }
        self.least.push_back((self.seen, delay));
        while self.least.front().is_some_and(|(tick, _)| tick + DELAYS <= self.seen) {
            self.least.pop_front();
        }
        self.last = Some(delay);
    }

    fn value(&self) -> Option<Nanos> {
        let (_, least) = self.least.front()?;
        Some(self.last?.saturating_sub(*least))
    }
}

impl Facts {
    pub(super) fn hear_trade(
        &mut self,
        ts: Nanos,
        received_at: Option<Nanos>,
        trade: &Trade,
        reads_delay: bool,
    ) {
        let side = match trade.side {
            Side::Buy => 1,
            Side::Sell => -1,
            Side::Unknown => 0,
        };
        let (price, size) = (trade.price(), trade.size());
        if let (Some(price), Some(size), Some(side)) = (
            Number::exact(i128::from(price.mantissa()), price.scale()),
            Number::exact(i128::from(size.mantissa()), size.scale()),
            Number::exact(side, 0),
        ) {
            self.trade = Some((ts, [price, size, side]));
        }
        self.hear_delay(ts, received_at, reads_delay);
    }

    pub(super) fn hear_quote(
        &mut self,
        ts: Nanos,
        received_at: Option<Nanos>,
        quote: &Quote,
        reads_delay: bool,
    ) {
        let of = |value: feeds::number::Decimal| Number::exact(i128::from(value.mantissa()), value.scale());
        if let (Some(bid), Some(bid_size), Some(ask), Some(ask_size)) =
            (of(quote.bid()), of(quote.bid_size()), of(quote.ask()), of(quote.ask_size()))
        {
            self.quote = Some((ts, [bid, bid_size, ask, ask_size]));
        }
        self.hear_delay(ts, received_at, reads_delay);
    }

    fn hear_delay(&mut self, ts: Nanos, received_at: Option<Nanos>, reads_delay: bool) {
        if let Some(received_at) = received_at.filter(|_| reads_delay) {
            self.delays.observe(received_at.saturating_sub(ts));
        }
    }

    pub(super) fn hear_gaps(&mut self, more: u64) {
        self.gaps += more;
    }

    /// The value of a slot at `now`, except for those of windows.
    pub(super) fn slot(&self, slot: &Slot, now: Nanos, sight: &Sight<'_>) -> Option<Number> {
        let trade = |place: usize| self.trade.as_ref().map(|(_, trade)| trade[place]);
        let quote = |place: usize| self.quote.as_ref().map(|(_, quote)| quote[place]);
        let truth = |is: bool| Number::exact(i128::from(is), 0);
        let nanos = |nanos: Nanos| Number::exact(i128::from(nanos), 0);
        match slot {
            Slot::Live { .. } => None,
            Slot::Price => trade(0),
            Slot::Size => trade(1),
            // Nothing is known of a side that the venue does not give.
            Slot::Side => trade(2).filter(|side| side.is_true()),
            Slot::Bid => quote(0),
            Slot::BidSize => quote(1),
            Slot::Ask => quote(2),
            Slot::AskSize => quote(3),
            Slot::Age(channel) => {
                let last = match channel {
                    Channel::Trades => self.trade.as_ref().map(|(ts, _)| *ts),
                    Channel::Quotes => self.quote.as_ref().map(|(ts, _)| *ts),
                };
                nanos(now.saturating_sub(last?).max(0))
            }
            Slot::Stale(channel) => truth(sight.is_out(*channel, |cause| cause == Cause::Silence)),
            Slot::Gap(channel) => {
                let is_lost = self.lost_now && *channel == Channel::Trades;
                truth(is_lost || sight.is_out(*channel, |cause| cause.is_loss() && cause != Cause::Silence))
            }
            Slot::Gaps => Number::exact(i128::from(self.gaps), 0),
            Slot::Delay => nanos(self.delays.value()?),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(u8::from(self.trade.is_some()));
        if let Some((ts, values)) = &self.trade {
            out.put_i64(*ts);
            values.iter().for_each(|value| put_value(Some(*value), out));
        }
        out.put_u8(u8::from(self.quote.is_some()));
        if let Some((ts, values)) = &self.quote {
            out.put_i64(*ts);
            values.iter().for_each(|value| put_value(Some(*value), out));
        }
        out.put_u64(self.gaps);
        out.put_u64(self.delays.seen);
        out.put_u64(self.delays.least.len() as u64);
        for (tick, delay) in &self.delays.least {
            out.put_u64(*tick);
            out.put_i64(*delay);
        }
        out.put_u8(u8::from(self.delays.last.is_some()));
        if let Some(last) = self.delays.last {
            out.put_i64(last);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Facts, CodecError> {
        fn numbers<const N: usize>(
            from: &mut Reader<'_>,
        ) -> Result<Option<(Nanos, [Number; N])>, CodecError> {
            if !is_some(from)? {
                return Ok(None);
            }
            let ts = from.i64()?;
            let mut values = Vec::with_capacity(N);
            for _ in 0..N {
                values.push(value(from)?.ok_or(CodecError::Invalid)?);
            }
            Ok(Some((ts, values.try_into().map_err(|_| CodecError::Invalid)?)))
        }
        let (trade, quote) = (numbers(from)?, numbers(from)?);
        let (gaps, seen) = (from.u64()?, from.u64()?);
        let mut least = VecDeque::new();
        for _ in 0..from.u64()? {
            least.push_back((from.u64()?, from.i64()?));
        }
        let last = if is_some(from)? { Some(from.i64()?) } else { None };
        Ok(Facts { trade, quote, gaps, delays: Delays { seen, least, last }, lost_now: false })
    }
}

fn is_some(from: &mut Reader<'_>) -> Result<bool, CodecError> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Invalid),
    }
}

/// A window that is not over, and the slots that read it.
#[derive(Clone, Debug)]
pub(super) struct LiveWindow {
    pub(super) slots: Vec<usize>,
    pub(super) live: Live,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_is_told_above_the_least_of_the_last(delays in prop::collection::vec(-50i64..50, 1..2_500)) {
            let mut kept = Delays::default();
            for (at, delay) in delays.iter().enumerate() {
                kept.observe(*delay);
                let from = (at + 1).saturating_sub(DELAYS as usize);
                let least = delays[from..=at].iter().min().unwrap();
                prop_assert_eq!(kept.value(), Some(delay - least));
            }
        }
    }
}
