//! `tapedeck test`: rules on ticks that somebody made up, in event time, by the code that judges live.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Error};
use clap::Args as ClapArgs;
use feeds::symbol::{Symbol, SymbolId};
use feeds::tick::{Event, Tick};
use feeds::time::Nanos;
use feeds::venue::DuplicateKey;

use super::{Code, Failure, help};
use crate::alert::Alert;
use crate::alert::dispatch::Dispatch;
use crate::alert::judge::Judged;
use crate::alert::rulebook::Books;
use crate::config::cases::{Case, CaseFile, Expected, Input, What};
use crate::config::{WindowSpec, duration};
use crate::symbol::outages::{Cause, Channels, Outage};
use crate::symbol::{Entry, Outcomes, Strike, SymbolState};
use crate::window::{Plan, Window};

/// `test`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = help::TEST)]
pub struct TestArgs {
    /// Files of tests
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `tapedeck test`: a line for each test, and below it what differs.
///
/// # Errors
/// A file that is wrong, before anything is tested; tests that failed.
pub fn test(args: &TestArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &args.files {
        files.push((path, CaseFile::load(path)?));
    }
    let (mut in_all, mut failed) = (0, 0);
    for (path, file) in &files {
        for case in &file.cases {
            let differences = differences(case, &told(file, case)?);
            let verdict = if differences.is_empty() { "ok" } else { "failed" };
            say(out, &format!("{}: {}: {verdict}", path.display(), case.name))?;
            for difference in &differences {
                say(out, &format!("  {difference}"))?;
            }
            in_all += 1;
            failed += usize::from(!differences.is_empty());
        }
    }
    say(out, &format!("{in_all} {}, {failed} failed", if in_all == 1 { "test" } else { "tests" }))?;
    if failed == 0 {
        return Ok(());
    }
    Err(Failure { code: Code::Failed, error: Error::msg(format!("{failed} of {in_all} tests failed")) })
}

fn say(out: &mut dyn Write, line: &str) -> Result<(), Failure> {
    writeln!(out, "{line}").map_err(|error| Failure::from(Error::from(error)))
}

/// The symbols of a test, and what has come of them.
struct Stage {
    plan: Plan,
    states: BTreeMap<Symbol, SymbolState>,
    dispatch: Dispatch,
    alerts: Vec<Alert>,
}

/// What the rules say of a test.
fn told(file: &CaseFile, case: &Case) -> Result<Vec<Alert>, Error> {
    let windows: Vec<Window> = file.windows.iter().map(WindowSpec::planned).collect();
    let mut plan = Plan::new(windows.clone());
    (plan.lateness, plan.idle) = (case.lateness, case.idle);
    plan.books = Books::new(file.windows.clone(), windows);
    plan.books.put(BOOK, &file.rules.text()).map_err(Error::msg).context("rules")?;
    let dispatch = Dispatch::new(plan.books.get(BOOK), plan.idle);
    let mut stage = Stage { plan, states: BTreeMap::new(), dispatch, alerts: Vec::new() };
    for (number, input) in (1..).zip(&case.input) {
        stage.take(number, case.start, input);
    }
    stage.alerts.retain(|alert| case.only.iter().any(|glob| glob.matches(&alert.rule)));
    Ok(stage.alerts)
}

/// The one book of a test.
const BOOK: u32 = 1;

impl Stage {
    fn take(&mut self, number: u64, start: Nanos, input: &Input) {
        let at = start.saturating_add(input.at);
        let received_at = Some(at.saturating_add(input.delay));
        let tick = |event| Entry::Tick(Tick::new(SymbolId(0), at, received_at, event));
        let out = |cause| Entry::Outage(Outage { since: at, channels: Channels::ALL, cause });
        match &input.what {
            What::Trade(symbol, trade) => self.apply(number, symbol, &tick(Event::Trade(*trade))),
            What::Quote(symbol, quote) => self.apply(number, symbol, &tick(Event::Quote(*quote))),
            What::Gap(symbol) => self.apply(number, symbol, &out(Cause::Connection)),
            What::Silence(symbol) => self.apply(number, symbol, &out(Cause::Silence)),
            What::Clock => {
                let symbols: Vec<Symbol> = self.states.keys().cloned().collect();
                let strike = Entry::Clock(Strike { frontier: at, received_at });
                let said =
                    symbols.iter().map(|symbol| (symbol.as_str(), self.judged(number, symbol, &strike)));
                let said = said.collect();
                self.alerts.extend(self.dispatch.take(said, &[]));
            }
        }
    }

