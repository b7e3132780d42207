//! Groups on a clock that the tests turn, and against a model that looks at every alert.

use std::collections::BTreeMap;

use feeds::time::Nanos;
use proptest::prelude::*;

use super::groups::{Bounds, Groups, Member, Notification};
use crate::alert::{Alert, AlertId, Severity, State};
use crate::config::limits::{SINK_ALERTS_WAITING, SINK_GROUP_ALERTS, SINK_GROUPS};
use crate::config::{GroupBy, Grouping};

const WAIT: Nanos = 10;
const INTERVAL: Nanos = 100;

fn alert(rule: &str, id: u8, state: State) -> Alert {
    Alert {
        id: AlertId([id; 16]),
        state,
        rule: rule.to_owned(),
        symbol: "here:ABC".to_owned(),
        severity: Severity::Info,
        event_time: 0,
        fired_at: None,
        message: String::new(),
        labels: vec![("desk".to_owned(), "one \"1\"".to_owned())],
        values: Vec::new(),
        windows: Vec::new(),
        number: 0,
        suppressed: None,
    }
}

fn groups(by: Vec<GroupBy>) -> Groups {
    Groups::new(Grouping { by, wait: WAIT, interval: INTERVAL })
}

/// Takes an alert whose row is its number.
fn take(groups: &mut Groups, number: u64, alert: &Alert, now: Nanos) -> Option<Notification> {
    groups.take(alert, Member::new(number, alert, number.to_string()).unwrap(), now)
}

fn by_rule(groups: &mut Groups, number: u64, rule: &str, now: Nanos) -> Option<Vec<u64>> {
    take(groups, number, &alert(rule, 1, State::Firing), now).map(|early| early.numbers())
}

fn next(groups: &mut Groups, now: Nanos) -> Option<Vec<u64>> {
    groups.next(now).map(|notification| notification.numbers())
}

#[test]
fn the_first_waits_for_others_and_the_next_for_the_interval() {
    let mut groups = groups(vec![GroupBy::Rule]);
    assert_eq!((groups.due(), next(&mut groups, 0)), (None, None));
    assert_eq!(by_rule(&mut groups, 1, "a", 0), None);
    assert_eq!(by_rule(&mut groups, 2, "b", 4), None);
    assert_eq!(by_rule(&mut groups, 3, "a", 9), None);
    assert_eq!((groups.due(), next(&mut groups, 9), groups.waiting()), (Some(10), None, vec![1, 2, 3]));
    assert_eq!((next(&mut groups, 10), next(&mut groups, 10)), (Some(vec![1, 3]), None));
    assert_eq!((groups.due(), next(&mut groups, 14)), (Some(14), Some(vec![2])));
    // New of a group that was told lately.
    assert_eq!(by_rule(&mut groups, 4, "a", 20), None);
    assert_eq!(
        (groups.due(), next(&mut groups, 109), next(&mut groups, 110)),
        (Some(110), None, Some(vec![4]))
    );
    // That it was taken late counts.
    let a = vec![Some("a".to_owned())];
    groups.taken(&a, 150);
    assert_eq!(by_rule(&mut groups, 5, "a", 160), None);
    assert_eq!((groups.due(), next(&mut groups, 250)), (Some(250), Some(vec![5])));
    // Nothing new for so long: it begins anew, as does one that nobody asked for meanwhile.
    assert_eq!(by_rule(&mut groups, 6, "a", 350), None);
    assert_eq!(by_rule(&mut groups, 7, "b", 355), None);
    assert_eq!(
        (groups.due(), next(&mut groups, 365), next(&mut groups, 365)),
        (Some(360), Some(vec![6]), Some(vec![7]))
    );
    assert_eq!((next(&mut groups, 465), groups.held()), (None, (0, 0)));
}

#[test]
fn all_that_waits_is_told_at_the_end_the_oldest_first() {
    let mut groups = groups(vec![GroupBy::Rule]);
    for (number, rule) in [(1, "b"), (2, "a"), (3, "b"), (4, "c")] {
        assert_eq!(by_rule(&mut groups, number, rule, 0), None);
    }
    let told: Vec<Vec<u64>> = std::iter::from_fn(|| groups.oldest(1)).map(|told| told.numbers()).collect();
    assert_eq!((told, groups.waiting()), (vec![vec![1, 3], vec![2], vec![4]], vec![]));
}

