//! **Pure.** Alerts gathered into notifications by what they have in common.
//!
//! The first alert of a new group waits for others; the group is told, and then no more often than its interval says, when
//! there is something new. A group that had nothing new for that long begins anew. What finds no room has a group told
//! early, and nothing is dropped. Times are nanoseconds of one clock, which whoever asks reads.

use std::collections::BTreeMap;

use feeds::time::Nanos;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Told;
use crate::alert::{Alert, AlertId, State};
use crate::config::limits::{SINK_ALERTS_WAITING, SINK_GROUP_ALERTS, SINK_GROUPS};
use crate::config::{GroupBy, Grouping};

/// What the alerts of a group have in common, as [`Grouping::by`] has it; nothing for a label that is not there.
pub(super) type Values = Vec<Option<String>>;

/// An alert in a group.
#[derive(Debug)]
pub(super) struct Member {
    /// Its place in the log.
    pub(super) number: u64,
    id: AlertId,
    state: State,
    is_suppressed: bool,
    row: Box<RawValue>,
}

impl Member {
    /// The alert `number` of the log.
    ///
    /// # Errors
    /// If `row` is no JSON.
    pub(super) fn new(number: u64, alert: &Alert, row: String) -> Result<Member, serde_json::Error> {
        let is_suppressed = alert.suppressed.is_some();
        let row = RawValue::from_string(row)?;
        Ok(Member { number, id: alert.id, state: alert.state, is_suppressed, row })
    }
}

/// Alerts of one group that are told at once, in the order of the log.
#[derive(Debug)]
pub(super) struct Notification {
    pub(super) values: Values,
    pub(super) members: Vec<Member>,
}

impl Notification {
    /// The places of its alerts, which rise.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.number).collect()
    }

    /// As a sink tells it. The key is made of the group and of the steps of episodes, and of nothing else: not of cursors,
    /// which are others in another generation.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub(super) fn told(&self, by: &[GroupBy]) -> Result<Told, serde_json::Error> {
        let common = Common { by, values: &self.values };
        let last: BTreeMap<AlertId, State> = self.members.iter().map(|one| (one.id, one.state)).collect();
        let count = |state| last.values().filter(|last| **last == state).count();
        let alerts = self.members.iter().map(|member| &*member.row).collect();
        let (firing, resolved) = (count(State::Firing), count(State::Resolved));
        let text = serde_json::to_string(&Body { group: common, firing, resolved, alerts })?;
        let mut hash = Sha256::new();
        hash.update(serde_json::to_string(&common)?);
        for member in &self.members {
            let quiet = if member.is_suppressed { "-suppressed" } else { "" };
            hash.update(format!("\n{}-{}{quiet}", member.id, member.state.name()));
        }
        // Half of it, as of the id of an alert.
        let key = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Told { text, key, alerts: self.members.len() })
    }
}

/// A notification as it is written.
#[derive(Serialize)]
struct Body<'a> {
    group: Common<'a>,
    firing: usize,
    resolved: usize,
    alerts: Vec<&'a RawValue>,
}

/// What the alerts of a group have in common, as it is written.
#[derive(Clone, Copy)]
struct Common<'a> {
    by: &'a [GroupBy],
    values: &'a Values,
}

impl Serialize for Common<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (by, value) in self.by.iter().zip(self.values) {
            map.serialize_entry(&by.to_string(), value)?;
        }
        map.end()
    }
}

/// What `alert` has of `by`.
fn values(by: &[GroupBy], alert: &Alert) -> Values {
    by.iter().map(|by| by.of(&alert.subject()).map(str::to_owned)).collect()
}

/// One group.
#[derive(Debug, Default)]
struct Group {
    /// What waits, in the order of the log.
    members: Vec<Member>,
    /// When the first of them came.
    began: Nanos,
    /// When it was told last, if that still counts.
    told: Option<Nanos>,
}

impl Group {
    /// When it is to be told, if there is something to tell.
    fn due(&self, grouping: &Grouping, bounds: Bounds) -> Option<Nanos> {
        self.members.first()?;
        Some(match self.told {
            _ if self.members.len() >= bounds.alerts => self.began,
            Some(told) => told.saturating_add(grouping.interval),
            None => self.began.saturating_add(grouping.wait),
        })
    }

    /// The place of the first alert that waits.
    fn first(&self) -> Option<u64> {
        self.members.first().map(|member| member.number)
    }
}

/// How much groups hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Alerts in one notification.
    pub(super) alerts: usize,
    /// Groups.
    pub(super) groups: usize,
    /// Alerts in all groups.
    pub(super) waiting: usize,
}

/// Those of a sink.
const BOUNDS: Bounds =
    Bounds { alerts: SINK_GROUP_ALERTS, groups: SINK_GROUPS, waiting: SINK_ALERTS_WAITING };

