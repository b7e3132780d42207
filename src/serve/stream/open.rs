//! Windows that are open, for one who looks: in rounds over all symbols that it wants, each of which tells what is new.
//!
//! Who is slow has fewer rounds, and finds in each the last look at every symbol: there is no queue.

use std::time::Duration;

use feeds::symbol::Symbol;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::actors::looks::Looker;
use crate::commit::open::{New, OpenBoard, Seen};
use crate::config::limits::{LOOKED_AT_ONCE, LOOKED_EVERY};

/// The time between two rounds.
const PAUSE: Duration = Duration::from_nanos(LOOKED_EVERY.unsigned_abs());

/// See the module.
pub(super) struct OpenWindows {
    board: OpenBoard,
    _looker: Looker,
    _place: OwnedSemaphorePermit,
    heads: watch::Receiver<u64>,
    /// Symbols whose names were looked at, and those of them that are wanted.
    named: usize,
    seen: Vec<Seen>,
    /// Where the round is; 0 between rounds.
    at: usize,
    /// The number of looks when the last round began; none yet.
    round: Option<u64>,
    due: Instant,
}

impl OpenWindows {
    /// Looks from now on, and first at what is open.
    pub(super) fn new(board: OpenBoard, place: OwnedSemaphorePermit) -> OpenWindows {
        let (looker, heads) = (board.look(), board.heads());
        OpenWindows {
            board,
            _looker: looker,
            _place: place,
            heads,
            named: 0,
            seen: Vec::new(),
            at: 0,
            round: None,
            due: Instant::now(),
        }
    }

    /// Waits until there may be something new. May be given up at any moment.
    pub(super) async fn ready(&mut self) {
        if self.at > 0 {
            return;
        }
        let round = self.round;
        // An error means that the run is gone, and the server with it.
        let _ = self.heads.wait_for(|head| Some(*head) != round).await;
        sleep_until(self.due).await;
    }

    /// Some of what is new of the symbols that `is_wanted` names, up to some `most` rows of `windows`.
    pub(super) fn take(
        &mut self,
        is_wanted: impl Fn(&Symbol) -> bool,
        windows: &[usize],
        most: usize,
    ) -> Vec<New> {
        if self.at == 0 {
            let head = *self.heads.borrow_and_update();
            if self.round == Some(head) || Instant::now() < self.due {
                return Vec::new();
            }
            self.round = Some(head);
            let named = self.board.symbols(self.named, windows);
            self.named += named.len();
            self.seen.extend(named.into_iter().filter(|(symbol, _)| is_wanted(symbol)).map(|(_, seen)| seen));
        }
        let until = self.seen.len().min(self.at + LOOKED_AT_ONCE);
        let (looked_at, new) = self.board.new_of(&mut self.seen[self.at..until], windows, most);
        self.at += looked_at;
        if self.at >= self.seen.len() {
            self.at = 0;
            self.due = Instant::now() + PAUSE;
        }
        new
    }
}
