//! What changes something: other rules, silences, symbols. The guard has let nobody pass who may not.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::routes::{answer, problem};
use crate::config::limits::{CONTROL_WITHIN, HTTP_BODY_BYTES, HTTP_BODY_WITHIN};
use crate::live::control::Command;
use crate::view::Viewer;

/// `POST /v1/rules/reload`: the configuration whose rules hold from now on.
pub(super) async fn reload(State(viewer): State<Arc<Viewer>>, body: Body) -> Response {
    command(&viewer, body, |text, answer| Command::Reload { text, answer }).await
}

/// `POST /v1/silences`: silences beside those that are there.
pub(super) async fn silence(State(viewer): State<Arc<Viewer>>, body: Body) -> Response {
    command(&viewer, body, |text, answer| Command::Silence { text, answer }).await
}

/// `POST /v1/symbols`: symbols that are wanted from now on, and some that are not any more.
pub(super) async fn symbols(State(viewer): State<Arc<Viewer>>, body: Body) -> Response {
    asked(
        &viewer,
        body,
        |text, answer| Command::Symbols { text, answer },
        |wanted| json!({ "wanted": wanted }),
    )
    .await
}

/// Has the run do what `asks` makes of the body, and says from which entry on it holds.
async fn command(
    viewer: &Viewer,
    body: Body,
    asks: fn(String, oneshot::Sender<Result<u64, String>>) -> Command,
) -> Response {
    asked(viewer, body, asks, |entry| json!({ "entry": entry })).await
}

/// Has the run do what `asks` makes of the body, and answers what `says` makes of what comes of it.
async fn asked<T>(
    viewer: &Viewer,
    body: Body,
    asks: fn(String, oneshot::Sender<Result<T, String>>) -> Command,
    says: fn(T) -> Value,
) -> Response {
    let text = match text(body).await {
        Ok(text) => text,
        Err((status, why)) => return problem(status, why),
    };
    let Some(control) = viewer.control() else {
        return problem(StatusCode::NOT_IMPLEMENTED, "this run takes no other rules or symbols");
    };
    let (told, heard) = oneshot::channel();
    match control.try_send(asks(text, told)) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "too many changes wait already");
        }
        Err(TrySendError::Closed(_)) => return problem(StatusCode::SERVICE_UNAVAILABLE, ENDED),
    }
    match timeout(Duration::from_nanos(CONTROL_WITHIN.unsigned_abs()), heard).await {
        Ok(Ok(Ok(done))) => answer(StatusCode::OK, &says(done)),
        Ok(Ok(Err(why))) => problem(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Ok(Err(_)) => problem(StatusCode::SERVICE_UNAVAILABLE, ENDED),
        Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "the run has not said yet whether it took them"),
    }
}

const ENDED: &str = "the run has ended";

/// The whole body, if it is text and comes in time.
async fn text(body: Body) -> Result<String, (StatusCode, &'static str)> {
    let within = Duration::from_nanos(HTTP_BODY_WITHIN.unsigned_abs());
    let read = timeout(within, Limited::new(body, HTTP_BODY_BYTES).collect()).await;
    let bytes = read
        .map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?
        .map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or broke off"))?;
    String::from_utf8(bytes.to_bytes().into()).map_err(|_| (StatusCode::BAD_REQUEST, "the body is no text"))
}
