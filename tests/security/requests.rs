//! One request each, on a server with tokens, on one with tokens for looking only, and on one without.

use tapedeck::config::{Access, Scope};

use crate::stage::{
    Answer, CONTROL, ENDED, Healthy, ORIGIN, READ, Stage, bearer, guarded, request, send, token,
};

/// Whom it is sent to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    /// A server with tokens for looking and for control, one that has ended, and an origin.
    Guarded,
    /// One with a token for looking only.
    Looking,
    /// One without tokens.
    Open,
}

/// What is sent and what comes back.
struct Case {
    what: &'static str,
    to: To,
    bytes: Vec<u8>,
    status: u16,
}

fn case(what: &'static str, to: To, line: &str, lines: &[&str], status: u16) -> Case {
    Case { what, to, bytes: request(line, lines), status }
}

const STATUS: &str = "GET /v1/status";

/// What is no token, or comes where none belongs.
fn tokens() -> Vec<Case> {
    use To::Guarded;
    let (read, ended) = (bearer(READ), bearer(ENDED));
    let (read, ended) = (read.as_str(), ended.as_str());
    let long = bearer(&"x".repeat(600));
    let (in_protocol, wrong_in_protocol) =
        (format!("Sec-WebSocket-Protocol: bearer, {READ}"), "Sec-WebSocket-Protocol: bearer, guessed");
    let queries = [
        format!("GET /v1/status?token={READ}"),
        format!("GET /v1/status?a=b&access_token={READ}"),
        format!("GET /v1/status?%74oken={READ}"),
    ];
    vec![
        case("no token", Guarded, STATUS, &[], 401),
        case("a wrong token", Guarded, STATUS, &["Authorization: Bearer guessed"], 401),
        case("the beginning of a token", Guarded, STATUS, &[&bearer(&READ[..READ.len() - 1])], 401),
        case("more than a token", Guarded, STATUS, &[&format!("{read}x")], 401),
        case("a token that has ended", Guarded, STATUS, &[ended], 401),
        case("another scheme", Guarded, STATUS, &["Authorization: Basic dTpw"], 401),
        case("a scheme without a token", Guarded, STATUS, &["Authorization: Bearer"], 401),
        case("letters that no token has", Guarded, STATUS, &["Authorization: Bearer a\"b"], 401),
        case("bytes that are no text", Guarded, STATUS, &["Authorization: Bearer \u{fe}\u{ff}"], 401),
        case("a token that is too long", Guarded, STATUS, &[&long], 401),
        case("a token twice", Guarded, STATUS, &[read, read], 400),
        case("a right and a wrong token", Guarded, STATUS, &[read, "Authorization: Bearer guessed"], 400),
        case("tokens in both headers", Guarded, STATUS, &[read, &in_protocol], 400),
        case("a wrong token as a subprotocol", Guarded, STATUS, &[wrong_in_protocol], 401),
        case("a token as a cookie", Guarded, STATUS, &[&format!("Cookie: token={READ}")], 401),
        case("a token in the query", Guarded, &queries[0], &[], 400),
        case("the same beside a right one", Guarded, &queries[0], &[read], 400),
        case("a token under another name", Guarded, &queries[1], &[], 400),
        case("a token behind an escaped name", Guarded, &queries[2], &[], 400),
    ]
}

/// What each token allows.
fn scopes() -> Vec<Case> {
    use To::Guarded;
    let (read, control) = (bearer(READ), bearer(CONTROL));
    let (read, control) = (read.as_str(), control.as_str());
    vec![
        case("the right token", Guarded, STATUS, &[read], 200),
        case("a small letter in the scheme", Guarded, STATUS, &[&read.replace("Bearer", "bearer")], 200),
        case("more than is needed", Guarded, STATUS, &[control], 200),
        case("health needs none", Guarded, "GET /healthz", &[], 200),
        case("readiness needs one", Guarded, "GET /readyz", &[], 401),
        case("metrics need one", Guarded, "GET /metrics", &[], 401),
        case("the page needs one", Guarded, "GET /", &[], 401),
        case("alerts need one", Guarded, "GET /v1/alerts", &[], 401),
        case("their stream needs one", Guarded, "GET /v1/alerts/stream", &["Accept: text/event-stream"], 401),
        case(
            "that of windows needs one",
            Guarded,
            "GET /v1/windows/stream",
            &["Accept: text/event-stream"],
            401,
        ),
        case("nothing is told of paths without one", Guarded, "GET /nothing", &[], 401),
        case("nor with one of what is not", Guarded, "GET /nothing", &[read], 404),
        case("a token where none is asked for", To::Open, STATUS, &["Authorization: Bearer any"], 200),
        case("a token in the query there, too", To::Open, "GET /v1/status?token=x", &[], 400),
    ]
}

