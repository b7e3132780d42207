//! `/v1/windows`: what is asked for, and rows up to a bound.

use axum::response::Response;
use feeds::time::Nanos;
use hyper::StatusCode;

use super::routes::{problem, refused, shown};
use crate::cli::parse::time;
use crate::clock;
use crate::config::limits::{HTTP_ROWS, HTTP_ROWS_MAX};
use crate::config::nearest::advice;
use crate::query::windows::{self, Selection};
use crate::query::{Catalogue, Filter, QueryError};
use crate::store::Store;

/// How many windows of each symbol are shown where no time is asked for.
const WINDOWS_BACK: Nanos = 60;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) window: Option<String>,
    pub(super) symbols: Vec<String>,
    pub(super) from: Option<Nanos>,
    pub(super) to: Option<Nanos>,
    pub(super) limit: Option<usize>,
    pub(super) revisions: bool,
}

impl Asked {
    /// Reads `a=b&c=d`, of which the keys are among `known`.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Asked, String> {
        let mut asked = Asked::default();
        for (key, value) in pairs(query, known)? {
            let wrong = |why: String| format!("`{key}`: {why}");
            match key.as_str() {
                "window" => asked.window = Some(value),
                "symbol" => asked.symbols.push(value),
                "from" => asked.from = Some(time(&value).map_err(wrong)?),
                "to" => asked.to = Some(time(&value).map_err(wrong)?),
                "revisions" => asked.revisions = truth(&value).map_err(wrong)?,
                _ => asked.limit = Some(limit(&value).map_err(wrong)?),
            }
        }
        Ok(asked)
    }
}

/// Parameters of which a request may name several.
const SEVERAL: [&str; 2] = ["symbol", "rule"];

/// The parameters in `a=b&c=d`, all of whose keys must be among `known`, and once but for [`SEVERAL`].
pub(super) fn pairs(query: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| format!("the value of `{key}` is no text"))?;
        if !known.contains(&key) {
            let shown: String = key.chars().take(KEY_SHOWN).collect();
            return Err(format!("unknown parameter `{shown}`; {}", advice(key, known.iter().copied())));
        }
        if !SEVERAL.contains(&key) && pairs.iter().any(|(before, _)| before == key) {
            return Err(format!("`{key}` is there twice"));
        }
        pairs.push((key.to_owned(), value));
    }
    Ok(pairs)
}

/// Yes or no.
pub(super) fn truth(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// How many rows are asked for.
pub(super) fn limit(value: &str) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=HTTP_ROWS_MAX).contains(limit));
    limit.ok_or_else(|| format!("write a whole number from 1 to {HTTP_ROWS_MAX}"))
}

/// Characters of an unknown key that are shown.
const KEY_SHOWN: usize = 40;

/// A value without its percent signs; `None` if what they stand for is no text.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The windows that are asked for, by symbol and start.
pub(super) fn windows(store: &dyn Store, asked: Asked) -> Response {
    let catalogue = match Catalogue::read(store) {
        Ok(catalogue) => catalogue,
        Err(error) => return refused(&error),
    };
    let limit = asked.limit.unwrap_or(HTTP_ROWS);
    let selection = match selection(&catalogue, asked) {
        Ok(selection) => selection,
        Err(Refusal::Query(error)) => return refused(&error),
        Err(Refusal::TooMany(why)) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    match windows::rows(store, &catalogue, &selection) {
        Err(error) => refused(&error),
        Ok((columns, rows)) => {
            // One more than is shown tells whether there are more.
            let mut rows: Vec<_> = rows.take(limit + 1).collect();
            let more = rows.len() > limit;
            rows.truncate(limit);
            shown(&columns, rows.into_iter(), more)
        }
    }
}

enum Refusal {
    Query(QueryError),
    TooMany(String),
}

/// What to read, so that of no symbol more windows are read than one answer holds.
fn selection(catalogue: &Catalogue, asked: Asked) -> Result<Selection, Refusal> {
    let chosen = catalogue.windows_in(asked.window.as_deref()).map_err(Refusal::Query)?;
    let size = chosen.iter().map(|&at| catalogue.plan.windows()[at].size).min().unwrap_or(1).max(1);
    let until = asked.to.unwrap_or_else(clock::wall);
    let from = asked.from.unwrap_or_else(|| until.saturating_sub(size.saturating_mul(WINDOWS_BACK)));
    let many = until.saturating_sub(from) / size;
    if usize::try_from(many).is_ok_and(|many| many > HTTP_ROWS_MAX) {
        return Err(Refusal::TooMany(format!(
            "that is up to {many} windows of each symbol, and at most {HTTP_ROWS_MAX} are shown; \
             move `from` and `to` together, or use tapedeck query"
        )));
    }
    let filter = Filter { symbols: asked.symbols, from: Some(from), to: asked.to };
    Ok(Selection { window: asked.window, filter, revisions: asked.revisions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_whole_or_refused() {
        let known = ["window", "symbol", "from", "to", "limit", "revisions"];
        let parse = |query: &str| Asked::parse(Some(query), &known);
        let asked =
            parse("window=1s&symbol=a%3AB%2FC&symbol=x+y&from=2024-08-08&limit=7&revisions=true").unwrap();
        assert_eq!(
            (asked.window.as_deref(), asked.symbols),
            (Some("1s"), vec!["a:B/C".to_owned(), "x y".to_owned()])
        );
        assert_eq!(
            (asked.from, asked.limit, asked.revisions),
            (Some(1_723_075_200_000_000_000), Some(7), true)
        );
        assert_eq!(Asked::parse(None, &known), Ok(Asked::default()));
        assert_eq!(parse("&&"), Ok(Asked::default()));
        assert_eq!(parse("revisions=false"), Ok(Asked::default()));
        for (query, said) in [
            ("windw=1s", "unknown parameter `windw`; the nearest is `window`"),
            ("limit=0", "from 1 to 10000"),
            ("limit=10001", "from 1 to 10000"),
            ("limit=", "from 1 to 10000"),
            ("from=yesterday", "`from`: "),
            ("revisions=yes", "`revisions`: write true or false"),
            ("revisions", "`revisions`: write true or false"),
            ("limit=1&limit=2", "`limit` is there twice"),
            ("window=1s&symbol=a&window=1s", "`window` is there twice"),
            ("symbol=%", "no text"),
            ("symbol=%4", "no text"),
            ("symbol=%+1", "no text"),
            ("symbol=%ff", "no text"),
            ("symbol=%é", "no text"),
        ] {
            let why = parse(query).unwrap_err();
            assert!(why.contains(said), "{query}: {why}");
        }
        assert!(parse(&"k".repeat(10_000)).unwrap_err().len() < 200);
    }
}
