//! The rules of `docs/rules.md` on real captures: when each fires and resolves is what another program, which decodes and
//! counts for itself, says of the raw files.

use std::path::Path;
use std::sync::Arc;

use tapedeck::alert::Alert;
use tapedeck::config::{Catalogue, Config};
use tapedeck::replay::ReplayOptions;
use tapedeck::schema::alerts;
use tapedeck::store::Store;

use crate::support::{data, memory, options, run};

const GUIDE: &str = include_str!("../../docs/rules.md");

/// The fall and the recovery of the night of 8 August 2024, coin and future.
const FALL: [&str; 2] = ["hftbacktest/spot_btcusdt_20240808.gz", "hftbacktest/usdm_btcusdt_20240808.gz"];
/// A quiet minute and a half of the future.
const QUIET: [&str; 1] = ["hftbacktest/usdm_btcusdt_20230404.dat.gz"];

/// Of rules on the fall: name, and each step with its time.
const ON_THE_FALL: [(&str, &str); 8] = [
    (
        "burst",
        "firing 23:56:53, resolved 23:56:54, firing 23:57:19, resolved 23:57:20, \
         firing 23:57:25, resolved 23:57:26, firing 23:57:34, resolved 23:57:35, \
         firing 23:57:53, resolved 23:57:55, firing 23:58:23, resolved 23:58:24, \
         firing 23:58:36, resolved 23:58:37, firing 23:59:22, resolved 23:59:23",
    ),
    ("jump", "firing 23:55:49, resolved 23:55:50, firing 23:57:53, resolved 23:57:57"),
    (
        "drift",
        "firing 23:55:49, resolved 23:56:27, firing 23:56:41, resolved 23:57:16, \
         firing 23:57:21, resolved 23:57:27, firing 23:57:56, resolved 23:58:10",
    ),
    (
        "one-sided",
        "firing 23:54:40, resolved 23:54:45, firing 23:56:35, resolved 23:56:40, \
         firing 23:56:55, resolved 23:57:00",
    ),
    (
        "reversal",
        "firing 23:57:25, resolved 23:57:26, firing 23:57:54, resolved 23:57:55, \
         firing 23:58:24, resolved 23:58:25, firing 23:58:38, resolved 23:58:39, \
         firing 23:59:09, resolved 23:59:10, firing 23:59:23, resolved 23:59:24",
    ),
    (
        "unanswered",
        "firing 23:57:20.615, resolved 23:57:24.706, firing 23:57:35.859, resolved 23:57:53.061, \
         firing 23:58:24.325, resolved 23:58:39.674, firing 23:59:23.612",
    ),
    (
        "cluster",
        "firing 23:57:33.859, resolved 23:57:33.859, firing 23:58:22.33, resolved 23:58:22.33, \
         firing 23:59:21.612, resolved 23:59:21.612",
    ),
    (
        "apart",
        "pending 23:55:00, resolved 23:55:01, pending 23:55:49, resolved 23:55:50, \
         pending 23:56:47, resolved 23:56:48, pending 23:57:53, firing 23:57:54, \
         resolved 23:58:05, pending 23:58:23, resolved 23:58:24, pending 23:58:30, \
         resolved 23:58:31, pending 23:59:22, firing 23:59:23, resolved 23:59:56",
    ),
];

/// The same of rules on the quiet future.
const ON_THE_QUIET: [(&str, &str); 3] = [
    ("wide", "firing 23:58:36.667, resolved 23:58:36.675, firing 23:59:27.816, resolved 23:59:27.828"),
    (
        "delayed",
        "firing 23:58:37.216, resolved 23:58:37.398, firing 23:58:57.915, resolved 23:58:58.481, \
         firing 23:59:27.938, resolved 23:59:28.18, firing 23:59:59.109, resolved 23:59:59.276",
    ),
    (
        "silent",
        "firing 23:58:27.479, resolved 23:58:27.934, firing 23:58:42.491, resolved 23:58:42.5, \
         firing 23:59:04.13, resolved 23:59:04.424, firing 23:59:14.923, resolved 23:59:14.929, \
         firing 23:59:48.347, resolved 23:59:48.355",
    ),
];