#[test]
fn what_finds_no_room_has_the_oldest_told_early() {
    let one = |rule: u64| rule.to_string();
    let mut groups = groups(vec![GroupBy::Rule]);
    // In one group.
    let most = SINK_GROUP_ALERTS as u64;
    for number in 1..=most {
        assert_eq!(by_rule(&mut groups, number, "a", 0), None);
    }
    assert_eq!(groups.due(), Some(0), "a full one is due");
    assert_eq!(by_rule(&mut groups, most + 1, "a", 1), Some((1..=most).collect()));
    assert_eq!((next(&mut groups, 100), next(&mut groups, 101)), (None, Some(vec![most + 1])));
    // In all of them; one that holds nothing is forgotten first.
    let most = SINK_ALERTS_WAITING as u64;
    for number in 1..=most {
        assert_eq!(by_rule(&mut groups, number, &one(number), 150), None);
    }
    assert_eq!(groups.held(), (SINK_GROUPS, SINK_ALERTS_WAITING));
    assert_eq!(by_rule(&mut groups, most + 1, "2", 151), Some(vec![1]));
    assert_eq!(by_rule(&mut groups, most + 2, "new", 152), Some(vec![2, most + 1]));
    assert_eq!(by_rule(&mut groups, most + 3, "newer", 153), None);
    assert_eq!(groups.held(), (SINK_GROUPS, SINK_ALERTS_WAITING));
}

#[test]
fn a_notification_says_what_it_is_of_and_how_episodes_stand() {
    let by = vec![
        GroupBy::Label("desk".to_owned()),
        GroupBy::Rule,
        GroupBy::Label("floor".to_owned()),
        GroupBy::Symbol,
        GroupBy::Severity,
    ];
    let mut some = groups(by.clone());
    for (number, id, state) in
        [(4, 1, State::Firing), (5, 2, State::Firing), (7, 1, State::Resolved), (9, 3, State::Pending)]
    {
        assert!(take(&mut some, number, &alert("a", id, state), 0).is_none());
    }
    let told = some.next(WAIT).unwrap().told(&by).unwrap();
    assert_eq!(
        told.text,
        "{\"group\":{\"label.desk\":\"one \\\"1\\\"\",\"rule\":\"a\",\"label.floor\":null,\"symbol\":\"here:ABC\",\
         \"severity\":\"info\"},\"firing\":1,\"resolved\":1,\"alerts\":[4,5,7,9]}"
    );
    assert_eq!((told.alerts, told.key.len()), (4, 32));
    let mut all = groups(Vec::new());
    assert!(take(&mut all, 1, &alert("a", 1, State::Firing), 0).is_none());
    assert!(take(&mut all, 2, &alert("b", 2, State::Firing), 0).is_none());
    let told = all.next(WAIT).unwrap().told(&[]).unwrap();
    assert_eq!(told.text, "{\"group\":{},\"firing\":2,\"resolved\":0,\"alerts\":[1,2]}");
}

#[test]
fn the_key_is_that_of_the_group_and_the_steps() {
    let key = |rule: &str, steps: &[(u64, u8, State)]| {
        let by = [GroupBy::Rule];
        let alerts = steps.iter().map(|(number, id, state)| {
            let alert = alert(rule, *id, *state);
            let member = Member::new(*number, &alert, number.to_string()).unwrap();
            (alert, member)
        });
        let told = groups(by.to_vec()).again(alerts.collect());
        assert_eq!(told.len(), 1);
        told[0].told(&by).unwrap().key
    };
    let steps = [(1, 1, State::Firing), (2, 2, State::Firing)];
    let first = key("a", &steps);
    assert_eq!(first, key("a", &[(8, 1, State::Firing), (9, 2, State::Firing)]), "numbers are none of it");
    let others = [
        key("b", &steps),
        key("a", &steps[..1]),
        key("a", &steps[1..]),
        key("a", &[(1, 2, State::Firing), (2, 1, State::Firing)]),
        key("a", &[(1, 1, State::Firing), (2, 2, State::Resolved)]),
        key("a", &[(1, 1, State::Firing), (2, 2, State::Firing), (3, 2, State::Resolved)]),
    ];
    assert!(!others.contains(&first), "{first} {others:?}");
}

#[test]
fn what_is_told_again_is_one_notification_unless_it_is_grouped_otherwise() {
    let again = |by: Vec<GroupBy>| -> Vec<Vec<u64>> {
        let alerts = [(3, "b"), (5, "a"), (6, "b")].map(|(number, rule)| {
            let alert = alert(rule, 1, State::Firing);
            let member = Member::new(number, &alert, "0".to_owned()).unwrap();
            (alert, member)
        });
        groups(by).again(alerts.into()).iter().map(Notification::numbers).collect()
    };
    assert_eq!(again(vec![GroupBy::Symbol]), [[3, 5, 6]]);
    assert_eq!(again(vec![GroupBy::Rule]), [vec![3, 6], vec![5]]);
}

