//! Recordings as their users replay them: with the configuration of the run, whose rules may have changed meanwhile.

use sha2::{Digest, Sha256};

use super::crashes::{Live, line_of, simulator, started};
use super::support::{Folder, wait_for};

/// A configuration with one rule.
fn ruled(folder: &Folder, name: &str, when: &str) {
    let rule = format!("[[rules]]\nname = '{name}'\nwhen = '{when}'\n");
    folder.write("c.toml", format!("[[windows]]\nname = '1s'\n[[windows]]\nname = '2s'\n{rule}"));
}

fn wait_for_alerts_of(live: &Live, rule: &str) {
    wait_for(|| live.get(&format!("/v1/alerts?rule={rule}")).filter(|said| said.contains("\"firing\"")));
}

fn ended(mut live: Live) {
    live.running.signal("TERM");
    assert_eq!(live.running.wait().code(), Some(0));
}

/// All files of a folder, with spaces between them.
fn files(folder: &Folder, name: &str) -> String {
    let files = std::fs::read_dir(folder.path().join(name)).unwrap();
    let names = files.map(|file| format!("{name}/{}", file.unwrap().file_name().display()));
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_recording_is_judged_by_its_own_rules_whatever_the_configuration_says_by_now() {
    let (folder, simulator) = (Folder::new(), simulator());
    let line = format!("{} --record tape", line_of(&simulator));
    ruled(&folder, "early", "trades[1s, -1] > 3");
    let live = started(&folder, &line);
    wait_for_alerts_of(&live, "early");
    ruled(&folder, "later", "trades[2s, -1] > 6");
    let mut live = live;
    live.running.signal("HUP");
    wait_for_alerts_of(&live, "later");
    ended(live);
    let tape = files(&folder, "tape");
    let replayed = folder.run(&format!("replay {tape} --config c.toml --db again"));
    assert!(replayed.err.contains("the recording's own rules are judged"), "{}", replayed.err);
    replayed.fine();
    assert_eq!(folder.digest("again"), folder.digest("db"));
    folder.write("other.toml", "[[rules]]\nname = 'other'\nwhen = 'trades[1s, -1] > 0'\n");
    folder.run(&format!("replay {tape} --config c.toml --rules other.toml --db other")).fine();
    let told = folder.run("query alerts --db other --format csv").fine();
    assert!(told.contains(",other,") && !told.contains(",later,"), "{told}");

    // The same command goes on, and what it records is another recording.
    let live = started(&folder, &line);
    wait_for_alerts_of(&live, "later");
    ended(live);
    let both = files(&folder, "tape");
    folder.run(&format!("replay {both} --config c.toml --db both")).failed(2, &["2 runs", "--append"]);
}

/// Nobody but the operator knows why a symbol ended: that it did is on record, and is no outage there either.
#[test]
fn symbols_that_come_and_go_are_the_same_live_and_replayed() {
    let (folder, simulator) = (Folder::new(), simulator());
    let digest: String = Sha256::digest(b"hand").iter().map(|byte| format!("{byte:02x}")).collect();
    folder
        .write("c.toml", format!("[[http.tokens]]\nname = 'hand'\nsha256 = '{digest}'\nscope = 'control'\n"));
    let live = started(&folder, &format!("{} --record tape", line_of(&simulator)));
    let token = "Authorization: Bearer hand\r\n";
    let committed = || {
        let status: serde_json::Value = serde_json::from_str(&live.ask("GET /v1/status", token, "")?).ok()?;
        status["committed"].as_u64()
    };
    let go_on = || {
        let past = wait_for(committed) + 1_500;
        wait_for(|| committed().filter(|committed| *committed > past));
    };
    go_on();
    let totals = simulator.totals().remove(0);
    let symbol = format!("{}:{}", totals.venue, totals.made.symbols[0].native);
    for (what, is_there) in [("remove", false), ("add", true), ("remove", false)] {
        let body = format!("{{\"{what}\":[\"{symbol}\"]}}");
        let wanted = live.ask("POST /v1/symbols", token, &body).unwrap();
        assert!(wanted.contains("\"wanted\"") && wanted.contains(&symbol) == is_there, "{wanted}");
        go_on();
    }
    let rules = "[[rules]]\nname = 'any'\nwhen = 'price > 0'\n";
    assert!(live.ask("POST /v1/rules/reload", token, rules).unwrap().contains("\"entry\""));
    let in_force = || live.ask("GET /v1/rules", token, "").filter(|text| text.contains("name = \"any\""));
    assert!(wait_for(in_force).contains("# in force from entry "));
    assert!(live.ask("POST /v1/rules/reload", token, "").unwrap().contains("`rules = []`"));
    go_on();
    assert!(in_force().is_some(), "what is refused changes nothing");
    ended(live);
    folder.run(&format!("replay {} --config c.toml --db again", files(&folder, "tape"))).fine();
    assert_eq!(folder.digest("again"), folder.digest("db"));
    let gaps = |db: &str| folder.run(&format!("query gaps --db {db} --format csv")).fine();
    assert_eq!(gaps("again"), gaps("db"));
}

/// Frames that were only recorded have no rules of their own.
#[test]
fn frames_are_judged_by_the_rules_of_the_configuration() {
    let (folder, simulator) = (Folder::new(), simulator());
    ruled(&folder, "mine", "trades[1s, -1] > 0");
    let line = line_of(&simulator)
        .replace("run --config c.toml --db db --listen 127.0.0.1:0", "record --out tape --for 5s");
    folder.run(&line).fine();
    folder.run(&format!("replay {} --config c.toml --db db", files(&folder, "tape"))).fine();
    let told = folder.run("query alerts --db db --format csv").fine();
    assert!(told.contains(",mine,"), "{told}");
}
