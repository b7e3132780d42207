//! The alert log as it grows: which alerts are to be written and which go, and how far it is committed, for whoever
//! follows it.

use tokio::sync::watch;

use crate::alert::Alert;

/// How many alerts go at a time, so that not every batch takes some out.
const GO_TOGETHER: u64 = 1_024;

/// Alerts that are to be written.
#[derive(Clone, Debug, Default)]
pub struct Numbered {
    /// With their numbers.
    pub alerts: Vec<(u64, Alert)>,
    /// Those up to this number go; 0 if none does.
    pub gone: u64,
}

impl Numbered {
    /// `alerts` behind number `before`, of a log that keeps `kept`. Which ones go depends on numbers alone.
    #[must_use]
    pub fn new(alerts: Vec<Alert>, before: u64, kept: u64) -> Numbered {
        let gone = |head: u64| head.saturating_sub(kept) / GO_TOGETHER * GO_TOGETHER;
        let head = before + alerts.len() as u64;
        let goes = gone(head) > gone(before);
        Numbered { alerts: (before + 1..).zip(alerts).collect(), gone: if goes { gone(head) } else { 0 } }
    }

    /// These and then those.
    pub fn append(&mut self, later: Numbered) {
        self.alerts.extend(later.alerts);
        self.gone = self.gone.max(later.gone);
    }
}

/// The number of the last alert that is committed (and synced, where that is asked for). Clones share it.
#[derive(Clone, Debug)]
pub struct AlertBoard(watch::Sender<u64>);

impl Default for AlertBoard {
    fn default() -> AlertBoard {
        AlertBoard(watch::Sender::new(0))
    }
}

impl AlertBoard {
    /// The number now.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.0.borrow()
    }

    /// Hears when it rises.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    /// Alerts up to `number` are committed.
    pub fn publish(&self, number: u64) {
        self.0.send_if_modified(|head| {
            let rises = number > *head;
            *head = number.max(*head);
            rises
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_alerts_go_depends_on_their_numbers_alone() {
        let alert = || crate::schema::alerts::tests::made(1);
        let gone = |before, count: usize| Numbered::new(vec![alert(); count], before, 2_000).gone;
        assert_eq!((gone(0, 3_000), gone(3_000, 23), gone(3_000, 24)), (0, 0, 1_024));
        // Those in between went before.
        assert_eq!((gone(3_024, 500), gone(3_000, 2_000)), (0, 2_048));
    }

    #[test]
    fn it_only_rises_and_wakes_only_then() {
        let board = AlertBoard::default();
        let mut follower = board.follow();
        board.publish(3);
        assert!(follower.has_changed().unwrap());
        assert_eq!(*follower.borrow_and_update(), 3);
        board.publish(2);
        assert!(!follower.has_changed().unwrap());
        assert_eq!(board.head(), 3);
    }
}
