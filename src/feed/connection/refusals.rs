//! Streams that the venue refused, and when they are asked for again: a refusal may be about the moment, as with too many
//! requests at once, or about another stream of the same request.

use std::collections::BTreeSet;
use std::time::Duration;

use feeds::live::Stream;
use tokio::time::Instant;

use crate::feed::backoff::Backoff;

/// The first wait, before jitter: a limit on requests of a few seconds is over by then.
const FIRST: Duration = Duration::from_secs(5);
/// The longest wait, before jitter: a symbol that is listed again is there within minutes, and one that never is costs
/// the venue next to nothing.
const LONGEST: Duration = Duration::from_secs(300);

/// The refused streams of one connection.
#[derive(Debug)]
pub(super) struct Refusals {
    streams: BTreeSet<Stream>,
    /// Of those, asked for again and not yet answered. What is never answered is for the watch to notice.
    asked: BTreeSet<Stream>,
    waits: Backoff,
    /// When the others are asked for.
    at: Option<Instant>,
    /// How often streams were asked for again since the last time that none was refused.
    rounds: u32,
}

impl Refusals {
    /// None yet; the jitter of the waits follows from `seed`.
    pub(super) fn new(seed: u64) -> Refusals {
        let waits = Backoff::between(seed, FIRST, LONGEST);
        Refusals { streams: BTreeSet::new(), asked: BTreeSet::new(), waits, at: None, rounds: 0 }
    }

    /// All that are refused, those included that were asked for again.
    pub(super) fn streams(&self) -> &BTreeSet<Stream> {
        &self.streams
    }

    /// `stream` is refused, and no answer is expected.
    pub(super) fn is_settled(&self, stream: &Stream) -> bool {
        self.streams.contains(stream) && !self.asked.contains(stream)
    }

    /// `stream` was refused at `now`. True if it was not before: then it waits for no more than the first wait, however
    /// long those have waited that were refused all along.
    pub(super) fn add(&mut self, stream: &Stream, now: Instant) -> bool {
        self.asked.remove(stream);
        let is_new = self.streams.insert(stream.clone());
        let at = *self.at.get_or_insert_with(|| now + self.waits.next(None));
        if is_new {
            self.at = Some(at.min(now + FIRST));
        }
        is_new
    }

    /// `stream` is there, or not wanted any more. True if it was refused.
    pub(super) fn remove(&mut self, stream: &Stream) -> bool {
        self.asked.remove(stream);
        let was_refused = self.streams.remove(stream);
        if self.streams.is_empty() {
            self.waits.reset();
            (self.at, self.rounds) = (None, 0);
        }
        was_refused
    }

    /// What is to be asked for at `now`, and how many in one request, where the venue takes `per_request`: fewer each
    /// time, so that one that the venue does not know takes no others with it.
    pub(super) fn due(&mut self, now: Instant, per_request: usize) -> Option<(Vec<Stream>, usize)> {
        self.at.take_if(|at| now >= *at)?;
        let streams: Vec<Stream> = self.streams.difference(&self.asked).cloned().collect();
        self.asked.extend(streams.iter().cloned());
        let together = per_request.checked_shr(self.rounds).unwrap_or(0).max(1);
        self.rounds = self.rounds.saturating_add(1);
        Some((streams, together))
    }
}
