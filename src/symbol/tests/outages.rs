//! Outages: which windows they mark, until when, and what proves that nothing was missing.

use feeds::live::Channel;
use feeds::tick::{Event, Rejection};
use feeds::time::{Nanos, SECOND};
use feeds::venue::DuplicateKey;

use super::holes::Run;
use super::{clock, plan, tick, windows};
use crate::stat::by_name;
use crate::symbol::outages::{Cause, Channels, Outage, Outages, SLACK, Stretch};
use crate::symbol::{Entry, GapChange};
use crate::window::{Flags, Plan, Window};

fn outage(cause: Cause, since: Nanos, channels: Channels) -> Entry {
    Entry::Outage(Outage { since: since + SLACK, channels, cause })
}

/// Start in seconds, revision and flags.
fn said(run: &Run, from: usize) -> Vec<(Nanos, u32, String)> {
    windows(&run.out)[from..]
        .iter()
        .map(|(_, start, revision, flags)| (*start, *revision, flags.clone()))
        .collect()
}

fn row(start: Nanos, revision: u32, flags: &str) -> (Nanos, u32, String) {
    (start, revision, flags.to_owned())
}

#[test]
fn windows_are_marked_from_where_it_is_known_until_the_next_tick() {
    let mut run = Run::with(plan(&[1], 2), DuplicateKey::Unique);
    run.trade(1, 5);
    run.trade(2, 15);
    run.trade(3, 21);
    assert_eq!(said(&run, 0), [row(0, 0, ""), row(1, 0, "")]);
    run.apply(outage(Cause::Connection, 17 * SECOND / 10, Channels::of(Channel::Trades)));
    assert_eq!(said(&run, 2), [row(1, 1, "gap")], "what was said is amended at once");
    run.apply(clock(5 * SECOND));
    assert_eq!(said(&run, 3), [row(2, 0, "gap")]);
    run.trade(4, 75);
    run.trade(5, 85);
    run.trade(6, 99);
    run.apply(Entry::End);
    assert_eq!(said(&run, 4), [row(7, 0, "gap"), row(8, 0, ""), row(9, 0, "partial")]);
    let stretch = |to| {
        let (channel, from) = (Channel::Trades, 17 * SECOND / 10);
        GapChange::Out(Stretch { channel, cause: Cause::Connection, from, to })
    };
    let expected = [stretch(Nanos::MAX), stretch(75 * SECOND / 10)];
    assert_eq!(run.out.gaps, expected);
}

#[test]
fn ids_that_count_up_prove_that_nothing_is_missing_or_show_what_is() {
    let mut run = Run::with(plan(&[1, 10], 2), DuplicateKey::Contiguous);
    run.trade(1, 5);
    run.trade(2, 15);
    run.apply(outage(Cause::Broken, SECOND, Channels::of(Channel::Trades)));
    run.trade(2, 15);
    run.apply(clock(2 * SECOND));
    assert_eq!(said(&run, 0), [row(0, 0, ""), row(1, 0, "gap")]);
    run.trade(3, 25);
    assert_eq!(said(&run, 2), [row(1, 1, "")], "the next id follows");
    run.apply(outage(Cause::Broken, 25 * SECOND / 10, Channels::of(Channel::Trades)));
    run.trade(5, 31);
    let at = run.out.windows.len();
    run.trade(4, 28);
    assert_eq!(said(&run, at - 1), [row(2, 0, "gap"), row(2, 1, "")], "what is missing is what the ids show");
    let shown = |change: &&GapChange| matches!(change, GapChange::Out(_));
    assert_eq!(run.out.gaps.iter().filter(shown).count(), 2);
    assert_eq!(run.out.gaps.iter().filter(|change| matches!(change, GapChange::Back(_))).count(), 2);
}

/// Which trade it was, and when, nobody knows: it is missing where it came in.
#[test]
fn a_tick_that_cannot_be_used_is_missing_from_its_window() {
    for (why, cause) in [
        (Rejection::BadTime, Some(Cause::Clock)),
        (Rejection::OtherUnit, Some(Cause::Units)),
        (Rejection::BadSign, Some(Cause::Value)),
        (Rejection::Dropped, None),
    ] {
        let mut run = Run::with(plan(&[1], 2), DuplicateKey::Unique);
        for (id, at) in [(1, 5), (2, 15), (3, 25)] {
            run.trade(id, at);
        }
        let mut rejected = tick(4, 0);
        rejected.event = Event::Rejected(why);
        let mut past = rejected;
        past.history = true;
        run.apply(Entry::Tick(past));
        assert!(run.out.gaps.is_empty(), "what is past was in no window");
        run.apply(Entry::Tick(rejected));
        run.apply(Entry::Tick(rejected));
        run.trade(5, 35);
        run.trade(6, 45);
        let flags = |flag: &str| said(&run, 0).iter().filter(|row| row.2 == flag).map(|row| row.0).collect();
        let (marked, unmarked): (Vec<Nanos>, Vec<Nanos>) = (flags("gap"), flags(""));
        let causes = run.out.gaps.iter().filter_map(|change| match change {
            GapChange::Out(stretch) if stretch.to == Nanos::MAX => Some(stretch.cause),
            _ => None,
        });
        // One for each channel, however many were rejected.
        assert_eq!(causes.collect::<Vec<_>>(), cause.into_iter().flat_map(|it| [it, it]).collect::<Vec<_>>());
        if cause.is_some() {
            assert_eq!((marked, unmarked), (vec![1, 2, 3], vec![0, 1]), "{why:?}");
        } else {
            assert!(marked.is_empty());
        }
    }
}

