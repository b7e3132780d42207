//! Whether a live run does what it is there for, and if not, why not.

use feeds::time::{Nanos, SECOND};

use crate::clock::Stamp;
use crate::config::limits::{COMMIT_OVERDUE, INTAKE_STILL};
use crate::feed::slot::SlotState;
use crate::live::pulse::Pulse;

/// Connections that are named; the others are counted.
const NAMED: usize = 3;

/// What keeps the run from being ready at `now`; nothing if it is.
///
/// A connection counts from its first time with every subscription confirmed. Later losses of single ones are normal,
/// and are shown elsewhere; all of them at once are not.
#[must_use]
pub fn unready(pulse: &Pulse, checkpoint_every: Nanos, now: Stamp) -> Vec<String> {
    if pulse.ended() {
        return vec!["the run has ended".to_owned()];
    }
    let asked = pulse.asked();
    let mut why = Vec::new();
    if asked.connections.is_empty() {
        why.push("the feeds are being started".to_owned());
    } else if !asked.unready.is_empty() {
        let named = asked.unready.iter().take(NAMED).map(|&place| {
            let connection = &asked.connections[place];
            let (done, wanted) = (connection.acknowledged + connection.refused, connection.streams);
            format!("{} {} ({done} of {wanted})", connection.venue, connection.address)
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let (waiting, all) = (asked.unready.len(), asked.connections.len());
        why.push(format!("{waiting} of {all} connections wait for their subscriptions: {named}"));
    } else if !asked.connections.iter().any(|connection| connection.state == SlotState::Live) {
        why.push("no connection is up".to_owned());
    }
    let unheard = now.since(asked.at);
    if unheard > INTAKE_STILL {
        why.push(format!("the feeds have not been heard of for {} s", unheard / SECOND));
    }
    let (taken, since) = asked.tape;
    let still = now.since(since);
    if pulse.tape() == taken && still > INTAKE_STILL {
        let waiting = asked.waiting;
        why.push(format!("the tape has stood still for {} s; {waiting} deliveries wait", still / SECOND));
    }
    let committed = pulse.committed();
    if let Some(full) = committed.waits.values().next() {
        why.push(full.clone());
    }
    let uncommitted = now.since(committed.committed_at.unwrap_or(pulse.begun()));
    if uncommitted > checkpoint_every + COMMIT_OVERDUE {
        why.push(format!("nothing has been committed for {} s", uncommitted / SECOND));
    }
    why
}
