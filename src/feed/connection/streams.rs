//! The streams of a connection: asked for, confirmed, refused and asked for again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use feeds::live::{Notice, Stream};
use feeds::recording::{Answer, Wish};
use feeds::venue::Output;
use tokio::time::Instant;

use super::{Connection, Outgoing};
use crate::config::limits::COMPLAINTS_SHOWN;
use crate::feed::delivery::Delivery;
use crate::feed::slot::{SlotState, lock};

impl Connection {
    /// Subscribes to what is wanted and not there, and the other way round.
    pub(super) async fn follow_wanted(&mut self) -> Result<(), String> {
        let wanted = self.slot.wanted();
        self.tell_wishes(&wanted).await?;
        let gone: Vec<Stream> = self.have.difference(&wanted).cloned().collect();
        let new: Vec<Stream> = wanted.difference(&self.have).cloned().collect();
        self.have = wanted;
        for stream in &gone {
            self.watch.remove(stream);
            self.pending.remove(stream);
            self.refused.remove(stream);
        }
        self.pending.extend(new.iter().cloned());
        self.request(&gone, false, self.slot.live.streams_per_request);
        self.request(&new, true, self.slot.live.streams_per_request);
        self.tell();
        Ok(())
    }

    /// Tells which streams are not wanted any more, where `wanted` are, and which are again.
    pub(super) async fn tell_wishes(&mut self, wanted: &BTreeSet<Stream>) -> Result<(), String> {
        let gone: Vec<Stream> =
            self.have.difference(wanted).filter(|stream| !self.unwanted.contains(stream)).cloned().collect();
        let back: Vec<Stream> = self.unwanted.intersection(wanted).cloned().collect();
        let wishes = gone.into_iter().map(|stream| (stream, false));
        for (stream, wanted) in wishes.chain(back.into_iter().map(|stream| (stream, true))) {
            if wanted {
                self.unwanted.remove(&stream);
            } else {
                self.unwanted.insert(stream.clone());
            }
            let (connection, received_at) = (self.id, self.slot.shared.now());
            let wish = Wish { stream, wanted };
            self.deliver(Delivery::Wish { connection, wish, received_at }).await?;
        }
        Ok(())
    }

    /// Asks for `streams` or for their end, `together` in one request.
    pub(super) fn request(&mut self, streams: &[Stream], subscribe: bool, together: usize) {
        for chunk in streams.chunks(together.max(1)) {
            let mut out = Output::default();
            if subscribe {
                self.inbound.session.subscribe(chunk, self.slot.shared.now(), &mut out);
            } else {
                self.inbound.session.unsubscribe(chunk, self.slot.shared.now(), &mut out);
            }
            self.enqueue(out, if subscribe { chunk } else { &[] });
        }
    }

    /// Asks again for what was refused, when it is time and no request for streams waits any more.
    pub(super) fn ask_again(&mut self, now: Instant) {
        if self.outbox.iter().any(|outgoing| !outgoing.streams.is_empty()) {
            return;
        }
        let Some((streams, together)) = self.refused.due(now, self.slot.live.streams_per_request) else {
            return;
        };
        tracing::info!(connection = self.id.0, streams = streams.len(), "asking again for what was refused");
        self.request(&streams, true, together);
    }

    pub(super) fn enqueue(&mut self, out: Output, streams: &[Stream]) {
        let mut streams = streams.to_vec();
        if out.sends.is_empty() {
            // A venue whose address says it all: watched from now on.
            self.watch_from_now(&streams);
            return;
        }
        let last = out.sends.len() - 1;
        for (index, text) in out.sends.into_iter().enumerate() {
            let streams = if index == last { std::mem::take(&mut streams) } else { Vec::new() };
            self.outbox.push_back(Outgoing { text, streams });
        }
    }

