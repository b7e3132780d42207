//! How far the alert log is committed, for whoever follows it: a number, and a way to wait until it rises.

use tokio::sync::watch;

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
