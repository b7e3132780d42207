//! What a database holds: its windows, its symbols, its runs.

use feeds::symbol::Symbol;

use super::{Filter, QueryError};
use crate::config::duration;
use crate::config::nearest::nearest;
use crate::replay::plan::scan;
use crate::schema::run::Run;
use crate::schema::{self, symbols};
use crate::stat::by_name;
use crate::store::{Family, Store};
use crate::tape::epoch::Joined;
use crate::window::{Plan, Window};

/// See the module.
pub struct Catalogue {
    /// All runs, the newest last.
    pub runs: Vec<Run>,
    /// Windows and lateness of all of them.
    pub plan: Plan,
    /// Symbols, by name.
    pub symbols: Vec<Joined>,
}

impl Catalogue {
    /// Reads it.
    ///
    /// # Errors
    /// [`QueryError`] if the store fails or what it says cannot be read.
    pub fn read(store: &dyn Store) -> Result<Catalogue, QueryError> {
        let mut runs = Vec::new();
        for pair in scan(store, Family::Meta, &schema::run::prefix()) {
            runs.push(Run::decode(&pair?.1).map_err(|error| QueryError::damaged("a run", error))?);
        }
        let config = runs.last().map_or("", |run| run.config.as_str());
        let windows = windows_of(config).ok_or_else(|| QueryError::damaged("the configuration", config))?;
        let mut symbols = Vec::new();
        for pair in scan(store, Family::Meta, &symbols::prefix()) {
            let (key, value) = pair?;
            let joined = symbols::decode(&key, &value);
            symbols.push(joined.map_err(|error| QueryError::damaged("a symbol", error))?);
        }
        symbols.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        Ok(Catalogue { runs, plan: Plan::new(windows), symbols })
    }

    /// The name of symbol `number`.
    #[must_use]
    pub fn name_of(&self, number: u32) -> Option<&Symbol> {
        self.symbols.iter().find(|joined| joined.number == number).map(|joined| &joined.symbol)
    }

    /// The symbols that `filter` asks for, by name.
    ///
    /// # Errors
    /// [`QueryError::Wrong`] with the nearest name if one that it asks for is not there.
    pub fn symbols_in(&self, filter: &Filter) -> Result<Vec<&Joined>, QueryError> {
        for wanted in &filter.symbols {
            let known =
                |joined: &Joined| wanted == joined.symbol.as_str() || wanted == joined.symbol.native();
            if !self.symbols.iter().any(known) {
                let names: Vec<&str> = self.symbols.iter().map(|joined| joined.symbol.as_str()).collect();
                return Err(QueryError::Wrong(missing("symbol", wanted, &names)));
            }
        }
        Ok(self.symbols.iter().filter(|joined| filter.takes_symbol(&joined.symbol)).collect())
    }

    /// The windows called `name`, or all, as indices.
    ///
    /// # Errors
    /// [`QueryError::Wrong`] with the nearest name if it is not there.
    pub fn windows_in(&self, name: Option<&str>) -> Result<Vec<usize>, QueryError> {
        let windows = self.plan.windows();
        let found: Vec<usize> =
            (0..windows.len()).filter(|&at| name.is_none_or(|name| name == windows[at].name)).collect();
        match name {
            Some(name) if found.is_empty() => {
                let names: Vec<&str> = windows.iter().map(|window| window.name.as_str()).collect();
                Err(QueryError::Wrong(missing("window", name, &names)))
            }
            _ => Ok(found),
        }
    }
}

fn missing(what: &str, wanted: &str, names: &[&str]) -> String {
    match (nearest(wanted, names.iter().copied()), names) {
        (Some(near), _) => format!("the database has no {what} `{wanted}`; did you mean `{near}`?"),
        (None, []) => format!("the database has no {what} `{wanted}`: it holds none yet"),
        (None, _) => format!("the database has no {what} `{wanted}`"),
    }
}

/// The windows of a canonical text.
fn windows_of(canonical: &str) -> Option<Vec<Window>> {
    let lines = canonical.lines().filter_map(|line| line.strip_prefix("window "));
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let (name, _kind, size) = (words.next()?, words.next()?, words.next()?);
            let stats = words.map(by_name).collect::<Option<Vec<_>>>()?;
            Some(Window { name: name.to_owned(), size: duration::parse(size).ok()?, stats })
        })
        .collect()
}
