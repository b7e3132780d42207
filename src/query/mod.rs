//! Reading a database: what was committed, as rows.
//!
//! A database says itself what it holds ([`catalogue`]): windows with their statistics, symbols, inputs. [`windows`]
//! computes statistics from stored state; [`explain`] says why an alert is what it is; [`alerts`] has the alert log, [`tables`] the smaller lists, [`percentiles`] that of
//! latencies; [`dump`] is all results in one order.

pub mod alerts;
pub mod catalogue;
pub mod dump;
pub mod explain;
pub mod percentiles;
pub mod rules;
pub mod tables;
pub mod windows;

pub use catalogue::Catalogue;

use feeds::symbol::Symbol;
use feeds::time::Nanos;

use crate::store::StoreError;

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds cannot be read (exit code 3).
    #[error("the database is damaged: {what} cannot be read ({why})")]
    Damaged {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// What was asked for is not there (exit code 2).
    #[error("{0}")]
    Wrong(String),
}

impl QueryError {
    pub(crate) fn damaged(what: impl Into<String>, why: impl std::fmt::Display) -> QueryError {
        QueryError::Damaged { what: what.into(), why: why.to_string() }
    }
}

/// What of a database is asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Full names or native parts; empty for all.
    pub symbols: Vec<String>,
    /// At or after this time.
    pub from: Option<Nanos>,
    /// Before this time.
    pub to: Option<Nanos>,
}

impl Filter {
    /// True if the symbol is asked for.
    #[must_use]
    pub fn takes_symbol(&self, symbol: &Symbol) -> bool {
        self.symbols.is_empty()
            || self.symbols.iter().any(|wanted| wanted == symbol.as_str() || wanted == symbol.native())
    }

    /// True if the time is asked for.
    #[must_use]
    pub fn takes_time(&self, time: Nanos) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}
