//! A rulebook: all rules of a configuration, compiled together. It never changes; another one takes its place.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use feeds::symbol::Symbol;
use feeds::time::Nanos;
use sha2::{Digest, Sha256};

use super::episode::{Step, Terms};
use super::{AlertId, Severity, State, Subject};
use crate::config::WindowSpec;
use crate::config::rules::{RuleSpec, RulesSpec};
use crate::rule::{Compiler, Condition, Inputs, Market, Names, Problem, Template};
use crate::window::Window;

/// One rule, compiled.
#[derive(Debug)]
pub struct Rule {
    /// As it was written.
    pub spec: RuleSpec,
    /// Its canonical text: two rules with one text are one rule.
    pub text: String,
    /// What makes it fire.
    pub when: Condition,
    /// What ends that; none if it ends when `when` does not hold.
    pub until: Option<Condition>,
    /// What it says.
    pub message: Template,
    /// When it may fire.
    pub terms: Terms,
    /// It is judged only when a window of this place in the configuration becomes final.
    pub at_close_of: Option<usize>,
}

impl Rule {
    /// True if all that it reads are final windows, of its own symbol.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.when.reads().is_closed() && self.until.as_ref().is_none_or(|until| until.reads().is_closed())
    }

    /// True if it is judged at the ends of windows, in the time of the watermark.
    #[must_use]
    pub fn is_judged_at_ends(&self) -> bool {
        self.is_closed() && self.at_close_of.is_none()
    }

    /// True if it names symbols.
    #[must_use]
    pub fn is_cross(&self) -> bool {
        self.when.reads().is_cross() || self.until.as_ref().is_some_and(|until| until.reads().is_cross())
    }

    /// Its conditions.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        std::iter::once(&self.when).chain(&self.until)
    }

    /// The id of the episode of this step at `symbol`.
    #[must_use]
    pub fn id(&self, symbol: &str, step: &Step) -> AlertId {
        let mut hash = Sha256::new();
        for part in [self.text.as_bytes(), symbol.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(step.began.to_be_bytes());
        hash.update(step.nth.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        AlertId(id)
    }

    /// What an alert of it says that comes to `state` at `symbol`.
    #[must_use]
    pub fn said(&self, market: &impl Market, symbol: &str, state: State) -> String {
        self.message.render(market, symbol, &self.spec.name, self.severity().name(), state.name())
    }

    /// Its labels, by name.
    #[must_use]
    pub fn labels(&self) -> Vec<(String, String)> {
        self.spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Its severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.spec.severity
    }
}

/// See the module.
pub struct RuleBook {
    number: u32,
    spec: RulesSpec,
    rules: Vec<Rule>,
    inputs: Inputs,
    crossed: Vec<usize>,
    sizes: Vec<Nanos>,
    names: Vec<String>,
}

impl fmt::Debug for RuleBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleBook {} of {} rules", self.number, self.rules.len())
    }
}

/// Why rules cannot be compiled: the rule's name, which of its texts, and what is wrong there.
#[derive(Debug, thiserror::Error)]
#[error("rule `{rule}`, {key}: {}", .problems.first().map_or("", |problem| problem.message.as_str()))]
pub struct RuleError {
    /// The rule.
    pub rule: String,
    /// `when`, `until` or `message`.
    pub key: &'static str,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl RuleBook {
    /// Compiles `spec` against `windows`. A specification that was checked compiles.
    ///
    /// # Errors
    /// [`RuleError`] for the first rule that does not.
    pub fn new(number: u32, spec: &RulesSpec, windows: &[Window]) -> Result<RuleBook, RuleError> {
        let mut compiler = Compiler::new(Names { windows });
        let mut rules = Vec::new();
        for rule in &spec.rules {
            rules.push(compile(rule, windows, &mut compiler)?);
        }
        let inputs = compiler.finish();
        let is_crossed = |place: &usize| inputs.series[*place].symbol.is_some();
        let crossed = (0..inputs.series.len()).filter(is_crossed).collect();
        Ok(RuleBook {
            number,
            spec: spec.clone(),
            rules,
            crossed,
            inputs,
            sizes: windows.iter().map(|window| window.size).collect(),
            names: windows.iter().map(|window| window.name.clone()).collect(),
        })
    }

