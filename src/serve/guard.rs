//! Who is answered: requests that only read, addressed to this machine. And what every answer tells a browser.
//!
//! A page of some other site can make a browser ask us, by a name of its own that it lets point here. Its requests have
//! that name in `Host`, so only names are answered that nobody else can give: loopback's, the address that the
//! connection came to, and the one that was configured.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use hyper::header::{
    ALLOW, CACHE_CONTROL, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use hyper::{Method, StatusCode, Uri};

use super::routes::problem;

/// The guard of one connection.
pub(super) struct Guard {
    configured: Option<Arc<str>>,
    local: Option<IpAddr>,
}

impl Guard {
    /// For a connection that came to the address `local` of a server that was told to listen on the host `configured`.
    pub(super) fn new(configured: Option<Arc<str>>, local: Option<IpAddr>) -> Guard {
        Guard { configured, local }
    }

    /// The answer to a request that is not to be looked at any further.
    pub(super) fn refusal(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_ours = host.is_some_and(|host| self.knows(host)) && hosts.next().is_none();
        let is_asked_for = uri.authority().is_none_or(|authority| self.knows(authority.as_str()));
        if !is_ours || !is_asked_for {
            let why = "this Host is not answered; use localhost, or the address that --listen names";
            return Some(problem(StatusCode::FORBIDDEN, why));
        }
        if method != Method::GET && method != Method::HEAD {
            let why = "nothing can be changed here; use GET";
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, why).into_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(response);
        }
        None
    }

    /// True for `host`, with or without a port, if it is a name of ours.
    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
                name
            }
            _ => host,
        };
        let is_configured = self.configured.as_deref().is_some_and(|known| name.eq_ignore_ascii_case(known));
        if is_configured || name.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let Ok(address) = bare.parse::<IpAddr>() else { return false };
        address.to_canonical().is_loopback() || self.local.map(|local| local.to_canonical()) == Some(address)
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
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page brings its own.
    let policy = HeaderName::from_static("content-security-policy");
    headers.entry(policy).or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, method: &str, uri: &str, hosts: &[&str]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let refusal = guard.refusal(&method, &uri.parse().unwrap(), &headers);
        refusal.map(|response| response.status().as_u16())
    }

    #[test]
    fn names_that_others_can_give_are_refused() {
        let guard = Guard::new(Some(Arc::from("ticks.example")), "192.0.2.7".parse().ok());
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
        let guard = Guard::new(None, None);
        for (method, refused) in
            [("GET", None), ("HEAD", None), ("POST", Some(405)), ("DELETE", Some(405)), ("BREW", Some(405))]
        {
            assert_eq!(status(&guard, method, "/v1/status", &["localhost"]), refused, "{method}");
        }
    }
}