/// The groups of a sink.
#[derive(Debug)]
pub(super) struct Groups {
    grouping: Grouping,
    bounds: Bounds,
    groups: BTreeMap<Values, Group>,
    /// The alerts of all groups.
    waiting: usize,
}

impl Groups {
    /// None yet.
    pub(super) fn new(grouping: Grouping) -> Groups {
        Groups::bounded(grouping, BOUNDS)
    }

    /// The same with other bounds.
    pub(super) fn bounded(grouping: Grouping, bounds: Bounds) -> Groups {
        Groups { grouping, bounds, groups: BTreeMap::new(), waiting: 0 }
    }

    /// How many groups are known, and how many alerts wait.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.groups.len(), self.waiting)
    }

    /// What they go by.
    pub(super) fn by(&self) -> &[GroupBy] {
        &self.grouping.by
    }

    /// Puts the next alert of the log to its group. What comes back has to be told early, because there is no more room.
    #[must_use]
    pub(super) fn take(&mut self, alert: &Alert, member: Member, now: Nanos) -> Option<Notification> {
        let values = values(&self.grouping.by, alert);
        let early = self.make_room(&values, now);
        let interval = self.grouping.interval;
        let group = self.groups.entry(values).or_default();
        if group.members.is_empty() {
            group.began = now;
            group.told = group.told.filter(|told| told.saturating_add(interval) > now);
        }
        group.members.push(member);
        self.waiting += 1;
        early
    }

    /// Makes room for an alert of the group `values`. One step of these is enough: what is cut leaves room for alerts and, as
    /// a group with nothing that waits, can be forgotten.
    fn make_room(&mut self, values: &Values, now: Nanos) -> Option<Notification> {
        let own = self.groups.get(values);
        let early = match own {
            Some(own) if own.members.len() >= self.bounds.alerts => self.cut(values, now),
            _ if self.waiting >= self.bounds.waiting => self.oldest(now),
            None if self.groups.len() >= self.bounds.groups && self.idlest().is_none() => self.oldest(now),
            _ => None,
        };
        if !self.groups.contains_key(values)
            && self.groups.len() >= self.bounds.groups
            && let Some(idlest) = self.idlest()
        {
            self.groups.remove(&idlest);
        }
        early
    }

    /// The group with nothing that waits that was told before all such others.
    fn idlest(&self) -> Option<Values> {
        let idle = self.groups.iter().filter(|(_, group)| group.members.is_empty());
        idle.min_by_key(|(_, group)| group.told).map(|(values, _)| values.clone())
    }

    /// When the next group is to be told.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.groups.values().filter_map(|group| group.due(&self.grouping, self.bounds)).min()
    }

    /// The group that was to be told first, of those that are due at `now`; of several, the one with the oldest alert.
    pub(super) fn next(&mut self, now: Nanos) -> Option<Notification> {
        let interval = self.grouping.interval;
        self.groups.retain(|_, group| {
            !group.members.is_empty() || group.told.is_some_and(|told| told.saturating_add(interval) > now)
        });
        let due = self.groups.iter().filter_map(|(values, group)| {
            let due = group.due(&self.grouping, self.bounds)?;
            (due <= now).then_some(((due, group.first()), values))
        });
        let values = due.min_by_key(|(key, _)| *key).map(|(_, values)| values.clone())?;
        self.cut(&values, now)
    }

    /// The group with the oldest alert, due or not.
    pub(super) fn oldest(&mut self, now: Nanos) -> Option<Notification> {
        let waiting = self.groups.iter().filter_map(|(values, group)| Some((group.first()?, values)));
        let values = waiting.min().map(|(_, values)| values.clone())?;
        self.cut(&values, now)
    }

    fn cut(&mut self, values: &Values, now: Nanos) -> Option<Notification> {
        let group = self.groups.get_mut(values)?;
        group.told = Some(now);
        let members = std::mem::take(&mut group.members);
        self.waiting -= members.len();
        (!members.is_empty()).then(|| Notification { values: values.clone(), members })
    }

    /// Notes that the group `values` was told at `now`, which may be long after it was cut.
    pub(super) fn taken(&mut self, values: &Values, now: Nanos) {
        if let Some(group) = self.groups.get_mut(values) {
            group.told = Some(now);
        }
    }

    /// The places of the alerts that wait; they rise.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let members = self.groups.values().flat_map(|group| &group.members);
        let mut numbers: Vec<u64> = members.map(|member| member.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Alerts that were being told as one notification, in the order of the log. They are several where alerts are grouped
    /// otherwise since.
    pub(super) fn again(&self, alerts: Vec<(Alert, Member)>) -> Vec<Notification> {
        let mut told: Vec<Notification> = Vec::new();
        for (alert, member) in alerts {
            let values = values(&self.grouping.by, &alert);
            match told.iter_mut().find(|one| one.values == values) {
                Some(one) => one.members.push(member),
                None => told.push(Notification { values, members: vec![member] }),
            }
        }
        told
    }
}
