//! Whether a live run does what it is there for, and if not, why not.

use feeds::time::{Nanos, SECOND};

use crate::clock::Stamp;
use crate::config::limits::{COMMIT_OVERDUE, INTAKE_STILL};
use crate::feed::ConnectionStatus;
use crate::feed::slot::SlotState;
use crate::live::pulse::{Asked, Pulse};

/// Connections and refused streams that are named; the others are counted.
const NAMED: usize = 3;

/// What keeps the run from being ready at `now`; nothing if it is.
///
/// A connection counts from its first time with every subscription answered, and one granted. Later losses of single
/// connections are normal, and are shown elsewhere; all of them at once are not, nor is one to which all is refused.
#[must_use]
pub fn unready(pulse: &Pulse, checkpoint_every: Nanos, now: Stamp) -> Vec<String> {
    if pulse.ended() {
        return vec!["the run has ended".to_owned()];
    }
    let asked = pulse.asked();
    let mut why = feeds(&asked);
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

/// What keeps the feeds from being ready, as they said last.
fn feeds(asked: &Asked) -> Vec<String> {
    let connections = &asked.connections;
    if connections.is_empty() {
        return vec!["the feeds are being started".to_owned()];
    }
    // A connection that nothing is wanted of any more need not be up; where nothing is wanted at all, none need.
    let is_wanted = |connection: &&ConnectionStatus| connection.streams > 0;
    let wanted = connections.iter().filter(is_wanted);
    let mut why = Vec::new();
    let unready = asked.unready.iter().map(|&place| &connections[place]).filter(is_wanted);
    // Where all is answered and nothing granted, that is said below.
    let waiting: Vec<&ConnectionStatus> =
        unready.filter(|connection| connection.state != SlotState::Live).collect();
    if !waiting.is_empty() {
        let named = waiting.iter().take(NAMED).map(|connection| {
            let (done, wanted) = (connection.acknowledged + connection.refused, connection.streams);
            format!("{} {} ({done} of {wanted})", connection.venue, connection.address)
        });
        let named = named.collect::<Vec<_>>().join(", ");
        let (waiting, all) = (waiting.len(), wanted.count());
        why.push(format!("{waiting} of {all} connections wait for their subscriptions: {named}"));
    } else if wanted.clone().count() > 0 && !wanted.clone().any(|it| it.state == SlotState::Live) {
        why.push("no connection is up".to_owned());
    }
    let all_refused: Vec<_> = connections.iter().filter(|connection| connection.is_refused()).collect();
    for connection in all_refused.iter().take(NAMED) {
        let (refused, streams) = (connection.refused_streams.len(), connection.streams);
        let mut named = connection.refused_streams[..refused.min(NAMED)].join(", ");
        if refused > NAMED {
            named.push_str(&format!(" and {} more", refused - NAMED));
        }
        let (venue, address) = (connection.venue, &connection.address);
        why.push(format!(
            "{venue} {address} refused {refused} of {streams} subscriptions, granted none: {named}"
        ));
    }
    if all_refused.len() > NAMED {
        why.push(format!("so it is with {} more connections", all_refused.len() - NAMED));
    }
    why
}