/// What changes something, of whom.
fn controls() -> Vec<Case> {
    use To::{Guarded, Looking};
    let (read, control) = (bearer(READ), bearer(CONTROL));
    let (read, control) = (read.as_str(), control.as_str());
    vec![
        case("control without a token", Guarded, "POST /v1/rules/reload", &["Content-Length: 0"], 401),
        case(
            "control by one who may look",
            Guarded,
            "POST /v1/rules/reload",
            &[read, "Content-Length: 0"],
            403,
        ),
        case("control by GET", Guarded, "GET /v1/rules/reload", &[control], 405),
        case(
            "control of what takes none",
            Guarded,
            "POST /v1/rules/reload",
            &[control, "Content-Length: 0"],
            501,
        ),
        case(
            "control that is not there yet",
            Guarded,
            "POST /v1/silences",
            &[control, "Content-Length: 0"],
            501,
        ),
        case("symbols changed without a token", Guarded, "POST /v1/symbols", &["Content-Length: 0"], 401),
        case("symbols changed by who looks", Guarded, "POST /v1/symbols", &[read, "Content-Length: 0"], 403),
        case("symbols changed", Guarded, "POST /v1/symbols", &[control, "Content-Length: 0"], 501),
        case("symbols put", Guarded, "PUT /v1/symbols", &[control], 405),
        case(
            "symbols changed where no token may",
            Looking,
            "POST /v1/symbols",
            &[read, "Content-Length: 0"],
            404,
        ),
        case("symbols changed where all may look", To::Open, "POST /v1/symbols", &["Content-Length: 0"], 404),
        case(
            "control where no token has it",
            Looking,
            "POST /v1/rules/reload",
            &[read, "Content-Length: 0"],
            404,
        ),
        case(
            "control where there are no tokens",
            To::Open,
            "POST /v1/rules/reload",
            &["Content-Length: 0"],
            404,
        ),
    ]
}

fn origins_and_hosts() -> Vec<Case> {
    use To::{Guarded, Open};
    let read = bearer(READ);
    let read = read.as_str();
    let allowed = format!("Origin: {ORIGIN}");
    let asks = "Access-Control-Request-Method: GET";
    vec![
        case("another site", Guarded, STATUS, &[read, "Origin: https://evil.example"], 403),
        case("another site, without tokens", Open, STATUS, &["Origin: https://evil.example"], 403),
        case("a page without a site", Open, STATUS, &["Origin: null"], 403),
        case("an allowed one's name goes on", Guarded, STATUS, &[read, &format!("{allowed}.evil")], 403),
        case(
            "an allowed one by another scheme",
            Guarded,
            STATUS,
            &[read, "Origin: http://desk.example"],
            403,
        ),
        case("our name by another scheme", Open, STATUS, &["Origin: https://localhost"], 403),
        case("our name at another port", Open, STATUS, &["Origin: http://localhost:1"], 403),
        case("two origins", Guarded, STATUS, &[read, &allowed, "Origin: null"], 400),
        case("our own page", Open, STATUS, &["Origin: http://localhost"], 200),
        case("an allowed site", Guarded, STATUS, &[read, &allowed], 200),
        case("an allowed site without a token", Guarded, STATUS, &[&allowed], 401),
        case("a browser that asks first", Guarded, "OPTIONS /v1/status", &[&allowed, asks], 204),
        case(
            "the same for another site",
            Guarded,
            "OPTIONS /v1/status",
            &["Origin: https://evil.example", asks],
            403,
        ),
        case("another name that points here", Open, STATUS, &["Host: evil.example"], 403),
        case("two names", Open, STATUS, &["Host: localhost", "Host: localhost"], 403),
        case("another name in the request's line", Open, "GET http://evil.example/v1/status", &[], 403),
    ]
}

