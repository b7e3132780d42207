//! One question over HTTP and its answer.

use std::future::Future;
use std::time::Duration;

use feeds::time::Nanos;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;

use super::address::Address;
use super::dial::{Dial, Wire};

/// How long to stay away after a refusal that says "too often" and no time (429, 418, 403).
const TOO_OFTEN: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// How long the venue wants to be left alone.
    pub(crate) asked: Option<Duration>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal { why, asked: None }
    }
}

/// Opens a stream of bytes.
pub(super) async fn dial(dial: &dyn Dial, address: &Address) -> Result<Wire, Refusal> {
    let dialled = dial.dial(address).await;
    dialled.map_err(|error| format!("cannot reach {}: {error}", address.shown()).into())
}

/// Asks `address` by `method`, without a body. The answer's body has `limit` bytes at most. `wall` is now.
pub(super) async fn ask(
    wire: Wire,
    address: &Address,
    method: hyper::Method,
    limit: usize,
    wall: Nanos,
) -> Result<bytes::Bytes, Refusal> {
    let mut request = Request::builder()
        .uri(format!("{}{}", address.path, address.query))
        .header("host", address.host.as_str())
        .header("user-agent", "tapedeck");
    if method == hyper::Method::POST {
        request = request.header("content-length", "0");
    }
    let request =
        request.method(method).body(Empty::<bytes::Bytes>::new()).map_err(|error| error.to_string())?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.map_err(|error| error.to_string())?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
            return Err(refused(answer.status().as_u16(), header, wall));
        }
        let body = Limited::new(answer.into_body(), limit).collect().await;
        Ok(body.map_err(|error| Refusal::from(error.to_string()))?.to_bytes())
    };
    beside(asking, driver).await
}

/// What a status other than success says.
pub(crate) fn refused(status: u16, retry_after: Option<&str>, wall: Nanos) -> Refusal {
    let asked = retry_after.and_then(|text| waiting_time(text, wall));
    let asked = asked.or_else(|| [403, 418, 429].contains(&status).then_some(TOO_OFTEN));
    Refusal { why: format!("refused with status {status}"), asked }
}

/// Retry-After in seconds, or a date as in HTTP.
fn waiting_time(text: &str, wall: Nanos) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp_nanos_opt()?;
    Some(Duration::from_nanos(u64::try_from(date.saturating_sub(wall)).unwrap_or(0)))
}

/// Waits for `asking` while `driver` moves its bytes.
async fn beside<T>(asking: impl Future<Output = T>, driver: impl Future) -> T {
    let (mut asking, mut driver) = (std::pin::pin!(asking), std::pin::pin!(driver));
    tokio::select! {
        done = &mut asking => done,
        _ = &mut driver => asking.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wall = 1_445_412_480 * 1_000_000_000;
        assert_eq!(waiting_time(" 90 ", wall), Some(Duration::from_secs(90)));
        assert_eq!(waiting_time("Wed, 21 Oct 2015 07:29:00 GMT", wall), Some(Duration::from_secs(60)));
        assert_eq!(waiting_time("Wed, 21 Oct 2015 07:27:00 GMT", wall), Some(Duration::ZERO));
        assert_eq!(waiting_time("soon", wall), None);
        assert_eq!(refused(429, None, wall).asked, Some(TOO_OFTEN));
        assert_eq!(refused(503, None, wall).asked, None);
        assert_eq!(refused(503, Some("7"), wall).asked, Some(Duration::from_secs(7)));
    }
}
