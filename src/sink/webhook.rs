//! Alerts posted to an address, one request each, or one for a group.
//!
//! The body is a JSON object: the alert's row, or the group with such rows. Beside it go `Idempotency-Key`, the same whenever
//! that step of an episode, or that notification, is told again, and, with a secret, `X-Tapedeck-Timestamp` (seconds since 1970) and `X-Tapedeck-Signature`: `sha256=` and the
//! HMAC-SHA256 of timestamp, a full stop and body, in hexadecimal. Only an answer of success counts.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use feeds::time::{Nanos, SECOND};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Delivering, Means, Sink, SinkError, SinkKind, Told, hmac};
use crate::clock;
use crate::config::SinkSpec;
use crate::config::limits::{SECRET_BYTES, SINK_ANSWER_BYTES, SINK_POST_WITHIN};
use crate::feed::address::Address;
use crate::feed::ask::refused;
use crate::feed::dial::{Dial, TcpDial};

/// The kind.
pub(super) static WEBHOOK: Webhook = Webhook;

/// See the module.
pub(super) struct Webhook;

impl SinkKind for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn about(&self) -> &'static str {
        "a request for each alert, or group, signed if there is a secret"
    }

    fn keys(&self) -> &'static [(&'static str, bool)] {
        &[("url", true), ("secret_file", false)]
    }

    fn open(&self, spec: &SinkSpec, means: &Means) -> Result<Box<dyn Sink>, SinkError> {
        let address = Address::parse(spec.url.as_deref().unwrap_or_default()).map_err(SinkError::failed)?;
        let secret = spec.secret_file.as_deref().map(secret).transpose()?;
        let dial = TcpDial::trusting(&means.ca).map_err(SinkError::failed)?;
        Ok(Box::new(Poster { address, secret, dial, open: None }))
    }
}

/// The secret in a file, without blanks and line ends around it.
fn secret(path: &Path) -> Result<Vec<u8>, SinkError> {
    let wrong = |why: String| SinkError::File { path: path.to_owned(), why };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > SECRET_BYTES {
        return Err(wrong(format!("a secret has at most {SECRET_BYTES} bytes")));
    }
    let secret = bytes.trim_ascii().to_vec();
    if secret.is_empty() { Err(wrong("there is no secret in it".to_owned())) } else { Ok(secret) }
}

/// Posts to one address, on one connection for as long as that lasts.
struct Poster {
    address: Address,
    secret: Option<Vec<u8>>,
    dial: TcpDial,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Sink for Poster {
    fn at_once(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a mut self, told: &'a [Told]) -> Delivering<'a> {
        Box::pin(async move {
            let within = Duration::from_nanos(SINK_POST_WITHIN.unsigned_abs());
            for told in told {
                let posted = timeout(within, self.post(told)).await;
                posted.map_err(|_| SinkError::failed(self.named("there was no answer in time")))??;
            }
            Ok(())
        })
    }
}

impl Poster {
    async fn post(&mut self, told: &Told) -> Result<(), SinkError> {
        let request = self.request(told, clock::wall())?;
        // Taken out while it is used: whatever ends this early leaves none that is in between.
        let mut sender = match self.open.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let failed = |error: hyper::Error| SinkError::failed(self.named(&error.to_string()));
        sender.ready().await.map_err(failed)?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let after =
            answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Read to its end, so that the connection can be used again.
        let is_read = Limited::new(answer.into_body(), SINK_ANSWER_BYTES).collect().await.is_ok();
        if status.is_success() {
            self.open = is_read.then_some(sender);
            return Ok(());
        }
        let refusal = refused(status.as_u16(), after.as_deref(), clock::wall());
        Err(SinkError::Failed { why: self.named(&refusal.why), asked: refusal.asked })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SinkError> {
        let wire = self.dial.dial(&self.address).await;
        let wire = wire.map_err(|error| SinkError::failed(self.named(&error.to_string())))?;
        let opened = handshake(TokioIo::new(wire)).await;
        let (sender, driver) = opened.map_err(|error| SinkError::failed(self.named(&error.to_string())))?;
        // It ends with the connection, which ends when nobody can send on it.
        tokio::spawn(driver);
        Ok(sender)
    }

    fn request(&self, told: &Told, now: Nanos) -> Result<Request<Full<Bytes>>, SinkError> {
        let address = &self.address;
        let path = if address.path.is_empty() { "/" } else { &address.path };
        let default = if address.secure { 443 } else { 80 };
        let name =
            if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        let host = if address.port == default { name } else { format!("{name}:{}", address.port) };
        let mut request = Request::post(format!("{path}{}", address.query))
            .header("host", host)
            .header("user-agent", "tapedeck")
            .header("content-type", "application/json")
            .header("idempotency-key", &told.key);
        if let Some(secret) = &self.secret {
            let timestamp = (now / SECOND).to_string();
            let code = hmac::sha256(secret, &[timestamp.as_bytes(), b".", told.text.as_bytes()]);
            request = request
                .header("x-tapedeck-timestamp", timestamp)
                .header("x-tapedeck-signature", format!("sha256={}", hmac::hex(&code)));
        }
        request.body(Full::new(Bytes::from(told.text.clone()))).map_err(SinkError::failed)
    }

    /// `why`, with the address in front. Its path may be a secret, as its query may.
    fn named(&self, why: &str) -> String {
        format!("{}: {why}", self.address.host)
    }
}
