//! Trades that come in when the watermark has passed them, because they were asked for.

use feeds::tick::Trade;
use feeds::time::Nanos;

use super::Flags;
use super::state::{Emission, Moment, Windows};
use crate::stat::{Key, Pane};

impl Windows {
    /// Puts a trade below the watermark where it belongs, though it is late: into the windows that are not final. The
    /// others are named, with their starts.
    pub fn add_past(
        &mut self,
        moment: &Moment<'_>,
        ts: Nanos,
        trade: &Trade,
        out: &mut Vec<Emission>,
    ) -> Vec<(usize, Nanos)> {
        let key = Key { ts, number: moment.number };
        let watermark = self.watermark(moment.plan);
        let levels = moment.plan.levels();
        let is_final = |level: usize| levels[level].start_of(ts) + levels[level].size <= watermark;
        let mut finals = Vec::new();
        self.total.add_trade(key, trade);
        self.changes.others += 1;
        for (at, level) in levels.iter().enumerate() {
            let start = level.start_of(ts);
            if is_final(at) {
                finals.extend(level.trades.then_some((level.window, start)));
                continue;
            }
            // A longer window takes it over from the shorter one in its chain, when that is final.
            if level.finer.is_none_or(is_final) {
                let carried = self.carried_into(start);
                let mut pane = Pane::default();
                pane.add_trade(key, trade);
                self.levels[at].settle(start, carried, &pane);
            }
            if level.trades {
                let index = self.open_at(at, start);
                if self.levels[at].open[index].complete {
                    self.emit(moment, at, index, Flags::NONE, out);
                } else {
                    self.levels[at].open[index].ticks = 0;
                }
            }
        }
        self.due = self.next_due(moment.plan);
        finals
    }
}
