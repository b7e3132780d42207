//! `/v1/alerts`: what is asked for, and a page of the alert log.

use axum::response::Response;
use hyper::StatusCode;
use serde_json::json;

use super::routes::{answer, problem, refused, shown_with};
use super::rows::{limit, pairs};
use crate::alert::{Cursor, Severity, State};
use crate::config::limits::{ALERTS_LOOKED_AT, HTTP_ROWS};
use crate::query::QueryError;
use crate::query::alerts::{AlertFilter, Extent, Misplaced, after, columns, page, row};
use crate::view::Viewer;

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AskedAlerts {
    /// Behind which alert to begin; from the oldest without.
    pub(super) after: Option<Cursor>,
    pub(super) limit: Option<usize>,
    pub(super) filter: AlertFilter,
}

impl AskedAlerts {
    /// What a page and a stream both take.
    pub(super) const KNOWN: [&str; 5] = ["after", "symbol", "rule", "severity", "state"];

    /// Reads `a=b&c=d`, of which the keys are among `known`.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<AskedAlerts, String> {
        let mut asked = AskedAlerts::default();
        for (key, value) in pairs(query, known)? {
            let wrong = |why: &str| format!("`{key}`: {why}");
            match key.as_str() {
                "after" => asked.after = after(&value).map_err(wrong)?,
                "symbol" => asked.filter.symbols.push(value),
                "rule" => asked.filter.rules.push(value),
                "severity" => {
                    let severity = Severity::by_name(&value);
                    let severity = severity.ok_or_else(|| wrong("write info, warning or critical"))?;
                    asked.filter.severity = Some(severity);
                }
                "state" => {
                    let state = State::by_name(&value);
                    asked.filter.state =
                        Some(state.ok_or_else(|| wrong("write pending, firing or resolved"))?);
                }
                _ => asked.limit = Some(limit(&value).map_err(|why| wrong(&why))?),
            }
        }
        Ok(asked)
    }
}

/// A page of the log, and the cursor behind which the next one begins.
pub(super) fn list(viewer: &Viewer, query: Option<&str>) -> Response {
    let mut known = AskedAlerts::KNOWN.to_vec();
    known.push("limit");
    let asked = match AskedAlerts::parse(query, &known) {
        Ok(asked) => asked,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    match read(viewer, &asked) {
        Ok(Ok(response)) => response,
        Ok(Err(elsewhere)) => misplaced(&elsewhere),
        Err(error) => refused(&error),
    }
}

fn read(viewer: &Viewer, asked: &AskedAlerts) -> Result<Result<Response, Misplaced>, QueryError> {
    let extent = Extent::read(viewer.store(), Some(viewer.pulse().alerts().head()))?;
    let extent = extent.told_to(viewer.store(), asked.after)?;
    let after = match extent.place(asked.after) {
        Ok(after) => after,
        Err(elsewhere) => return Ok(Err(elsewhere)),
    };
    let bounds = (asked.limit.unwrap_or(HTTP_ROWS), ALERTS_LOOKED_AT);
    let page = page(viewer.store(), (after, extent.head), &asked.filter, bounds)?;
    let (more, next) = (page.reached < extent.head, extent.cursor(page.reached));
    let rows = page.alerts.iter().map(|(number, alert)| Ok(row(extent.cursor(*number), alert)));
    Ok(Ok(shown_with(&columns(), rows, &format!("\"more\":{more},\"next\":\"{next}\""))))
}

/// Where the log is instead of behind the cursor.
pub(super) fn misplaced(misplaced: &Misplaced) -> Response {
    let error = misplaced.to_string();
    match misplaced {
        Misplaced::Generation { generation, differs_from } => {
            let body = json!({ "error": error, "generation": generation, "differs_from": differs_from });
            answer(StatusCode::CONFLICT, &body)
        }
        Misplaced::Gone { oldest } => {
            answer(StatusCode::GONE, &json!({ "error": error, "oldest": oldest.to_string() }))
        }
        Misplaced::Beyond { head } => {
            let body = json!({ "error": error, "head": head.to_string() });
            answer(StatusCode::RANGE_NOT_SATISFIABLE, &body)
        }
    }
}