    /// Its number in the database; 0 has no rules.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it was compiled from.
    #[must_use]
    pub fn spec(&self) -> &RulesSpec {
        &self.spec
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What they read.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The size of the window at a place in the configuration.
    #[must_use]
    pub fn size(&self, window: usize) -> Nanos {
        self.sizes.get(window).copied().unwrap_or(1)
    }

    /// Its name.
    #[must_use]
    pub fn window_name(&self, window: usize) -> &str {
        self.names.get(window).map_or("", String::as_str)
    }

    /// The first end behind `after` of a silence of the rule at this place, at `symbol`.
    #[must_use]
    pub fn silence_end(&self, place: usize, symbol: &str, after: Nanos) -> Option<Nanos> {
        let rule = &self.rules[place];
        let silences = self.spec.silences.iter().filter(|silence| silence.until > after);
        let mut labels = None;
        let of_it = silences.filter(|silence| {
            let labels = labels.get_or_insert_with(|| rule.labels());
            let (name, severity) = (&rule.spec.name, rule.severity());
            silence.of.matches(&Subject { rule: name, symbol, severity, labels })
        });
        of_it.map(|silence| silence.until).min()
    }

    /// The places of the rules that are judged at `symbol` alone.
    #[must_use]
    pub fn of(&self, symbol: &str) -> Vec<usize> {
        let matches = |rule: &Rule| !rule.is_cross() && rule.spec.watches(symbol);
        (0..self.rules.len()).filter(|&place| matches(&self.rules[place])).collect()
    }

    /// The places of the series of `symbol` that rules over several symbols read.
    #[must_use]
    pub fn exported(&self, symbol: &str) -> Vec<usize> {
        let names =
            |series: &crate::rule::Series| series.symbol.as_ref().is_some_and(|of| of.as_str() == symbol);
        let series = &self.inputs.series;
        (0..series.len()).filter(|&place| names(&series[place])).collect()
    }

    /// The places of all series that rules over several symbols read.
    #[must_use]
    pub fn crossed(&self) -> &[usize] {
        &self.crossed
    }

    /// True if `symbol` has to hear every entry of the clock, though nothing of its windows comes due.
    #[must_use]
    pub fn wants_clock(&self, symbol: &Symbol) -> bool {
        !self.of(symbol.as_str()).is_empty() || !self.exported(symbol.as_str()).is_empty()
    }
}

fn compile(spec: &RuleSpec, windows: &[Window], compiler: &mut Compiler<'_>) -> Result<Rule, RuleError> {
    let wrong = |key| {
        let rule = spec.name.clone();
        move |problems| RuleError { rule, key, problems }
    };
    let named = |name: &Option<String>| {
        name.as_ref().and_then(|name| windows.iter().position(|window| window.name == *name))
    };
    let when = compiler.compile(&spec.when).map_err(wrong("when"))?;
    let until = match &spec.until {
        Some(until) => Some(compiler.compile(until).map_err(wrong("until"))?),
        None => None,
    };
    let message = spec.message.as_deref().unwrap_or(DEFAULT_MESSAGE);
    let message = compiler.template(message).map_err(wrong("message"))?;
    let once_in = named(&spec.once_per_window).map_or(0, |window| windows[window].size);
    let text = RulesSpec { rules: vec![spec.clone()], ..RulesSpec::default() }.text();
    Ok(Rule {
        when,
        until,
        message,
        terms: Terms { hold: spec.hold, cooldown: spec.cooldown, once_in },
        at_close_of: named(&spec.once_per_close),
        spec: spec.clone(),
        text,
    })
}

/// What a rule says that has no message of its own.
const DEFAULT_MESSAGE: &str = "{rule} at {symbol}";

/// All books that a run has met, by number, and the windows that they are about. Clones share them; they only become
/// more. There is none of number 0: that is no rules.
#[derive(Clone, Debug, Default)]
pub struct Books {
    windows: Arc<(Vec<WindowSpec>, Vec<Window>)>,
    shelf: Arc<RwLock<Vec<Arc<RuleBook>>>>,
}

impl Books {
    /// No book yet, about these windows.
    #[must_use]
    pub fn new(specs: Vec<WindowSpec>, windows: Vec<Window>) -> Books {
        Books { windows: Arc::new((specs, windows)), shelf: Arc::default() }
    }

    /// The book of this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<Arc<RuleBook>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.iter().find(|book| book.number == number).cloned()
    }

    /// The text of the book of this number.
    #[must_use]
    pub fn text(&self, number: u32) -> String {
        self.get(number).map_or_else(String::new, |book| book.spec.text())
    }

    /// Puts the book of this number and text there, if it is not.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn put(&self, number: u32, text: &str) -> Result<(), String> {
        if number == 0 || self.get(number).is_some() {
            return Ok(());
        }
        let (specs, windows) = &*self.windows;
        let spec = RulesSpec::parse("the rules", text, specs).map_err(|error| error.to_string())?;
        let book = RuleBook::new(number, &spec, windows).map_err(|error| error.to_string())?;
        self.shelve(book);
        Ok(())
    }

    /// Puts a book behind those that are there.
    pub(crate) fn shelve(&self, book: RuleBook) {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(book));
    }

    /// The book of `text` behind the one of number `before`; `None` if that one has this text.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn next(&self, before: u32, text: &str) -> Result<Option<u32>, String> {
        if self.text(before) == text {
            return Ok(None);
        }
        self.put(before + 1, text)?;
        Ok(Some(before + 1))
    }
}
