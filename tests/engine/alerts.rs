//! Alerts of a live run, of the replay of its recording, and of a run that was resumed, are one sequence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use feeds::time::SECOND;
use proptest::prelude::*;
use tapedeck::alert::{Alert, AlertId, State};
use tapedeck::clock;
use tapedeck::config::{Catalogue as Names, Config, RulesSpec};
use tapedeck::feed::delivery::Delivery;
use tapedeck::live::recorder::Recorder;
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::query::explain;
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::{alerts, rules};
use tapedeck::store::{Family, Store};
use tapedeck::tape::Cut;

use crate::live::{deliveries, live_options, recording};
use crate::made::{Kind, config, made, made_of, native_of};
use crate::support::{assert_same, dump_of, dumped, lines, memory, options, run};

fn log(store: &Arc<dyn Store>) -> Vec<(u64, Alert)> {
    alerts::scan(&**store, 1).map(Result::unwrap).collect()
}

/// A live run under `options`, with `rules` coming into force in the middle of it.
fn run_live(folder: &std::path::Path, seed: u64, options: &LiveOptions, rules: &str) -> Arc<dyn Store> {
    let store = memory();
    let recorder = Recorder::start(folder, clock::wall()).unwrap();
    let mut deck = Deck::start(&store, options, Some(recorder)).unwrap();
    let mut deliveries = deliveries(seed, 1_500);
    let middle = deliveries.len() / 2;
    deliveries.insert(middle, Delivery::Rules { text: rules.to_owned(), received_at: 0, answer: None });
    let in_all = deliveries.len();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        deck.take(delivery, number % 3 != 0 && number + 1 < in_all).unwrap();
    }
    deck.stop().unwrap();
    store
}

/// The rules of the tests but for the first, which so ends, and the second, which is changed.
fn other_rules() -> String {
    let config = config(true);
    let mut spec = config.rules.clone();
    spec.rules.remove(0);
    spec.rules[0].hold = SECOND;
    spec.text()
}

/// Otherwise none of these tests would say much.
#[test]
fn every_rule_of_the_tests_fires_and_resolves() {
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), 5, &live_options(2, Cut::Adaptive), &other_rules());
    let log = log(&store);
    let seen: BTreeSet<(String, State)> =
        log.iter().map(|(_, alert)| (alert.rule.clone(), alert.state)).collect();
    for rule in &config(true).rules.rules {
        for state in [State::Firing, State::Resolved] {
            assert!(seen.contains(&(rule.name.clone(), state)), "{} {}", rule.name, state.name());
        }
    }
    assert!(log.iter().any(|(_, alert)| alert.suppressed.as_deref() == Some("silence:some")));
    assert!(log.iter().any(|(_, alert)| alert.suppressed.as_deref() == Some("inhibited:quiet")));
    let numbers: Vec<u64> = log.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=log.len() as u64).collect::<Vec<_>>(), "no holes");
    assert!(log.is_sorted_by_key(|(_, alert)| alert.number), "in the order of the tape");
}

/// An id has one episode: it is told to be pending at most once, fires at most once, and is resolved at most once, in
/// this order. It may fire twice if it was kept quiet at first.
#[test]
fn the_steps_of_an_episode_come_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), 6, &live_options(1, Cut::Adaptive), &other_rules());
    let mut last: BTreeMap<AlertId, Alert> = BTreeMap::new();
    let mut late = BTreeSet::new();
    for (number, alert) in log(&store) {
        let Some(before) = last.insert(alert.id, alert.clone()) else { continue };
        if before.state < alert.state {
            continue;
        }
        let kept_quiet = before.suppressed.clone().filter(|_| alert.suppressed.is_none());
        assert_eq!((before.state, alert.state), (State::Firing, State::Firing), "alert {number}: {alert:?}");
        assert!(kept_quiet.is_some() && before.event_time <= alert.event_time, "alert {number}: {alert:?}");
        late.extend(kept_quiet);
    }
    assert!(late.contains("silence:early") && late.contains("inhibited:quiet"), "{late:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn a_recording_has_its_rules_and_gives_the_same_alerts(seed in any::<u64>(), epochs in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let store = run_live(folder.path(), seed, &live_options(2, Cut::Adaptive), &other_rules());
        let live = dumped(&store);
        let files = recording(folder.path());
        let mut windows_only = config(true);
        windows_only.rules = RulesSpec::default();
        for (workers, cut) in [(1, Cut::Adaptive), (2, Cut::Random(epochs)), (8, Cut::Every(7))] {
            let replay = ReplayOptions { config: windows_only.clone(), workers, cut, ..options() };
            let replayed = memory();
            run(&replayed, &files, &replay);
            assert_same(&dumped(&replayed), &live, "the replay");
            let stripped = |log: Vec<(u64, Alert)>| -> Vec<Vec<u8>> {
                // Tape numbers are those of the run: the same here, too.
                log.iter().map(|(_, alert)| alerts::encode(alert)).collect()
            };
            prop_assert_eq!(stripped(log(&replayed)), stripped(log(&store)));
        }
    }
}

