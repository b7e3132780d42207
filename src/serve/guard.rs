//! Who is answered: requests addressed to us, by whom we know, and not too many of them. And what every answer tells a
//! browser.
//!
//! A page of some other site can make a browser ask us, by a name of its own that it lets point here. Its requests have
//! that name in `Host`, so only names are answered that nobody else can give: loopback's, the address that the
//! connection came to, and those that were configured. What such a page asks by one of our own names has its `Origin`,
//! which must be ours or one of those that were configured.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL,
    TRANSFER_ENCODING, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, StatusCode, Uri};

use super::places::{Place, Why};
use super::routes::problem;
use super::tokens::{self, Shown};
use crate::clock;
use crate::config::limits::{HTTP_BODY_BYTES, HTTP_URI_BYTES};
use crate::config::{Access, Scope};

/// What is answered to anybody.
const OPEN: &str = "/healthz";

/// What changes something, by POST.
pub(super) const CONTROLS: [&str; 3] = ["/v1/rules/reload", "/v1/silences", "/v1/symbols"];

/// Of those, what also shows something, by GET.
const BOTH: &str = "/v1/symbols";

/// The guard of one connection.
pub(super) struct Guard {
    access: Arc<Access>,
    /// Names of ours that were configured.
    hosts: Arc<[String]>,
    local: Option<IpAddr>,
}

/// What an answer needs beyond what it says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// The site whose page may read the answer.
    origin: Option<HeaderValue>,
}

impl Guard {
    /// For a connection that came to the address `local`.
    pub(super) fn new(access: Arc<Access>, hosts: Arc<[String]>, local: Option<IpAddr>) -> Guard {
        Guard { access, hosts, local }
    }

    /// Lets a request from `place` pass, without what only the guard may see; or says why not.
    pub(super) fn admit<B>(&self, request: &mut Request<B>, place: &Place) -> Result<Pass, Box<Response>> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let of = |(status, why): (StatusCode, &str)| Box::new(problem(status, why));
        if !place.may_ask() {
            let mut response =
                of((StatusCode::TOO_MANY_REQUESTS, "too many requests; come again in a second"));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Err(response);
        }
        let foreign = |refusal: (StatusCode, &str)| {
            if refusal.0 == StatusCode::FORBIDDEN {
                place.refused(Why::Foreign);
            }
            of(refusal)
        };
        self.is_meant(uri, headers).map_err(foreign)?;
        let origin = self.origin(headers).map_err(foreign)?;
        if let Some(origin) = &origin
            && method == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Err(Box::new(preflight(origin)));
        }
        let token = self.token(uri.path(), headers, place)?;
        self.method(method, uri.path(), token).map_err(|refusal| match refusal {
            Refused::Method(allowed) => not_allowed(allowed),
            Refused::With(status, why) => of((status, why)),
        })?;
        body(method, uri.path(), headers).map_err(|why| {
            let mut response = of((StatusCode::PAYLOAD_TOO_LARGE, why));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        })?;
        request.headers_mut().remove(AUTHORIZATION);
        // Who upgrades agrees to the protocol, and has no need of the token in it.
        if tokens::is_protocol(request.headers()) {
            let protocol = HeaderValue::from_static(tokens::SUBPROTOCOL);
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        Ok(Pass { origin })
    }

    /// Refuses what is addressed to others, or in a way that shows a secret.
    fn is_meant(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_ours = host.is_some_and(|host| self.knows(host)) && hosts.next().is_none();
        let is_asked_for = uri.authority().is_none_or(|authority| self.knows(authority.as_str()));
        if !is_ours || !is_asked_for {
            let why = "this Host is not answered; use localhost, the address that --listen names, or one of `http.hosts`";
            return Err((StatusCode::FORBIDDEN, why));
        }
        if uri.path_and_query().is_some_and(|asked| asked.as_str().len() > HTTP_URI_BYTES) {
            return Err((StatusCode::URI_TOO_LONG, "the path and query are too long"));
        }
        if uri.query().is_some_and(tokens::is_in) {
            let why =
                "a token does not belong into an address, which is in logs; send Authorization: Bearer TOKEN";
            return Err((StatusCode::BAD_REQUEST, why));
        }
        Ok(())
    }

    /// The other site whose page asks, if it may.
    fn origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, (StatusCode, &'static str)> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(None) };
        if origins.next().is_some() {
            return Err((StatusCode::BAD_REQUEST, "there is more than one Origin"));
        }
        let foreign = (StatusCode::FORBIDDEN, "this Origin is not answered; name it in [http] origins");
        let text = origin.to_str().map_err(|_| foreign)?.to_ascii_lowercase();
        let scheme = if self.access.tls.is_some() { "https://" } else { "http://" };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if text.strip_prefix(scheme).is_some_and(|own| own.eq_ignore_ascii_case(host)) {
            return Ok(None);
        }
        if self.access.origins.contains(&text) { Ok(Some(origin.clone())) } else { Err(foreign) }
    }

    /// The place of the request's token, if tokens are asked for.
    fn token(&self, path: &str, headers: &HeaderMap, at: &Place) -> Result<Option<usize>, Box<Response>> {
        if self.access.tokens.is_empty() || path == OPEN {
            return Ok(None);
        }
        let refused = |challenge: &'static str, why: &str| {
            at.refused(Why::Unknown);
            let mut response = problem(StatusCode::UNAUTHORIZED, why);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            Err(Box::new(response))
        };
        let token = match tokens::shown(headers) {
            Shown::Token(token) => token,
            Shown::Nothing => {
                return refused("Bearer", "a token is needed; send Authorization: Bearer TOKEN");
            }
            Shown::Malformed => return refused("Bearer error=\"invalid_token\"", "this is no token"),
            Shown::Several => {
                return Err(Box::new(problem(StatusCode::BAD_REQUEST, "there is more than one token")));
            }
        };
        let Some(place) = tokens::find(&self.access.tokens, token, clock::wall()) else {
            return refused("Bearer error=\"invalid_token\"", "the token is not known, or has ended");
        };
        let until = self.access.tokens.get(place).and_then(|token| token.expires);
        if !at.carries(place, until) {
            let why = "there are too many connections with this token";
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, why);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Err(Box::new(response));
        }
        Ok(Some(place))
    }

    /// Refuses methods that a path does not have, and changes by those who may only look.
    fn method(&self, method: &Method, path: &str, token: Option<usize>) -> Result<(), Refused> {
        let is_looking = method == Method::GET || method == Method::HEAD;
        if !CONTROLS.contains(&path) || (path == BOTH && is_looking) {
            return if is_looking { Ok(()) } else { Err(Refused::Method("GET, HEAD")) };
        }
        let scope = |place: usize| self.access.tokens.get(place).map(|token| token.scope);
        if self.access.tokens.iter().all(|token| token.scope != Scope::Control) {
            let why = "nothing can be changed here: no token with the scope control is configured";
            return Err(Refused::With(StatusCode::NOT_FOUND, why));
        }
        if token.and_then(scope) != Some(Scope::Control) {
            return Err(Refused::With(StatusCode::FORBIDDEN, "this token is for looking only"));
        }
        match method {
            &Method::POST => Ok(()),
            _ if path == BOTH => Err(Refused::Method("GET, HEAD, POST")),
            _ => Err(Refused::Method("POST")),
        }
    }

    /// True for `host`, with or without a port, if it is a name of ours.
    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
                name
            }
            _ => host,
        };
        let is_configured = self.hosts.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_configured || name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let Ok(address) = bare.parse::<IpAddr>() else { return false };
        address.to_canonical().is_loopback() || self.local.map(|local| local.to_canonical()) == Some(address)
    }
}

