//! One connection to a server: the request, the answers that are no stream, and messages as they come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

use super::Follow;
use super::place::Elsewhere;
use crate::alert::Cursor;
use crate::config::limits::STREAM_MESSAGE_BYTES;
use crate::feed::address::Address;
use crate::feed::dial::{Dial, NotTrusted, TcpDial, Wire};

/// The list, and the stream behind it.
const LIST: &str = "/v1/alerts";
const STREAM: &str = "/v1/alerts/stream";
/// How long opening a connection and an answer may take.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Heartbeats come every 15 s: after three without a word nobody is taken to be there.
const SILENT_FOR: Duration = Duration::from_secs(45);
/// Largest answer that says why there is no stream.
const ANSWER_BYTES: usize = 64 << 10;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;

/// Why there is no connection, or none any more.
#[derive(Debug)]
pub(super) enum Why {
    /// The log is not where the client thought.
    Elsewhere(Elsewhere),
    /// The server answered with something else than a stream.
    Refused(Refused),
    /// It cannot be opened, and coming again does not help.
    Hopeless(String),
    /// It could not be opened, or ended.
    Ended(String),
}

/// An answer that is no stream.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) why: String,
    /// How long the server wants to be left alone.
    pub(super) asked: Option<Duration>,
}

impl Refused {
    /// True if coming again does not help.
    pub(super) fn is_lasting(&self) -> bool {
        [400, 401, 403, 404, 405, 426].contains(&self.status)
    }
}

/// What all connections have in common.
pub(super) struct Session {
    base: Address,
    filters: String,
    token: Option<String>,
    dial: Arc<TcpDial>,
}

/// A connection that is open.
pub(super) struct Open {
    socket: WebSocketStream<Wire>,
}

impl Session {
    pub(super) fn new(options: &Follow, dial: Arc<TcpDial>) -> Session {
        let mut base = options.address.clone();
        let path = base.path.trim_end_matches('/');
        let known = [STREAM, LIST].into_iter().find_map(|known| path.strip_suffix(known));
        base.path = known.unwrap_or(path).to_owned();
        base.query = String::new();
        let filter = &options.filter;
        let mut filters = String::new();
        let mut add = |name: &str, value: &str| filters.push_str(&format!("&{name}={}", encoded(value)));
        filter.symbols.iter().for_each(|symbol| add("symbol", symbol));
        filter.rules.iter().for_each(|rule| add("rule", rule));
        filter.severity.iter().for_each(|severity| add("severity", severity.name()));
        filter.state.iter().for_each(|state| add("state", state.name()));
        Session { base, filters, token: options.token.clone(), dial }
    }

    /// The address, for people.
    pub(super) fn shown(&self) -> String {
        self.address(STREAM, None).shown()
    }

    fn address(&self, path: &str, cursor: Option<Cursor>) -> Address {
        let after = cursor.map_or_else(|| "0".to_owned(), |cursor| cursor.to_string());
        let path = format!("{}{path}", self.base.path);
        Address { path, query: format!("?after={after}{}", self.filters), ..self.base.clone() }
    }

    /// Opens the stream behind `cursor`.
    pub(super) async fn open(&self, cursor: Option<Cursor>) -> Result<Open, Why> {
        let opening = timeout(OPEN_WITHIN, self.opened(cursor)).await;
        opening.unwrap_or_else(|_| Err(Why::Ended(format!("not open within {} s", OPEN_WITHIN.as_secs()))))
    }

    async fn opened(&self, cursor: Option<Cursor>) -> Result<Open, Why> {
        let address = self.address(STREAM, cursor);
        let mut request = address.request().into_client_request().map_err(|error| ended(&error))?;
        if let Some(bearer) = self.bearer()? {
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(2 * STREAM_MESSAGE_BYTES))
            .max_frame_size(Some(2 * STREAM_MESSAGE_BYTES));
        let wire = self.dialled(&address).await?;
        match tokio_tungstenite::client_async_with_config(request, wire, Some(config)).await {
            Ok((socket, _)) => Ok(Open { socket }),
            Err(Error::Http(answer)) => {
                let status = answer.status().as_u16();
                let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let asked = asked.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
                // What came with the answer's head need not be all of it: it is asked for again.
                let said = self.explained(cursor).await.unwrap_or_default();
                Err(refused(status, asked, &said))
            }
            Err(error) => Err(ended(&error)),
        }
    }

    async fn dialled(&self, address: &Address) -> Result<Wire, Why> {
        let wire = self.dial.dial(address).await;
        wire.map_err(|error| {
            if error.get_ref().is_some_and(|cause| cause.is::<NotTrusted>()) {
                return Why::Hopeless(error.to_string());
            }
            Why::Ended(format!("cannot reach {}: {error}", address.shown()))
        })
    }