/// Rules that are given take the place of those of the recording.
#[test]
fn other_rules_may_be_put_to_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    run_live(folder.path(), 9, &live_options(2, Cut::Adaptive), &other_rules());
    let files = recording(folder.path());
    let mut own = config(true);
    let text = "[[rules]]\nname = 'mine'\nwhen = 'trades[1s, -1] > 1'\n";
    own.rules = RulesSpec::parse("mine", text, &own.windows).unwrap();
    let dump = dump_of(&files, &ReplayOptions { config: own, ..options() });
    let alerts = lines(&dump, "alert,");
    assert!(!alerts.is_empty() && alerts.iter().all(|line| line.split(',').nth(3) == Some("mine")));
    // None of them are other rules, too, where they are given.
    let mut none = config(true);
    none.rules = RulesSpec::default();
    let judged = |rules_given| {
        let dump = dump_of(&files, &ReplayOptions { config: none.clone(), rules_given, ..options() });
        lines(&dump, "alert,").len()
    };
    assert!(judged(false) > 0 && judged(true) == 0);
}

/// What is told of an alert is what is stored of its windows.
#[test]
fn an_alert_can_be_explained() {
    let folder = tempfile::tempdir().unwrap();
    let store = run_live(folder.path(), 5, &live_options(1, Cut::Adaptive), &other_rules());
    let fired = log(&store);
    let (number, alert) =
        fired.iter().find(|(_, it)| it.rule == "burst" && it.state == State::Firing).unwrap();
    let catalogue = tapedeck::query::Catalogue::read(&*store).unwrap();
    for wanted in [format!("1-{number}"), number.to_string(), alert.id.to_string()] {
        assert_eq!(explain::find(&*store, &wanted).unwrap(), *number, "{wanted}");
    }
    let mut out = Vec::new();
    explain::explain(&*store, &catalogue, *number, &mut out).unwrap();
    let told = String::from_utf8(out).unwrap();
    let volume = &alert.values[0].1;
    for part in [
        format!("alert      1-{number}, firing of {}", alert.id),
        "when = \"volume[1s, -1] > 2 * mean(volume[1s, -1], 5)\"".to_owned(),
        format!("  volume[1s, -1] = {volume}\n"),
        format!("    volume = {volume}\n"),
        "    from entries ".to_owned(),
        format!("  mean(volume[1s, -1], 5) = {}\n", alert.values[1].1),
        ", 5 windows, revision ".to_owned(),
    ] {
        assert!(told.contains(&part), "{part} is not in\n{told}");
    }
    // The window, and the five behind the mean, which are those before it.
    let [one, mean] = &alert.windows[..] else { panic!("{:?}", alert.windows) };
    assert_eq!((one.count, one.start, mean.count), (1, alert.event_time - SECOND, 5));
    assert!(mean.start < mean.last && mean.last < one.start, "{:?}", alert.windows);
    let tape = told.lines().filter(|line| line.starts_with("    from entries ")).count();
    assert_eq!(tape, 2, "{told}");
    assert!(explain::find(&*store, "1-99999999").is_err() && explain::find(&*store, "7-1").is_err());
}