/// The fenced blocks of TOML in the guide: name, text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = GUIDE.split("```").skip(1).step_by(2);
    let named = fenced.filter_map(|block| block.strip_prefix("toml ")?.split_once('\n'));
    named.collect()
}

/// The guide as one configuration.
fn guide() -> Config {
    let text: Vec<&str> = blocks().into_iter().map(|(_, text)| text).collect();
    Config::parse("docs/rules.md", &text.concat(), &Catalogue::built_in()).unwrap()
}

/// What the rules of the guide say of captures.
fn told(data: &Path, captures: &[&str]) -> Vec<Alert> {
    let store: Arc<dyn Store> = memory();
    let files: Vec<_> = captures.iter().map(|capture| data.join(capture)).collect();
    run(&store, &files, &ReplayOptions { config: guide(), ..options() });
    alerts::scan(&*store, 1).map(|alert| alert.unwrap().1).collect()
}

/// The steps of a rule, each as `state time`, without the day.
fn steps(alerts: &[Alert], rule: &str) -> String {
    let of_rule = alerts.iter().filter(|alert| alert.rule == rule);
    let steps = of_rule.map(|it| {
        let time = feeds::time::format(it.event_time);
        let time = time.split(['T', 'Z']).nth(1).unwrap().trim_end_matches('0').trim_end_matches('.');
        format!("{} {time}", it.state.name())
    });
    steps.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_guide_is_a_configuration_and_each_block_has_the_name_of_its_rule() {
    let config = guide();
    let rules: Vec<&str> = config.rules.rules.iter().map(|rule| rule.name.as_str()).collect();
    let named: Vec<&str> = blocks().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named[..2], ["windows", "quiet"]);
    assert_eq!(named[2..], rules);
    for (rule, _) in ON_THE_FALL.iter().chain(&ON_THE_QUIET) {
        assert!(rules.contains(rule), "{rule}");
    }
    assert_eq!(rules.len(), ON_THE_FALL.len() + ON_THE_QUIET.len() + 1, "all but `locked`");
}

#[test]
fn worked_rules_fire_on_the_fall_when_another_program_says() {
    let Some(data) = data() else { return };
    let alerts = told(&data, &FALL);
    for (rule, expected) in ON_THE_FALL {
        assert_eq!(steps(&alerts, rule), expected, "{rule}");
    }
    // 72,854 quotes of two futures, none of them crossed.
    assert_eq!(steps(&alerts, "locked"), "");
    let first = alerts.iter().find(|alert| alert.rule == "burst").unwrap();
    let values: Vec<(&str, &str)> =
        first.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(values, [("volume[1s, -1]", "1.9373"), ("mean(volume[1s, -1], 60)", "0.23609333333333332")]);
    assert_eq!(first.symbol, "binance:BTCUSDT");
    assert_eq!(first.message, "binance:BTCUSDT: 1.9373 in a second, usually 0.236093");
    let apart = alerts.iter().find(|alert| alert.rule == "apart").unwrap();
    assert_eq!(apart.symbol, "binance-usdm:BTCUSDT|binance:BTCUSDT");
}

#[test]
fn worked_rules_fire_on_the_quiet_future_when_another_program_says() {
    let Some(data) = data() else { return };
    let alerts = told(&data, &QUIET);
    for (rule, expected) in ON_THE_QUIET {
        assert_eq!(steps(&alerts, rule), expected, "{rule}");
    }
    assert_eq!(steps(&alerts, "locked"), "");
    let first = alerts.iter().find(|alert| alert.rule == "wide").unwrap();
    assert_eq!(first.message, "binance-usdm:BTCUSDT: 0.5 wide around 28140.75");
}
