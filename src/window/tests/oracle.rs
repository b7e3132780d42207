//! Every emission equals the model's; what else is configured changes nothing; neither does order within lateness.

use std::collections::BTreeMap;

use feeds::time::{Nanos, SECOND};
use proptest::prelude::*;

use super::made::{START, Step, plans, quotes, steps, trades};
use super::model::{Model, Said};
use crate::stat::{Key, View};
use crate::window::{Emission, Flags, Live, Moment, Placed, Plan, Windows};

/// What `emission` says.
pub(crate) fn said(plan: &Plan, emission: &Emission) -> Said {
    let carried = emission.carried.as_ref();
    let view = View { pane: &emission.pane, carried, start: emission.start, end: emission.until };
    let stats = plan.windows()[emission.window].stats.iter();
    Said {
        number: emission.number,
        window: emission.window,
        start: emission.start,
        revision: emission.revision,
        flags: emission.flags.to_string(),
        values: stats.map(|stat| (stat.value)(&view).map(|value| value.to_string())).collect(),
    }
}

/// All emissions, and the numbers of the late ticks.
pub(crate) fn run(plan: &Plan, steps: &[Step]) -> (Vec<Said>, Vec<u64>) {
    let mut windows = Windows::new(plan);
    let (mut emitted, mut late) = (Vec::new(), Vec::new());
    for (number, step) in (1..).zip(steps) {
        let moment = Moment { plan, number, flags: &|_, _, _| Flags::NONE };
        if apply(&mut windows, &moment, step, &mut emitted) == Placed::Late {
            late.push(number);
        }
    }
    (emitted.iter().map(|emission| said(plan, emission)).collect(), late)
}

fn apply(windows: &mut Windows, moment: &Moment<'_>, step: &Step, out: &mut Vec<Emission>) -> Placed {
    match step {
        Step::Trade(ts, trade) => windows.add_trade(moment, *ts, trade, out),
        Step::Quote { ts, timed, quote } => windows.add_quote(moment, *ts, *timed, quote, out),
        Step::Clock(frontier) => {
            windows.advance(moment, *frontier, out);
            Placed::InTime
        }
        Step::End => {
            windows.close(moment, Flags::NONE, out);
            Placed::InTime
        }
    }
}

/// The last emission of each window that is over.
fn last(said: &[Said]) -> BTreeMap<(usize, Nanos), &Said> {
    said.iter().map(|said| ((said.window, said.start), said)).collect()
}

/// `plan` with only the windows at these places, in the order of these places.
fn only(plan: &Plan, places: &[usize]) -> Plan {
    let mut part = Plan::new(places.iter().map(|&place| plan.windows()[place].clone()).collect());
    part.lateness = plan.lateness;
    part
}

fn equals_the_model(plan: &Plan, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut said, late) = run(plan, steps);
    let mut model = Model::new(plan);
    for (number, step) in (1..).zip(steps) {
        model.apply(number, step);
    }
    prop_assert!(said.is_sorted_by_key(|said| said.number));
    said.sort();
    model.said.sort();
    prop_assert_eq!(late, model.late);
    for (ours, theirs) in said.iter().zip(&model.said) {
        prop_assert_eq!(ours, theirs);
    }
    prop_assert_eq!(said.len(), model.said.len());
    Ok(())
}