    pub(super) fn watch_from_now(&mut self, streams: &[Stream]) {
        let (now, patience) = (self.origin.elapsed(), self.slot.patience());
        for stream in streams {
            if self.have.contains(stream) && !self.refused.is_settled(stream) {
                self.watch.add(stream, self.inbound.symbols(), &patience, now);
            }
        }
    }

    /// Takes note. True if what is confirmed may have changed.
    pub(super) fn notice(&mut self, notice: &Notice, alarms: &mut Vec<String>) -> bool {
        let counters = &self.slot.counters;
        match notice {
            Notice::Acknowledged(streams) => {
                for stream in streams {
                    self.pending.remove(stream);
                    self.refused.remove(stream);
                }
            }
            Notice::Refused(streams, why) => {
                let now = Instant::now();
                for stream in streams {
                    self.pending.remove(stream);
                    self.watch.remove(stream);
                    // One that is not wanted any more, or was never, is not asked for again.
                    if !self.have.contains(stream) || self.refused.add(stream, now) {
                        alarms.push(format!("{} refused: {why}", self.name(stream)));
                    }
                }
                if streams.is_empty() {
                    alarms.push(format!("a request was refused: {why}"));
                }
            }
            Notice::Ending(why) => self.replace(format!("the venue ends it: {why}")),
            Notice::Complaint(what) => {
                counters.complaints.fetch_add(1, Ordering::Relaxed);
                if self.complaints_shown < COMPLAINTS_SHOWN {
                    self.complaints_shown += 1;
                    tracing::warn!(venue = self.slot.venue.id(), what, "the venue complains");
                }
            }
            Notice::Skipped { first, last } => {
                let missing = last.saturating_sub(*first).saturating_add(1);
                counters.skipped.fetch_add(missing, Ordering::Relaxed);
            }
            Notice::Restarted(_) => {
                counters.restarted.fetch_add(1, Ordering::Relaxed);
            }
            Notice::Newest { symbol, id } => self.watch.newest(*symbol, *id, self.origin.elapsed()),
        }
        matches!(notice, Notice::Acknowledged(_) | Notice::Refused(..))
    }

    /// What of `notices` answers for streams that are still wanted.
    pub(super) fn answers(&self, notices: &[Notice]) -> Vec<Delivery> {
        let (connection, received_at) = (self.id, self.slot.shared.now());
        let is_wanted = |stream: &&Stream| self.have.contains(*stream) && !self.unwanted.contains(*stream);
        let answers = notices.iter().filter_map(|notice| {
            let (streams, granted) = match notice {
                Notice::Acknowledged(streams) => (streams, true),
                Notice::Refused(streams, _) => (streams, false),
                _ => return None,
            };
            let streams: Vec<Stream> = streams.iter().filter(is_wanted).cloned().collect();
            let answer = Answer { streams, granted };
            (!answer.streams.is_empty()).then_some(Delivery::Answer { connection, answer, received_at })
        });
        answers.collect()
    }

    pub(super) fn name(&self, stream: &Stream) -> String {
        format!("{}:{} {}", self.slot.venue.id(), stream.native, stream.channel.name())
    }

    /// Tells the keeper how subscriptions stand.
    pub(super) fn tell(&self) {
        let refused = self.refused.streams();
        let waiting = self.pending.len() + refused.len();
        self.phase.acknowledged.store(self.have.len().saturating_sub(waiting) as u64, Ordering::Relaxed);
        let mut said = lock(&self.phase.refused);
        if *said != *refused {
            said.clone_from(refused);
        }
        drop(said);
        let is_answered = |outgoing: &Outgoing| outgoing.streams.iter().all(|one| refused.contains(one));
        let is_ready = self.pending.is_empty() && self.outbox.iter().all(is_answered);
        self.phase.is_ready.store(is_ready, Ordering::Relaxed);
        if !self.phase.is_successor.load(Ordering::Relaxed) {
            self.slot.enter(if is_ready { SlotState::Live } else { SlotState::Subscribing });
        }
        self.phase.news.notify_one();
    }
}
