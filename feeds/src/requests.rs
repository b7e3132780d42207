//! Requests by number, until the venue answers.

use std::collections::BTreeMap;

use crate::live::Stream;

/// Most requests that wait for an answer; what a venue never answers is forgotten, the oldest first.
const WAITING_MAX: usize = 1_024;

/// Subscriptions that were asked for, by the number of the request.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: u64,
    waiting: BTreeMap<u64, Vec<Stream>>,
}

impl Requests {
    /// The number of a further request, about `streams`.
    pub(crate) fn number(&mut self, streams: &[Stream]) -> u64 {
        self.last += 1;
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_first();
        }
        self.waiting.insert(self.last, streams.to_vec());
        self.last
    }

    /// What request `number` was about; known once.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Vec<Stream>> {
        self.waiting.remove(&number)
    }
}