proptest! {
    #[test]
    fn every_emission_equals_the_models(plan in plans(), steps in steps(120)) {
        equals_the_model(&plan, &steps)?;
    }

    #[test]
    fn so_it_does_with_more_quotes_in_a_slice_than_it_keeps(
        made in prop::collection::vec((0..SECOND / 20, prop::bool::weighted(0.2), quotes()), 150..300),
    ) {
        let mut plan = Plan::new(super::made::nested(&[60]));
        plan.lateness = SECOND;
        let mut ts = START + 10 * SECOND;
        let mut steps = Vec::new();
        for (stride, back, quote) in made {
            ts += stride;
            let ts = if back { ts - stride * 20 } else { ts };
            steps.push(Step::Quote { ts, timed: true, quote });
        }
        steps.push(Step::End);
        equals_the_model(&plan, &steps)?;
    }

    #[test]
    fn a_window_that_is_kept_up_to_date_is_as_one_that_is_read_anew(
        plan in plans(),
        steps in steps(120),
        // Whether each entry is told to it, and whether it is read behind it.
        told in prop::collection::vec((prop::bool::weighted(0.9), prop::bool::weighted(0.7)), 1..120),
    ) {
        let (mut windows, mut emitted) = (Windows::new(&plan), Vec::new());
        let mut kept: Vec<Live> = (0..plan.windows().len()).map(Live::new).collect();
        for ((number, step), (is_told, is_read)) in (1..).zip(&steps).zip(told.iter().cycle()) {
            let moment = Moment { plan: &plan, number, flags: &|_, _, _| Flags::NONE };
            let placed = apply(&mut windows, &moment, step, &mut emitted);
            for live in kept.iter_mut().filter(|_| *is_told && placed == Placed::InTime) {
                match step {
                    Step::Trade(ts, trade) => live.add_trade(&windows, &plan, Key { ts: *ts, number }, trade),
                    Step::Quote { ts, quote, .. } => {
                        live.add_quote(&windows, &plan, Key { ts: *ts, number }, quote);
                    }
                    Step::Clock(_) | Step::End => {}
                }
            }
            for live in kept.iter_mut().filter(|_| *is_read) {
                let anew = windows.standing(&plan, live.window());
                prop_assert_eq!(live.read(&windows, &plan), anew.as_ref(), "entry {}", number);
            }
        }
    }

    #[test]
    fn other_windows_change_nothing(plan in plans(), steps in steps(80), choice in any::<u32>()) {
        let chosen: Vec<usize> = (0..plan.windows().len()).filter(|place| choice >> place & 1 == 1).collect();
        let (whole, _) = run(&plan, &steps);
        let (mut alone, _) = run(&only(&plan, &chosen), &steps);
        for said in &mut alone {
            said.window = chosen[said.window];
        }
        let mut expected: Vec<Said> =
            whole.into_iter().filter(|said| chosen.contains(&said.window)).collect();
        expected.sort();
        alone.sort();
        prop_assert_eq!(alone, expected);
    }

    #[test]
    fn order_within_the_lateness_is_no_matter(
        plan in plans(),
        ticks in prop::collection::vec((0..SECOND / 2, prop_oneof![
            trades().prop_map(|trade| Step::Trade(0, trade)),
            quotes().prop_map(|quote| Step::Quote { ts: 0, timed: true, quote }),
        ], any::<u64>()), 1..60),
    ) {
        // Times are all different, since ties keep tape order.
        let mut ts = START;
        let mut timed: Vec<(Nanos, Step)> = Vec::new();
        let mut shuffled: Vec<(Nanos, Step)> = Vec::new();
        for (stride, step, delay) in &ticks {
            ts += stride + 1;
            let step = match step {
                Step::Trade(_, trade) => Step::Trade(ts, *trade),
                Step::Quote { quote, .. } => Step::Quote { ts, timed: true, quote: *quote },
                other => *other,
            };
            timed.push((ts, step));
            shuffled.push((ts + (delay % (plan.lateness.unsigned_abs() + 1)) as Nanos, step));
        }
        shuffled.sort_by_key(|(at, _)| *at);
        let steps = |of: Vec<(Nanos, Step)>| -> Vec<Step> {
            of.into_iter().map(|(_, step)| step).chain([Step::Clock(ts + 1_000 * SECOND), Step::End]).collect()
        };
        let (in_order, _) = run(&plan, &steps(timed));
        let (out_of_order, late) = run(&plan, &steps(shuffled));
        prop_assert_eq!(late, Vec::<u64>::new());
        let (one, other) = (last(&in_order), last(&out_of_order));
        prop_assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (place, said) in one {
            prop_assert_eq!(&said.values, &other[&place].values, "{:?}", place);
        }
    }

    #[test]
    fn a_minute_is_the_sum_of_its_seconds(steps in steps(150), lateness in 0..5 * SECOND) {
        let mut plan = Plan::new(super::made::nested(&[1, 5, 60]));
        plan.lateness = lateness;
        let (said, _) = run(&plan, &steps);
        let trades = |said: &Said| said.values[0].as_ref().unwrap().parse::<u64>().unwrap();
        let mut sums = BTreeMap::new();
        for ((window, start), said) in last(&said) {
            let minute = start.div_euclid(60 * SECOND);
            *sums.entry((minute, window)).or_insert(0) += trades(said);
        }
        for ((minute, _), sum) in &sums {
            prop_assert_eq!(Some(sum), sums.get(&(*minute, 2)));
        }
    }
}