/// Behind a mean are as many windows as it is over, and those that are named are stored; of several symbols, each
/// symbol's.
#[test]
fn every_window_that_was_read_is_named_and_stored() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = made(Kind::Capture, 12, 6_000).whole(folder.path());
    let mut config = config(true);
    let symbols: Vec<String> = {
        let bare = memory();
        run(&bare, &files, &ReplayOptions { config: config.clone(), ..options() });
        let catalogue = tapedeck::query::Catalogue::read(&*bare).unwrap();
        catalogue.symbols.iter().take(2).map(|joined| joined.symbol.to_string()).collect()
    };
    let text = format!(
        "[[rules]]\nname = 'own'\nwhen = 'change(close[1s, -1]) > 0 and max(trades[1s, -2], 4) > 0'\n\
         [[rules]]\nname = 'both'\nwhen = '''change(\"{0}\".close[1s, -1]) > 0 and mean(\"{1}\".volume[1s, -1], 3) > 0'''\n",
        symbols[0], symbols[1]
    );
    config.rules = RulesSpec::parse("mine", &text, &config.windows).unwrap();
    let store = memory();
    run(&store, &files, &ReplayOptions { config, ..options() });
    let catalogue = tapedeck::query::Catalogue::read(&*store).unwrap();
    let log = log(&store);
    let (mut own, mut both) = (0, 0);
    for (number, alert) in log.iter().filter(|(_, alert)| alert.state == State::Firing) {
        let spans: Vec<(Option<&str>, u64)> =
            alert.windows.iter().map(|seen| (seen.symbol.as_deref(), seen.count)).collect();
        if alert.rule == "own" {
            assert_eq!(spans, [(None, 1), (None, 1), (None, 4)], "{alert:?}");
            assert!(alert.windows[0].start > alert.windows[1].start);
            own += 1;
        } else {
            let (one, other) = (Some(&*symbols[0]), Some(&*symbols[1]));
            assert_eq!(spans.iter().filter(|span| **span == (one, 1)).count(), 2, "{alert:?}");
            assert_eq!(spans.iter().filter(|span| **span == (other, 3)).count(), 1, "{alert:?}");
            both += 1;
        }
        let mut out = Vec::new();
        explain::explain(&*store, &catalogue, *number, &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let tape = told.lines().filter(|line| line.starts_with("    from entries ")).count();
        assert_eq!(tape, alert.windows.len(), "{told}");
    }
    assert!(own > 20 && both > 20, "{own} {both}");
}

/// The inputs end for all symbols at once, and time goes no further than what a rule reads: what lasts for an hour does not
/// in a minute, and of two symbols neither is behind the other because that one was ended first.
#[test]
fn the_end_of_a_file_is_no_hour_and_leaves_nobody_behind() {
    let mut at_the_end = 0;
    for seed in 30..36 {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = made_of(2, Kind::Capture, seed, 400).whole(folder.path());
        let mut config = config(true);
        let [one, other] = [0, 1].map(|place| format!("\"binance:{}\"", native_of(place)));
        let text = format!(
            "[[rules]]\nname = 'held'\nwhen = '''{one}.close[1s, -1] > 0 and {other}.close[1s, -1] > 0'''\nfor = '1h'\n\
             [[rules]]\nname = 'more'\nwhen = '''change({one}.close[1s, -1]) > 0 or change({other}.close[1s, -1]) > 0'''\n"
        );
        config.rules = RulesSpec::parse("mine", &text, &config.windows).unwrap();
        let store = memory();
        let report = run(&store, &files, &ReplayOptions { config, ..options() });
        let log = log(&store);
        let held: Vec<State> =
            log.iter().filter(|(_, it)| it.rule == "held").map(|(_, it)| it.state).collect();
        assert_eq!(held, [State::Pending], "seed {seed}");
        for (_, alert) in log.iter().filter(|(_, it)| it.number == report.summary.applied) {
            assert!(alert.values.iter().all(|(name, _)| name != "passed_over"), "seed {seed}: {alert:?}");
            at_the_end += 1;
        }
    }
    assert!(at_the_end > 3, "{at_the_end}");
}

/// A log that keeps few has the newest of them, the same ones however the work was cut.
#[test]
fn a_log_keeps_as_many_as_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = made(Kind::Capture, 12, 12_000).whole(folder.path());
    let kept = |cut, alerts_kept| {
        let mut config = config(true);
        config.engine.alerts_kept = alerts_kept;
        let store = memory();
        run(&store, &files, &ReplayOptions { config, cut, ..options() });
        log(&store)
    };
    let all = kept(Cut::Adaptive, 1_000_000);
    assert!(all.len() > 3_000, "{}", all.len());
    let few = kept(Cut::Every(7), 1_000);
    assert_eq!(few, kept(Cut::Adaptive, 1_000));
    assert!((1_000..2_024).contains(&few.len()), "{}", few.len());
    assert_eq!(few[..], all[all.len() - few.len()..]);
}

