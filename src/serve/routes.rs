//! The paths, and what each answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use feeds::venues::VENUES;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};

use super::places::Places;
use super::rows::{self, Asked};
use super::stream::{self, Figures, Streams};
use super::{alerts, control, metrics, page};
use crate::output::{Cell, Column, Format, write};
use crate::query::rules::in_force;
use crate::query::{Catalogue, Filter, QueryError, percentiles, tables};
use crate::view::Viewer;

const JSON: &str = "application/json; charset=utf-8";

type Shared = State<Arc<Viewer>>;

/// All of them.
pub(super) fn router(viewer: Arc<Viewer>, streams: Arc<Streams>, places: Arc<Places>) -> Router {
    let figures = Arc::clone(&streams.figures);
    let followed = Router::new()
        .route("/v1/alerts/stream", get(stream::alerts::stream))
        .route("/v1/windows/stream", get(stream::windows::stream))
        .with_state(streams);
    Router::new()
        .route("/", get(async || page::response()))
        .route("/healthz", get(async || body("text/plain; charset=utf-8", "alive\n".to_owned())))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(viewer): Shared| measures(viewer, figures, places).await))
        .route(
            "/v1/status",
            get(async |State(viewer): Shared| {
                picture(viewer, |view| answer(StatusCode::OK, &view.status)).await
            }),
        )
        .route("/v1/feeds", get(feeds))
        .route(
            "/v1/live",
            get(async |State(viewer): Shared| picture(viewer, |view| answer(StatusCode::OK, view)).await),
        )
        .route("/v1/venues", get(venues))
        .route("/v1/symbols", get(symbols).post(control::symbols))
        .route("/v1/windows", get(windows))
        .route("/v1/alerts", get(alerts))
        .route("/v1/latency", get(latency))
        .route("/v1/rules", get(rules))
        .route("/v1/rules/reload", post(control::reload))
        .route("/v1/silences", post(control::silence))
        .fallback(async || problem(StatusCode::NOT_FOUND, PATHS))
        .with_state(viewer)
        .merge(followed)
}

/// What rules are written in.
const TOML: &str = "application/toml; charset=utf-8";

/// What is said where nothing is.
const PATHS: &str = "nothing is here; there is /, /healthz, /readyz, /metrics, /v1/status, /v1/feeds, /v1/symbols, \
                     /v1/windows, /v1/windows/stream, /v1/alerts, /v1/alerts/stream, /v1/rules, /v1/latency, /v1/venues and /v1/live";

/// Ready or not, and why not.
async fn ready(State(viewer): Shared) -> Response {
    let unready = viewer.unready();
    let status = if unready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &json!({ "ready": unready.is_empty(), "unready": unready }))
}

async fn measures(viewer: Arc<Viewer>, figures: Arc<Figures>, places: Arc<Places>) -> Response {
    read(move || match metrics::text(&viewer.view(), &figures, &places) {
        Ok(text) => body(metrics::CONTENT, text),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    })
    .await
}

async fn feeds(State(viewer): Shared) -> Response {
    picture(viewer, |view| {
        answer(StatusCode::OK, &json!({ "connections": view.connections, "venues": view.venues }))
    })
    .await
}

async fn venues() -> Response {
    let venues = VENUES.iter().map(|venue| {
        json!({
            "venue": venue.id(),
            "name": venue.name(),
            "channels": venue.channels(),
            "completeness": venue.completeness(),
            "live": venue.live().is_some(),
        })
    });
    answer(StatusCode::OK, &json!({ "venues": venues.collect::<Vec<Value>>() }))
}

/// What could be given to a reload.
async fn rules(State(viewer): Shared) -> Response {
    read(move || match in_force(viewer.store()) {
        Ok(Some((entry, text))) => body(TOML, format!("# in force from entry {entry} on\n{text}")),
        Ok(None) => body(TOML, "# there never were any\n".to_owned()),
        Err(error) => refused(&error),
    })
    .await
}

/// The columns of `query symbols`.
async fn symbols(State(viewer): Shared, RawQuery(query): RawQuery) -> Response {
    read(move || {
        let asked = match Asked::parse(query.as_deref(), &["symbol"]) {
            Ok(asked) => asked,
            Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
        };
        let filter = Filter { symbols: asked.symbols, ..Filter::default() };
        let store = viewer.store();
        let table = Catalogue::read(store).and_then(|known| tables::symbols(store, &known, &filter));
        match table {
            Ok((columns, rows)) => shown(&columns, rows.into_iter(), false),
            Err(error) => refused(&error),
        }
    })
    .await
}

/// The columns of `query windows`.
async fn windows(State(viewer): Shared, RawQuery(query): RawQuery) -> Response {
    read(move || {
        let known = ["window", "symbol", "from", "to", "limit", "revisions"];
        let asked = match Asked::parse(query.as_deref(), &known) {
            Ok(asked) => asked,
            Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
        };
        rows::windows(viewer.store(), asked)
    })
    .await
}

/// The columns of `query alerts`, and where to go on.
async fn alerts(State(viewer): Shared, RawQuery(query): RawQuery) -> Response {
    read(move || alerts::list(&viewer, query.as_deref())).await
}

/// The columns of `tapedeck latency`, of this process.
async fn latency(State(viewer): Shared) -> Response {
    read(move || {
        let (columns, rows) = percentiles::table(&viewer.pulse().committed().latencies);
        shown(&columns, rows.into_iter(), false)
    })
    .await
}

/// A part of the picture.
async fn picture(
    viewer: Arc<Viewer>,
    part: impl FnOnce(&crate::view::View) -> Response + Send + 'static,
) -> Response {
    read(move || part(&viewer.view())).await
}

/// Reads where waiting for a disk holds up no other request.
pub(super) async fn read(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let read = tokio::task::spawn_blocking(work).await;
    read.unwrap_or_else(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "reading ended by a panic"))
}

/// Rows under the names of their columns: the objects that NDJSON has, in a list.
pub(super) fn shown(
    columns: &[Column],
    rows: impl Iterator<Item = anyhow::Result<Vec<Cell>>>,
    more: bool,
) -> Response {
    shown_with(columns, rows, &format!("\"more\":{more}"))
}

/// The same, with other members of the object than `more`.
pub(super) fn shown_with(
    columns: &[Column],
    rows: impl Iterator<Item = anyhow::Result<Vec<Cell>>>,
    members: &str,
) -> Response {
    let mut lines = Vec::new();
    if let Err(error) = write(Format::Ndjson, columns, rows, &mut lines) {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}"));
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let lines = String::from_utf8_lossy(&lines);
    let list = lines.trim_end().replace('\n', ",\n");
    body(JSON, format!("{{\"columns\":{},{members},\"rows\":[\n{list}\n]}}\n", json!(names)))
}

/// Why a query was not answered.
pub(super) fn refused(error: &QueryError) -> Response {
    let status = match error {
        QueryError::Wrong(_) => StatusCode::NOT_FOUND,
        QueryError::Store(_) | QueryError::Damaged { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, &error.to_string())
}

/// Why not.
pub(super) fn problem(status: StatusCode, why: &str) -> Response {
    answer(status, &json!({ "error": why }))
}

pub(super) fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, body(JSON, text + "\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) fn body(content: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content))], text).into_response()
}