/// Why a method is refused.
enum Refused {
    /// Others are allowed.
    Method(&'static str),
    With(StatusCode, &'static str),
}

fn not_allowed(allowed: &'static str) -> Box<Response> {
    let why = if allowed.ends_with("POST") {
        "this changes something; use POST"
    } else {
        "nothing is changed here; use GET"
    };
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, why).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    Box::new(response)
}

/// Refuses bodies where none is taken, and long ones where one is.
fn body(method: &Method, path: &str, headers: &HeaderMap) -> Result<(), &'static str> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let takes_one = method == Method::POST && CONTROLS.contains(&path);
    if takes_one {
        let is_long = length.is_some_and(|length| length > HTTP_BODY_BYTES as u64);
        return if is_long { Err("the body is too long") } else { Ok(()) };
    }
    let has_one = length.is_some_and(|length| length > 0) || headers.contains_key(TRANSFER_ENCODING);
    if has_one { Err("no request here has a body") } else { Ok(()) }
}

/// The answer to a browser that asks whether a page of `origin` may ask.
fn preflight(origin: &HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, last-event-id"));
    Pass { origin: Some(origin.clone()) }.mark(response)
}

impl Pass {
    /// `response` with what this request needs beyond it.
    pub(super) fn mark(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(VARY, HeaderValue::from_static("Origin"));
            let policy = HeaderName::from_static("cross-origin-resource-policy");
            headers.insert(policy, HeaderValue::from_static("cross-origin"));
        }
        response
    }
}

/// `response` with the headers that every answer has.
pub(super) fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // The page brings its own.
    let policy = HeaderName::from_static("content-security-policy");
    headers.entry(policy).or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccessBounds;
    use crate::serve::places::Places;

    fn guard(host: Option<&str>, local: Option<&str>) -> Guard {
        let hosts: Vec<String> = host.map(str::to_owned).into_iter().collect();
        let local = local.map(|local| local.parse().unwrap());
        Guard::new(Arc::default(), hosts.into(), local)
    }

    fn status(guard: &Guard, method: &str, uri: &str, hosts: &[&str]) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let places = Arc::new(Places::new(AccessBounds::default(), 0));
        let place = places.enter("127.0.0.1".parse().unwrap()).ok().unwrap();
        let admitted = guard.admit(&mut request.body(()).unwrap(), &place);
        admitted.err().map(|response| response.status().as_u16())
    }

    #[test]
    fn names_that_others_can_give_are_refused() {
        let guard = guard(Some("ticks.example"), Some("192.0.2.7"));
        for host in [
            "localhost",
            "LOCALHOST:7311",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]",
            "[::1]:7311",
            "[::ffff:127.0.0.1]:1",
            "192.0.2.7:7311",
            "Ticks.Example:7311",
        ] {
            assert_eq!(status(&guard, "GET", "/", &[host]), None, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "ticks.example.evil",
            "::1:7311:x",
            "localhost:x",
            "[::2]",
        ] {
            assert_eq!(status(&guard, "GET", "/", &[host]), Some(403), "{host}");
        }
        assert_eq!(status(&guard, "GET", "/", &[]), Some(403));
        assert_eq!(status(&guard, "GET", "/", &["localhost", "localhost"]), Some(403));
        assert_eq!(status(&guard, "GET", "http://evil.example/", &["localhost"]), Some(403));
        assert_eq!(status(&guard, "GET", "http://localhost/", &["localhost"]), None);
    }

    #[test]
    fn only_reading_is_allowed() {
        let guard = guard(None, None);
        for (method, refused) in
            [("GET", None), ("HEAD", None), ("POST", Some(405)), ("DELETE", Some(405)), ("BREW", Some(405))]
        {
            assert_eq!(status(&guard, method, "/v1/status", &["localhost"]), refused, "{method}");
        }
    }
}