    fn bearer(&self) -> Result<Option<HeaderValue>, Why> {
        let Some(token) = &self.token else { return Ok(None) };
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| Why::Hopeless("the token cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Asks for the list instead, which is refused in the same words.
    async fn explained(&self, cursor: Option<Cursor>) -> Option<Value> {
        let mut address = self.address(LIST, cursor);
        address.query.push_str("&limit=1");
        let wire = self.dialled(&address).await.ok()?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.ok()?;
        let mut request = Request::get(format!("{}{}", address.path, address.query));
        let host = HeaderValue::from_str(&authority(&address)).ok()?;
        request = request.header(HOST, host);
        if let Some(bearer) = self.bearer().ok()? {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(Empty::<hyper::body::Bytes>::new()).ok()?;
        let asking = async {
            let answer = sender.send_request(request).await.ok()?;
            let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.ok()?;
            serde_json::from_slice(&body.to_bytes()).ok()
        };
        let (mut asking, mut driver) = (std::pin::pin!(asking), std::pin::pin!(driver));
        tokio::select! {
            answer = &mut asking => answer,
            _ = &mut driver => asking.await,
        }
    }
}

/// Host and port, as `Host` has them.
fn authority(address: &Address) -> String {
    let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
    format!("{host}:{}", address.port)
}

impl Open {
    /// What has come already; nothing if that is all.
    pub(super) fn ready(&mut self) -> Option<Result<Value, Why>> {
        loop {
            let next = self.socket.next().now_or_never()?;
            if let Some(said) = said(next) {
                return Some(said);
            }
        }
    }

    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Result<Value, Why> {
        loop {
            match timeout(SILENT_FOR, self.socket.next()).await {
                Err(_) => return Err(Why::Ended(format!("nothing was said for {} s", SILENT_FOR.as_secs()))),
                Ok(next) => {
                    if let Some(said) = said(next) {
                        return said;
                    }
                }
            }
        }
    }
}

/// What a message says; nothing if it is only a sign of life.
fn said(next: Option<Result<Message, Error>>) -> Option<Result<Value, Why>> {
    match next {
        Some(Ok(Message::Text(text))) => {
            let value = serde_json::from_str(&text);
            Some(value.map_err(|error| Why::Ended(format!("a message cannot be read: {error}"))))
        }
        Some(Ok(Message::Close(Some(frame)))) => {
            let code = u16::from(frame.code);
            let reason: String = frame.reason.chars().filter(|c| !c.is_control()).collect();
            Some(Err(match (code, reason.parse()) {
                (4010, Ok(oldest)) => Why::Elsewhere(Elsewhere::Gone { oldest }),
                (4008, _) => Why::Ended("cut off for not reading in time".to_owned()),
                (1001, _) => Why::Ended("the server stops".to_owned()),
                _ => Why::Ended(format!("the server ended it with code {code} {reason}")),
            }))
        }
        Some(Ok(Message::Close(None))) | None => Some(Err(Why::Ended("the connection ended".to_owned()))),
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(Err(ended(&error))),
    }
}

fn ended(error: &Error) -> Why {
    Why::Ended(format!("the connection failed: {error}"))
}

/// What an answer says that is no stream.
fn refused(status: u16, asked: Option<Duration>, body: &Value) -> Why {
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let cursor = |name: &str| body.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
    let elsewhere = match status {
        409 => number("generation")
            .zip(number("differs_from"))
            .map(|(generation, differs_from)| Elsewhere::Generation { generation, differs_from }),
        410 => cursor("oldest").map(|oldest| Elsewhere::Gone { oldest }),
        416 => cursor("head").map(|head| Elsewhere::Beyond { head }),
        _ => None,
    };
    match elsewhere {
        Some(elsewhere) => Why::Elsewhere(elsewhere),
        None => {
            let why = body.get("error").and_then(Value::as_str).unwrap_or("it does not say why");
            let why = why.chars().filter(|c| !c.is_control()).collect();
            Why::Refused(Refused { status, why, asked })
        }
    }
}

/// A value in a query, with everything but letters, digits and `-._` as percent signs.
fn encoded(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Severity;
    use crate::follow::Form;
    use crate::query::alerts::AlertFilter;

    fn session(url: &str) -> Session {
        let filter = AlertFilter {
            symbols: vec!["here:*".to_owned(), "A/B&C".to_owned()],
            severity: Some(Severity::Warning),
            ..AlertFilter::default()
        };
        let options = Follow {
            address: Address::parse(url).unwrap(),
            ca: Vec::new(),
            token: None,
            filter,
            after: None,
            state_file: None,
            form: Form::Csv,
        };
        Session::new(&options, Arc::new(TcpDial::new().unwrap()))
    }

    #[test]
    fn a_server_may_be_named_by_its_root_or_its_stream() {
        let cursor = Some(Cursor { generation: 2, number: 7 });
        for (url, path) in [
            ("http://there:7311", "/v1/alerts/stream"),
            ("ws://there:7311/", "/v1/alerts/stream"),
            ("http://there:7311/v1/alerts/stream?after=1-1", "/v1/alerts/stream"),
            ("http://there:7311/v1/alerts", "/v1/alerts/stream"),
            ("http://there:7311/deck/", "/deck/v1/alerts/stream"),
        ] {
            let address = session(url).address(STREAM, cursor);
            assert_eq!(address.path, path, "{url}");
            assert_eq!(address.query, "?after=2-7&symbol=here%3A%2A&symbol=A%2FB%26C&severity=warning");
        }
        assert_eq!(session("https://there").shown(), "wss://there/v1/alerts/stream");
        assert_eq!(session("ws://there").address(LIST, None).query.split('&').next(), Some("?after=0"));
    }

    #[test]
    fn refusals_say_where_the_log_is_or_whether_to_come_again() {
        let why = |status, body: Value| refused(status, None, &body);
        assert!(matches!(
            why(409, serde_json::json!({ "generation": 3, "differs_from": 9 })),
            Why::Elsewhere(Elsewhere::Generation { generation: 3, differs_from: 9 })
        ));
        assert!(matches!(
            why(410, serde_json::json!({ "oldest": "1-5" })),
            Why::Elsewhere(Elsewhere::Gone { .. })
        ));
        assert!(matches!(
            why(416, serde_json::json!({ "head": "1-5" })),
            Why::Elsewhere(Elsewhere::Beyond { .. })
        ));
        for (status, is_lasting) in [(401, true), (404, true), (410, false), (429, false), (503, false)] {
            let Why::Refused(refused) = why(status, Value::Null) else { panic!("{status}") };
            assert_eq!(refused.is_lasting(), is_lasting, "{status}");
        }
    }
}
