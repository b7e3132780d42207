//! What changes something reaches the run as it was sent, and its answer comes back.

use tapedeck::live::control::Command;
use tokio::sync::mpsc;

use crate::stage::{Answer, CONTROL, Healthy, READ, Stage, bearer, guarded, request, send};

fn reload(stage: &Stage, token: &str, text: &str) -> Answer {
    post(stage, "/v1/rules/reload", token, text)
}

fn post(stage: &Stage, path: &str, token: &str, text: &str) -> Answer {
    let length = format!("Content-Length: {}", text.len());
    let mut bytes = request(&format!("POST {path}"), &[&bearer(token), &length]);
    bytes.extend(text.as_bytes());
    send(stage.address, &bytes)
}

#[test]
fn other_rules_are_taken_or_refused_by_the_run_alone() {
    let (control, mut commands) = mpsc::channel(4);
    let stage = Stage::controlled(&guarded(), Some(control));
    let healthy = Healthy::start(stage.address, Some(READ));
    let run = std::thread::spawn(move || {
        let mut heard = Vec::new();
        while let Some(Command::Reload { text, answer }) = commands.blocking_recv() {
            let result = match text.as_str() {
                "good" => Ok(42),
                "gone" => break,
                _ => Err("line 1: no rules".to_owned()),
            };
            heard.push(text);
            answer.send(result).unwrap();
        }
        heard
    });
    let taken = reload(&stage, CONTROL, "good");
    assert_eq!((taken.status, taken.body.as_str()), (200, "{\"entry\":42}\n"));
    let refused = reload(&stage, CONTROL, "bad \u{e9}");
    assert_eq!((refused.status, refused.body.as_str()), (422, "{\"error\":\"line 1: no rules\"}\n"));
    assert_eq!(reload(&stage, READ, "good").status, 403);
    assert_eq!(reload(&stage, "guessed", "good").status, 401);
    // A run that ends answers no more, neither what it had taken nor what comes.
    assert_eq!(reload(&stage, CONTROL, "gone").status, 503);
    assert_eq!(run.join().unwrap(), ["good", "bad \u{e9}"]);
    assert_eq!(reload(&stage, CONTROL, "good").status, 503);
    assert!(healthy.end() > 0);
}

#[test]
fn symbols_are_changed_by_control_alone_and_the_answer_says_what_is_wanted() {
    let (control, mut commands) = mpsc::channel(4);
    let stage = Stage::controlled(&guarded(), Some(control));
    let run = std::thread::spawn(move || {
        let mut heard = Vec::new();
        while let Some(Command::Symbols { text, answer }) = commands.blocking_recv() {
            let is_good = text.contains("add");
            heard.push(text);
            let wanted = vec!["foo:A".to_owned(), "foo:B".to_owned()];
            answer.send(if is_good { Ok(wanted) } else { Err("nothing to do".to_owned()) }).unwrap();
            if heard.len() == 2 {
                break;
            }
        }
        heard
    });
    let change = |token, text| post(&stage, "/v1/symbols", token, text);
    assert_eq!(change(READ, "{\"add\":[\"foo:C\"]}").status, 403);
    assert_eq!(change("guessed", "{\"add\":[\"foo:D\"]}").status, 401);
    let taken = change(CONTROL, "{\"add\":[\"foo:B\"]}");
    assert_eq!((taken.status, taken.body.as_str()), (200, "{\"wanted\":[\"foo:A\",\"foo:B\"]}\n"));
    let refused = change(CONTROL, "{}");
    assert_eq!((refused.status, refused.body.as_str()), (422, "{\"error\":\"nothing to do\"}\n"));
    assert_eq!(run.join().unwrap(), ["{\"add\":[\"foo:B\"]}", "{}"], "who may not is not heard");
}