#[test]
fn silence_is_stale_and_marks_what_reads_the_silent_channel() {
    let window = |name: &str, stats: &[&str]| Window {
        name: name.to_owned(),
        size: SECOND,
        stats: stats.iter().map(|name| by_name(name).unwrap()).collect(),
    };
    let mut plan = Plan::new(vec![window("bar", &["volume"]), window("book", &["spread_tw"])]);
    plan.lateness = 2 * SECOND;
    let mut run = Run::with(plan, DuplicateKey::Contiguous);
    run.trade(1, 5);
    run.quote(1, 6);
    run.apply(outage(Cause::Silence, 6 * SECOND / 10, Channels::of(Channel::Quotes)));
    run.trade(2, 12);
    let flags = |run: &Run| -> Vec<(usize, String)> {
        run.out.windows.iter().map(|it| (it.window, it.flags.to_string())).collect()
    };
    assert_eq!(flags(&run), [(0, String::new()), (1, "stale".to_owned())]);
    run.out.clear();
    run.quote(2, 13);
    run.trade(3, 25);
    assert_eq!(
        flags(&run),
        [(0, String::new()), (1, "stale".to_owned())],
        "the window in which it came back"
    );
}

/// Nothing is missing, so ids prove nothing; and what else is open of the channel is another matter.
#[test]
fn an_unknown_field_marks_what_reads_its_channel_and_is_no_loss() {
    let mut run = Run::with(plan(&[1], 2), DuplicateKey::Contiguous);
    for (id, at) in [(1, 5), (2, 15), (3, 25)] {
        run.trade(id, at);
    }
    run.apply(outage(Cause::Broken, 22 * SECOND / 10, Channels::of(Channel::Trades)));
    run.apply(outage(Cause::Fields, 22 * SECOND / 10, Channels::of(Channel::Trades)));
    run.apply(outage(Cause::Fields, 22 * SECOND / 10, Channels::of(Channel::Quotes)));
    assert_eq!(run.out.gaps.len(), 3, "each is a stretch of its own");
    run.trade(4, 31);
    run.quote(1, 32);
    run.trade(5, 45);
    run.apply(Entry::End);
    let flags: Vec<_> = said(&run, 0).into_iter().filter(|row| row.0 >= 2).collect();
    let marked = "unknown_fields";
    let both = "gap|unknown_fields";
    assert_eq!(flags, [row(2, 0, both), row(2, 1, marked), row(3, 0, marked), row(4, 0, "partial")]);
    let ended = run.out.gaps[3..].iter().map(|change| match change {
        GapChange::Back(stretch) => (stretch.cause, "forgotten"),
        GapChange::Out(stretch) => (stretch.cause, "over"),
        other => panic!("{other:?}"),
    });
    let fields = (Cause::Fields, "over");
    assert_eq!(ended.collect::<Vec<_>>(), [(Cause::Broken, "forgotten"), fields, fields]);
}

#[test]
fn a_symbol_without_a_tick_misses_nothing_but_what_came_before_its_first() {
    let mut run = Run::with(plan(&[1], 2), DuplicateKey::Contiguous);
    run.apply(outage(Cause::Connection, 0, Channels::of(Channel::Trades)));
    assert!(run.out.gaps.is_empty());
    let start = Outage { since: Nanos::MIN, channels: Channels::of(Channel::Trades), cause: Cause::Start };
    run.apply(Entry::Outage(start));
    for (id, tenths) in [(1, 5), (2, 15), (3, 25)] {
        run.trade(id, tenths);
    }
    assert_eq!(
        said(&run, 0),
        [row(0, 0, "gap"), row(1, 0, "")],
        "its first window began before it was there"
    );
    let [_, GapChange::Out(over)] = &run.out.gaps[..] else { panic!("{:?}", run.out.gaps) };
    assert_eq!((over.from, over.to), (Nanos::MIN, SECOND / 2));
    run.apply(Entry::Outage(start));
    run.apply(outage(Cause::Connection, 26 * SECOND / 10, Channels::of(Channel::Trades)));
    assert_eq!(run.out.gaps.len(), 3, "the second lies in the first");
}

/// Its frontier may be a quote's, and what was lost a trade that another connection would have brought a little later.
#[test]
fn what_was_on_its_way_when_the_run_ended_may_be_older_than_the_frontier() {
    let mut run = Run::with(plan(&[1], 2), DuplicateKey::Unique);
    for (id, at) in [(1, 5), (2, 15), (3, 21)] {
        run.trade(id, at);
    }
    run.apply(Entry::Outage(Outage { since: Nanos::MIN, channels: Channels::ALL, cause: Cause::Start }));
    assert_eq!(said(&run, 0), [row(0, 0, ""), row(1, 0, ""), row(1, 1, "gap")]);
}

#[test]
fn however_many_there_were_they_are_few_and_none_is_forgotten() {
    let mut outages = Outages::default();
    for at in 0..100 {
        let cause = if at % 3 == 0 { Cause::Silence } else { Cause::Counter };
        let channel = Channel::ALL[at as usize % 2];
        assert!(outages.begin(channel, cause, at * 100).is_some());
        assert!(outages.is_open(channel));
        outages.resume(channel, at * 100 + 10, false, |_, _| {});
        assert!(outages.past.len() <= 16);
    }
    for at in 0..100 {
        let cause = if at % 3 == 0 { Cause::Silence } else { Cause::Counter };
        let channels = Channels::of(Channel::ALL[at as usize % 2]);
        assert!(outages.flags(channels, at * 100, at * 100 + 10).has(cause.flag()), "{at}");
    }
    assert_eq!(outages.flags(Channels::ALL, 20_000, 30_000), Flags::NONE);
}
