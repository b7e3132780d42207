//! What a connection looks at twice a second: signs of life, its age, unconfirmed and silent streams.

use std::sync::atomic::Ordering;
use std::time::Duration;

use feeds::venue::Output;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Connection, Outgoing, SEND_WITHIN};
use crate::feed::slot::lock;
use crate::feed::watch::Remedy;

/// How long subscriptions may stay unconfirmed: a successor is then given up, another connection only says so.
const READY_WITHIN: Duration = Duration::from_secs(30);

impl Connection {
    pub(super) async fn check(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if let Some((deadline, why)) = &self.closing {
            return if now < *deadline { Ok(()) } else { Err(why.clone()) };
        }
        self.check_life(now).await?;
        if self.app_ping_at.is_some_and(|at| now >= at) {
            self.app_ping_at = self.app_ping_every.map(|every| now + every);
            let mut out = Output::default();
            self.inbound.session.ping(self.slot.shared.now(), &mut out);
            for text in out.sends.into_iter().rev() {
                self.outbox.push_front(Outgoing { text, streams: Vec::new() });
            }
        }
        if self.lifetime_at.is_some_and(|at| now >= at) {
            self.lifetime_at = None;
            self.replace("its lifetime is nearly over".to_owned());
        }
        self.ask_again(now);
        self.check_ready(now).await?;
        self.check_silence().await
    }

    async fn check_life(&mut self, now: Instant) -> Result<(), String> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes != self.alive.0 {
            self.alive = (bytes, now);
            self.asked_for_life = false;
        }
        let (dead, quiet) =
            (Duration::from_secs(u64::from(self.slot.live.dead_seconds.max(1))), now - self.alive.1);
        if quiet >= dead {
            return Err(format!("dead: no byte for {} s", quiet.as_secs()));
        }
        if quiet >= dead / 2 && !self.asked_for_life {
            self.asked_for_life = true;
            self.send(Message::Ping(bytes::Bytes::new()), SEND_WITHIN).await?;
        }
        Ok(())
    }

    async fn check_ready(&mut self, now: Instant) -> Result<(), String> {
        let is_late = now >= self.origin + READY_WITHIN && self.outbox.is_empty() && !self.pending.is_empty();
        if !is_late || self.unready_said {
            return Ok(());
        }
        let what = format!("{} of {} subscriptions are not confirmed", self.pending.len(), self.have.len());
        if self.phase.is_successor.load(Ordering::Relaxed) {
            return Err(what);
        }
        self.unready_said = true;
        self.alarm(None, what).await
    }

    async fn check_silence(&mut self) -> Result<(), String> {
        let overdue = self.watch.overdue(&mut self.slot.patience(), self.origin.elapsed());
        *lock(&self.phase.silent) = self.watch.silent().cloned().collect();
        let mut again = Vec::new();
        for late in overdue {
            let name = self.name(&late.stream);
            let silent = late.silent.as_secs();
            match late.remedy {
                Remedy::Resubscribe => {
                    let what = format!("{name} silent for {silent} s, subscribing again");
                    self.alarm(Some((late.stream.clone(), late.silent)), what).await?;
                    again.push(late.stream);
                }
                Remedy::Reconnect => {
                    let what = format!("{name} silent for {silent} s, connecting again");
                    self.alarm(Some((late.stream, late.silent)), what).await?;
                    self.replace(format!("{name} was silent"));
                }
            }
        }
        if !again.is_empty() {
            self.request(&again, false, self.slot.live.streams_per_request);
            for chunk in again.chunks(self.slot.live.streams_per_request.max(1)) {
                let mut out = Output::default();
                self.inbound.session.subscribe(chunk, self.slot.shared.now(), &mut out);
                self.enqueue(out, &[]);
            }
        }
        Ok(())
    }
}
