//! Requests by number, until the venue answers.

use std::collections::BTreeMap;

use crate::live::{Notice, Stream};

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

    /// The number of a further request that asks for no stream: it ends some, or is a sign of life. No answer to it
    /// confirms or refuses one.
    pub(crate) fn number_of_none(&mut self) -> u64 {
        self.number(&[])
    }

    /// True if request `number` asked for no stream.
    pub(crate) fn is_of_none(&self, number: u64) -> bool {
        self.waiting.get(&number).is_some_and(Vec::is_empty)
    }

    /// What a refusal of request `number` says: that its streams cannot be had, or that what asked for none failed. A
    /// refusal of what is not known may be about any.
    pub(crate) fn refused(&mut self, number: Option<u64>, why: String) -> Notice {
        match number.and_then(|number| self.answered(number)) {
            Some(streams) if streams.is_empty() => Notice::Complaint(why),
            streams => Notice::Refused(streams.unwrap_or_default(), why),
        }
    }

    /// What a confirmation of request `number` says, if it was about streams.
    pub(crate) fn confirmed(&mut self, number: Option<u64>) -> Option<Notice> {
        let streams = self.answered(number?)?;
        (!streams.is_empty()).then_some(Notice::Acknowledged(streams))
    }

    /// What request `number` was about; known once.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Vec<Stream>> {
        self.waiting.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Channel;

    #[test]
    fn an_answer_counts_once_and_only_for_what_asked_for_streams() {
        let mut requests = Requests::default();
        let stream = [Stream::new("FOO", Channel::Trades)];
        let [first, second, none] =
            [requests.number(&stream), requests.number(&stream), requests.number_of_none()];
        assert_eq!([first, second, none], [1, 2, 3]);
        assert_eq!(requests.confirmed(Some(first)), Some(Notice::Acknowledged(stream.to_vec())));
        assert_eq!(requests.confirmed(Some(first)), None);
        let why = || "why".to_owned();
        assert_eq!(requests.refused(Some(second), why()), Notice::Refused(stream.to_vec(), why()));
        assert_eq!(requests.refused(Some(none), why()), Notice::Complaint(why()));
        assert_eq!(requests.refused(Some(9), why()), Notice::Refused(Vec::new(), why()));
        assert_eq!(requests.refused(None, why()), Notice::Refused(Vec::new(), why()));
        let none = requests.number_of_none();
        assert_eq!((requests.confirmed(Some(none)), requests.confirmed(None)), (None, None));
    }

    #[test]
    fn what_is_never_answered_is_forgotten() {
        let mut requests = Requests::default();
        for _ in 0..WAITING_MAX + 5 {
            requests.number(&[]);
        }
        assert_eq!(requests.waiting.len(), WAITING_MAX);
        assert_eq!((requests.answered(5), requests.answered(6)), (None, Some(Vec::new())));
    }
}