/// What a group is to do, by a model that keeps all: alerts that wait with their times, and when it was told.
#[derive(Default)]
struct Expected {
    waiting: Vec<(u64, Nanos)>,
    told: Option<Nanos>,
}

impl Expected {
    /// When it is to be told, from and to. One that room was made for, and that is forgotten, begins anew.
    fn due(&self, may_be_forgotten: bool) -> Option<(Nanos, Nanos)> {
        let came = self.waiting.first()?.1;
        let anew = came + WAIT;
        Some(match self.told.filter(|told| told + INTERVAL > came).map(|told| told + INTERVAL) {
            Some(again) if may_be_forgotten => (anew.min(again), anew.max(again)),
            Some(again) => (again, again),
            None => (anew, anew),
        })
    }
}

proptest! {
    #[test]
    fn each_is_told_once_in_order_in_its_time_and_within_bounds(
        steps in prop::collection::vec((0..40i64, 0..6usize, 0..30i64), 1..200),
        (alerts, most, waiting) in (1..6usize, prop_oneof![1..4usize, Just(6)], 5..20usize),
    ) {
        let bounds = Bounds { alerts, groups: most, waiting };
        let by = vec![GroupBy::Rule];
        let mut groups = Groups::bounded(Grouping { by, wait: WAIT, interval: INTERVAL }, bounds);
        let may_be_forgotten = most < 6;
        let mut model: BTreeMap<String, Expected> = BTreeMap::new();
        let (mut now, mut told) = (0, 0);
        for (number, (pause, rule, lasts)) in (1..).zip(steps.iter().copied()) {
            now += pause;
            let rule = rule.to_string();
            let full = model.get(&rule).is_some_and(|own| own.waiting.len() == alerts);
            let early = take(&mut groups, number, &alert(&rule, 1, State::Firing), now);
            let (known, waits) = groups.held();
            prop_assert!(known <= most && waits <= waiting);
            let was_full = full || number - told > waiting as u64 || most < 6;
            prop_assert!(early.is_none() || was_full, "told early without need");
            // What is told early is what it was before this alert came.
            let mut left = early.into_iter().collect::<Vec<_>>();
            for (at, one) in left.drain(..).enumerate() {
                prop_assert_eq!(at, 0);
                told += check(&mut model, &one, alerts, now, None)?;
            }
            model.entry(rule).or_default().waiting.push((number, now));
            while let Some(one) = groups.next(now) {
                told += check(&mut model, &one, alerts, now, Some(may_be_forgotten))?;
                now += lasts;
                groups.taken(&one.values, now);
                model.get_mut(one.values[0].as_ref().unwrap()).unwrap().told = Some(now);
            }
            let late = model.values().filter_map(|one| one.due(may_be_forgotten)).filter(|due| due.1 <= now).count();
            prop_assert!(late == 0, "told late");
            let all: usize = model.values().map(|one| one.waiting.len()).sum();
            prop_assert_eq!(groups.waiting().len(), all);
        }
        while let Some(one) = groups.oldest(now) {
            let first = model.values().filter_map(|one| one.waiting.first()).map(|(n, _)| *n).min();
            prop_assert_eq!(Some(one.numbers()[0]), first);
            told += check(&mut model, &one, alerts, now, None)?;
        }
        prop_assert_eq!(told as usize, steps.len());
    }
}

/// Looks whether a notification is all that waits in its group, as it came; and, unless it is early, in its time.
fn check(
    model: &mut BTreeMap<String, Expected>,
    one: &Notification,
    most: usize,
    now: Nanos,
    in_time: Option<bool>,
) -> Result<u64, TestCaseError> {
    let own = model.get_mut(one.values[0].as_ref().unwrap()).unwrap();
    let waiting: Vec<u64> = own.waiting.iter().map(|(number, _)| *number).collect();
    prop_assert_eq!(one.numbers(), waiting);
    prop_assert!(one.members.len() <= most);
    if let Some(may_be_forgotten) = in_time.filter(|_| one.members.len() < most) {
        prop_assert!(own.due(may_be_forgotten).is_some_and(|due| due.0 <= now), "told too early");
    }
    own.waiting.clear();
    own.told = Some(now);
    Ok(one.members.len() as u64)
}