    fn apply(&mut self, number: u64, symbol: &Symbol, entry: &Entry) {
        let said = vec![(symbol.as_str(), self.judged(number, symbol, entry))];
        self.alerts.extend(self.dispatch.take(said, &[]));
    }

    fn judged(&mut self, number: u64, symbol: &Symbol, entry: &Entry) -> Judged {
        let state = self.states.entry(symbol.clone()).or_insert_with(|| {
            let state = SymbolState::new(&self.plan, DuplicateKey::None, DuplicateKey::None);
            state.ruled(symbol, self.plan.books.get(BOOK))
        });
        let mut out = Outcomes::default();
        state.apply(&self.plan, number, entry, &mut out);
        out.judged
    }
}

/// What was told and is not expected, what is expected and was not told, and what says something else.
fn differences(case: &Case, told: &[Alert]) -> Vec<String> {
    let mut open: Vec<&Alert> = told.iter().collect();
    let mut found: Vec<(Nanos, String)> = Vec::new();
    for expected in &case.expected {
        let is = |alert: &&Alert| {
            alert.event_time.saturating_sub(case.start) == expected.at
                && (alert.rule.as_str(), alert.symbol.as_str()) == (&expected.rule, &expected.symbol)
                && alert.state == expected.state
        };
        let line = expected.line;
        match open.iter().position(is) {
            None => found.push((expected.at, format!("missing: {} (line {line})", step_of(expected)))),
            Some(place) => {
                let others = others(expected, open.remove(place));
                found.extend(others.into_iter().map(|what| {
                    (expected.at, format!("differs: {}: {what} (line {line})", step_of(expected)))
                }));
            }
        }
    }
    for alert in open {
        let at = alert.event_time.saturating_sub(case.start);
        let state = alert.state.name();
        let values: Vec<String> =
            alert.values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let Alert { rule, symbol, message, .. } = alert;
        let saw = values.join("; ");
        let at_text = time_of(at);
        let quiet = alert.suppressed.as_ref().map(|why| format!(", suppressed by {why}")).unwrap_or_default();
        found.push((at, format!("unexpected: {at_text} {rule} {symbol} {state}: {message:?}, {saw}{quiet}")));
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, text)| text).collect()
}

fn step_of(expected: &Expected) -> String {
    let Expected { at, rule, symbol, state, .. } = expected;
    format!("{} {rule} {symbol} {}", time_of(*at), state.name())
}

fn time_of(at: Nanos) -> String {
    duration::format(at)
}

/// In what an alert is not as it is expected to be.
fn others(expected: &Expected, alert: &Alert) -> Vec<String> {
    let mut others = Vec::new();
    if let Some(message) = expected.message.as_ref().filter(|message| **message != alert.message) {
        others.push(format!("it says {:?} and not {message:?}", alert.message));
    }
    if let Some(severity) = expected.severity.filter(|severity| *severity != alert.severity) {
        others.push(format!("it is of severity {} and not {}", alert.severity.name(), severity.name()));
    }
    for (name, value) in &expected.labels {
        match alert.subject().label(name) {
            Some(known) if known == value => {}
            Some(known) => others.push(format!("its label {name} is {known:?} and not {value:?}")),
            None => others.push(format!("it has no label {name}")),
        }
    }
    let quiet = alert.suppressed.as_deref().unwrap_or_default();
    if let Some(wanted) = expected.suppressed.as_ref().filter(|wanted| **wanted != quiet) {
        let by = |why: &str| if why.is_empty() { "nothing".to_owned() } else { why.to_owned() };
        others.push(format!("it is suppressed by {} and not by {}", by(quiet), by(wanted)));
    }
    for (name, value) in &expected.values {
        match alert.values.iter().find(|(known, _)| known == name) {
            Some((_, seen)) if seen == value => {}
            Some((_, seen)) => others.push(format!("{name} is {seen:?} and not {value:?}")),
            None => {
                let known: Vec<&str> = alert.values.iter().map(|(known, _)| known.as_str()).collect();
                others.push(format!("it names no {name:?}, but {}", known.join("; ")));
            }
        }
    }
    others
}