fn sizes_and_shapes() -> Vec<Case> {
    use To::{Guarded, Open};
    let control = bearer(CONTROL);
    let control = control.as_str();
    let reload = "POST /v1/rules/reload";
    let many: Vec<String> = (0..100).map(|at| format!("X-{at}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let head = |lines: &[&str], rest: &[u8]| [request(reload, lines), rest.to_vec()].concat();
    let chunk = format!("{:x}\r\n{}\r\n", 2 << 20, "x".repeat(2 << 20));
    vec![
        case("a header that is too long", Open, STATUS, &[&format!("X: {}", "x".repeat(64 << 10))], 431),
        case("too many headers", Open, STATUS, &many, 431),
        case("a path that is too long", Open, &format!("GET /{}", "x".repeat(9_000)), &[], 414),
        case("a query that is too long", Open, &format!("GET /v1/status?{}", "x".repeat(9_000)), &[], 414),
        case("a method that there is not", Open, "BREW /v1/status", &[], 405),
        case("a change where there is none", Open, "POST /v1/status", &["Content-Length: 0"], 405),
        case("a body where none is taken", Open, STATUS, &["Content-Length: 1"], 413),
        case("the same in pieces", Open, STATUS, &["Transfer-Encoding: chunked"], 413),
        case("two lengths", Open, STATUS, &["Content-Length: 0", "Content-Length: 1"], 400),
        case("a length that is none", Open, STATUS, &["Content-Length: -1"], 400),
        case(
            "a body that says that it is too long",
            Guarded,
            reload,
            &[control, "Content-Length: 2000000"],
            413,
        ),
        Case {
            what: "a body that becomes too long",
            to: Guarded,
            bytes: head(&[control, "Transfer-Encoding: chunked"], chunk.as_bytes()),
            status: 413,
        },
        Case {
            what: "a body that is no text",
            to: Guarded,
            bytes: head(&[control, "Content-Length: 2"], &[0xff, 0xfe]),
            status: 400,
        },
        Case {
            what: "no Host",
            to: Open,
            bytes: b"GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
            status: 403,
        },
        Case {
            what: "rubbish",
            to: Open,
            bytes: b"\x16\x03\x01\x02\x00 rubbish\r\n\r\n".to_vec(),
            status: 400,
        },
        Case {
            what: "a line folded into two",
            to: Open,
            bytes: b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n".to_vec(),
            status: 400,
        },
        Case {
            what: "a name with a blank before its colon",
            to: Open,
            bytes: b"GET /v1/status HTTP/1.1\r\nHost : localhost\r\n\r\n".to_vec(),
            status: 400,
        },
    ]
}

/// What an answer says, beside its status, to those it is refused or granted to.
fn check(case: &Case, answer: &Answer) {
    let Case { what, .. } = case;
    assert_eq!(answer.status, case.status, "{what}: {answer:?}");
    assert_eq!(answer.head.contains("www-authenticate: bearer"), case.status == 401, "{what}: {answer:?}");
    assert_eq!(
        answer.body.contains("\"ledger\""),
        case.status == 200 && !what.starts_with("health"),
        "{what}"
    );
    for secret in [READ, CONTROL, ENDED] {
        assert!(!answer.head.contains(secret) && !answer.body.contains(secret), "{what} shows a token");
    }
    let may_read = format!("access-control-allow-origin: {ORIGIN}");
    let is_allowed = ["an allowed site", "a browser that asks first"].contains(what);
    assert_eq!(answer.head.contains(&may_read), is_allowed, "{what}: {answer:?}");
}

#[test]
fn every_request_has_its_exact_answer_while_others_are_served() {
    let looking = Access { tokens: vec![token(READ, Scope::Read, None)], ..Access::default() };
    let stages = [
        (To::Guarded, Stage::new(&guarded()), Some(READ)),
        (To::Looking, Stage::new(&looking), Some(READ)),
        (To::Open, Stage::new(&Access::default()), None),
    ];
    let cases: Vec<Case> = [tokens(), scopes(), controls(), origins_and_hosts(), sizes_and_shapes()]
        .into_iter()
        .flatten()
        .collect();
    assert!(cases.len() >= 70, "{}", cases.len());
    for (to, stage, token) in &stages {
        let healthy = Healthy::start(stage.address, *token);
        for case in cases.iter().filter(|case| case.to == *to) {
            check(case, &send(stage.address, &case.bytes));
        }
        assert!(healthy.end() > 0);
    }
}