/// Rules are none of a window's business.
#[test]
fn windows_are_the_same_without_rules() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = made(Kind::Capture, 11, 1_500).whole(folder.path());
    let mut bare = config(true);
    bare.rules = RulesSpec::default();
    let with = dump_of(&files, &ReplayOptions { config: config(true), ..options() });
    let without = dump_of(&files, &ReplayOptions { config: bare, ..options() });
    assert!(!lines(&with, "alert,").is_empty());
    let others = |dump: &str| dump.lines().filter(|line| !line.starts_with("alert,")).count();
    assert_eq!(others(&with), others(&without));
    assert_eq!(lines(&with, "window,"), lines(&without, "window,"));
    assert_eq!(lines(&with, "ledger,"), lines(&without, "ledger,"));
}

/// A run that goes on under other rules says so on its tape, and ends what is no longer watched for.
#[test]
fn a_run_that_goes_on_with_other_rules_resolves_what_fired() {
    let store = memory();
    let first = LiveOptions { config: always("one"), ..live_options(1, Cut::Adaptive) };
    let mut deck = Deck::start(&store, &first, None).unwrap();
    for delivery in deliveries(3, 300) {
        deck.take(delivery, false).unwrap();
    }
    deck.stop().unwrap();
    let fired = log(&store).len();
    assert!(fired > 0);
    let second = LiveOptions { config: always("two"), ..live_options(1, Cut::Adaptive) };
    Deck::start(&store, &second, None).unwrap().stop().unwrap();
    let log = log(&store);
    let resolved = log[fired..].iter().filter(|(_, alert)| alert.state == State::Resolved).count();
    assert_eq!((resolved, log.len()), (fired, 2 * fired), "each that fired");
}

/// Who has followed comes again as soon as it can, and must not be told that the log ends before what it knows.
#[test]
fn a_run_that_goes_on_knows_at_once_how_far_its_log_is() {
    let store = memory();
    let options = LiveOptions { config: always("one"), ..live_options(1, Cut::Adaptive) };
    let mut deck = Deck::start(&store, &options, None).unwrap();
    for delivery in deliveries(3, 300) {
        deck.take(delivery, false).unwrap();
    }
    deck.stop().unwrap();
    let head = log(&store).len() as u64;
    assert!(head > 0);
    for _ in 0..50 {
        let deck = Deck::start(&store, &options, None).unwrap();
        assert_eq!(deck.pulse().alerts().head(), head);
        deck.stop().unwrap();
    }
}

/// A rule that fires for ever once there is a trade.
fn always(name: &str) -> Config {
    let text = format!("[[windows]]\nname = '1s'\n[[rules]]\nname = '{name}'\nwhen = 'price > 0'\n");
    Config::parse("made", &text, &Names::built_in()).unwrap()
}

/// What somebody asked for while the run went on is not forgotten because it was started again.
#[test]
fn a_silence_that_was_asked_for_is_there_after_a_restart() {
    let store = memory();
    let options = live_options(1, Cut::Adaptive);
    let silence = |name: &str, until: &str| {
        format!(
            "[[silences]]\nname = \"{name}\"\nrules = [\"*\"]\nsymbols = [\"*\"]\nuntil = \"{until}\"\nasked = true\n"
        )
    };
    let given = silence("asked", "2100-01-01T00:00:00Z") + &silence("over", "2026-01-01T00:00:00Z");
    let mut deck = Deck::start(&store, &options, None).unwrap();
    let text = options.config.rules.text() + &given;
    deck.take(Delivery::Rules { text, received_at: 0, answer: None }, false).unwrap();
    deck.stop().unwrap();
    let last_rules = || {
        let prefix = rules::prefix();
        let pairs = store.scan(Family::Meta, &prefix.clone().bytes(), prefix.next().as_deref());
        let (key, value) = pairs.map(Result::unwrap).last().unwrap();
        rules::decode(&key, &value).unwrap().2
    };
    assert!(last_rules().contains("\"over\""));
    let mut deck = Deck::start(&store, &options, None).unwrap();
    for delivery in deliveries(5, 900) {
        deck.take(delivery, false).unwrap();
    }
    deck.stop().unwrap();
    let now = last_rules();
    assert!(now.contains("\"asked\"") && now.contains("asked = true") && !now.contains("\"over\""), "{now}");
    let fired = log(&store);
    assert!(fired.iter().all(|(_, alert)| alert.suppressed.is_some()) && fired.len() > 10, "{}", fired.len());
}
