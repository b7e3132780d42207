//! A live run over HTTP, as clients see it over real sockets on loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use feeds::live::Channel;
use feeds::time::SECOND;
use feeds::venues::{VENUES, by_id};
use serde_json::Value;
use tapedeck::commit::Summary;
use tapedeck::config::{Catalogue, Config, Listen};
use tapedeck::feed::{ConnectionStatus, FeedSpec};
use tapedeck::live::service::{self, Service};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::market::{Market, MarketSpec};
use tapedeck::replay::stop::Stop;
use tapedeck::serve::{Server, bind};
use tapedeck::simulator::faults::Script;
use tapedeck::simulator::{Simulator, SimulatorSpec};
use tapedeck::store::Store;
use tapedeck::store::memory::MemoryStore;
use tapedeck::symbol::ledger::Ledger;
use tapedeck::tape::Cut;
use tapedeck::view::{Facts, Viewer};

/// No answer may take longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Events of the market in a test.
const EVENTS: u64 = 3_000;

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(self.headers["content-type"].starts_with("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends `request` as it is and reads to the end of the connection.
fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.unwrap_or_else(|| panic!("no status: {text:?}")),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

fn ask(address: SocketAddr, method: &str, path: &str, host: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    raw(address, request.as_bytes())
}

fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "localhost")
}

/// A run that has not begun: what serves it, and what drives it.
struct Prepared {
    deck: Deck,
    store: Arc<dyn Store>,
    viewer: Arc<Viewer>,
    server: Server,
}

fn prepare() -> Prepared {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut config = Config::standard(&Catalogue::built_in());
    config.engine.checkpoint_every = SECOND / 2;
    let facts = Facts { db: None, recording: None, checkpoint_every: config.engine.checkpoint_every };
    let options = LiveOptions { config, workers: 2, cut: Cut::Adaptive, sabotage: None };
    let deck = Deck::start(&store, &options, None).unwrap();
    let viewer = Arc::new(Viewer::new(deck.pulse(), Arc::clone(&store), facts));
    let bound = bind(&Listen::At("127.0.0.1:0".to_owned())).unwrap().unwrap();
    let server = bound.serve(Arc::clone(&viewer)).unwrap();
    Prepared { deck, store, viewer, server }
}

/// An exchange that ends after some events.
fn exchange() -> (Simulator, FeedSpec) {
    let market = MarketSpec { symbols: 3, ticks_per_second: 1_500, ..MarketSpec::default() };
    let simulator = Simulator::start(SimulatorSpec {
        address: "127.0.0.1:0".parse().unwrap(),
        venues: vec!["binance".to_owned()],
        market,
        faults: Script::parse("duplicate@500*9,garbage@900,gap@1500*40").unwrap(),
        opens_with: 6,
        events: Some(EVENTS),
    })
    .unwrap();
    let feed = FeedSpec {
        venue: by_id("binance").unwrap(),
        symbols: Market::new(market).instruments().iter().map(|i| i.native.clone()).collect(),
        channels: Channel::ALL.to_vec(),
        url: Some(format!("ws://{}/binance", simulator.address())),
        silence: Duration::from_secs(60),
    };
    (simulator, feed)
}

/// Runs `deck` on `feed` until `observe` is done, which hears once a second how many frames there are.
fn run(deck: Deck, feed: FeedSpec, observe: impl FnOnce(Receiver<u64>) + Send + 'static) -> Summary {
    let stop = Stop::default();
    let asking = stop.clone();
    let (tell, seconds) = bounded(64);
    let watch = Box::new(move |connections: &[ConnectionStatus]| {
        let frames = connections.iter().map(|connection| connection.frames).sum();
        // An observer that panicked has ended the run's time.
        let _ = tell.try_send(frames);
    });
    let observing = std::thread::spawn(move || {
        let _asking = AskAtEnd(asking);
        observe(seconds);
    });
    let service =
        Service { feeds: vec![feed], ca: Vec::new(), seed: 1, backfill: false, limit: Some(60 * SECOND) };
    let summary = service::run(service, deck, &stop, watch).unwrap();
    observing.join().unwrap();
    summary
}

/// Ends the run, also when the observer panics.
struct AskAtEnd(Stop);

impl Drop for AskAtEnd {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Samples of OpenMetrics text by name and labels, after checking its form.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (mut samples, mut families) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap_or_default());
            assert!(["HELP", "TYPE", "UNIT", "EOF"].contains(&kind), "{line}");
            if kind == "TYPE" {
                assert!(!families.contains(&name.to_owned()), "{name} comes twice");
                families.push(name.to_owned());
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        assert!(
            families.last().is_some_and(|family| bare.starts_with(family.as_str())),
            "{line} has no TYPE"
        );
        assert!(bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        assert!(name.matches('"').count().is_multiple_of(2), "{line}");
        assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line} comes twice");
    }
    samples
}

#[test]
fn a_run_is_shown_from_its_beginning_to_its_end() {
    let Prepared { deck, store, viewer, server } = prepare();
    let address = server.address();
    let early = get(address, "/readyz");
    assert_eq!((early.status, &early.json()["ready"]), (503, &Value::Bool(false)));
    assert_eq!(early.json()["unready"][0], "the feeds are being started");
    assert_eq!(get(address, "/healthz").status, 200);
    let empty = get(address, "/v1/windows?window=1s");
    assert_eq!(
        (empty.status, empty.json()["rows"].as_array().map(Vec::len)),
        (200, Some(0)),
        "nothing came yet"
    );

    let (simulator, feed) = exchange();
    let summary = run(deck, feed, move |seconds| {
        let mut was_ready = false;
        while !was_ready {
            seconds.recv_timeout(DEADLINE).unwrap();
            was_ready = get(address, "/readyz").status == 200;
        }
        // Nothing more comes, and what came is committed.
        let (mut before, mut committed) = (0, 0);
        loop {
            let frames = seconds.recv_timeout(DEADLINE).unwrap();
            let status = get(address, "/v1/status").json();
            assert_eq!(status["queues"].as_array().unwrap().len(), 4);
            let is_still = frames == before && frames > 0 && status["ledger"]["received"] == committed;
            (before, committed) = (frames, status["ledger"]["received"].as_u64().unwrap());
            if is_still && committed > EVENTS / 2 {
                break;
            }
        }
        shows_symbols_and_windows(address, &store);
        shows_feeds(address);
    });
    let metrics = get(address, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.headers["content-type"].starts_with("application/openmetrics-text"));
    let samples = samples(&metrics.body);
    for (column, count) in Ledger::COLUMNS.iter().zip(summary.ledger.columns()) {
        let shown = samples[&format!("tapedeck_ledger_ticks_total{{column=\"{column}\"}}")];
        assert!((shown - count as f64).abs() < 0.5, "{column}: {shown} and {count}");
    }
    assert!(summary.ledger.duplicate >= 9 && summary.ledger.received > EVENTS / 2, "{:?}", summary.ledger);
    assert!(samples["tapedeck_frames_total{venue=\"binance\"}"] > 0.0);
    assert!(samples["tapedeck_missing_ids{venue=\"binance\"}"] >= 1.0);
    assert!(samples["tapedeck_decoded_frames_total{venue=\"binance\",kind=\"broken\"}"] >= 1.0);
    assert!(samples["tapedeck_unknown_fields_total{venue=\"binance\"}"] < 0.5, "none is unknown");
    assert!((samples["tapedeck_windows_total"] - summary.emissions as f64).abs() < 0.5);
    let slowest = "tapedeck_latency_seconds{stage=\"received→committed\",venue=\"binance\",quantile=\"1\"}";
    assert!(samples[slowest] > 0.0);
    assert_eq!(viewer.view().status.ledger.0, summary.ledger);
    let late = get(address, "/readyz");
    assert_eq!((late.status, &late.json()["unready"][0]), (503, &Value::from("the run has ended")));

    server.stop();
    assert!(TcpStream::connect_timeout(&address, DEADLINE).is_err(), "it still listens");
    drop(simulator);
}

fn shows_symbols_and_windows(address: SocketAddr, store: &Arc<dyn Store>) {
    let symbols = get(address, "/v1/symbols").json();
    let columns: Vec<&str> =
        symbols["columns"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(columns[..3], ["symbol", "received", "aggregated"]);
    assert_eq!(symbols["rows"].as_array().unwrap().len(), 3);
    let name = symbols["rows"][0]["symbol"].as_str().unwrap().to_owned();
    let one = get(address, &format!("/v1/symbols?symbol={}", name.replace(':', "%3A"))).json();
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);

    let windows = get(address, &format!("/v1/windows?window=1s&symbol={name}")).json();
    let rows = windows["rows"].as_array().unwrap();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row["symbol"] == name.as_str() && row["window"] == "1s")
    );
    assert!(rows.iter().all(|row| row["close"].is_string() && row["trades"].is_u64()));
    let first = get(address, "/v1/windows?window=1s&limit=1").json();
    assert_eq!((first["rows"].as_array().unwrap().len(), &first["more"]), (1, &Value::Bool(true)));
    for (path, status, said) in [
        ("/v1/windows?window=1x", 404, "did you mean"),
        ("/v1/windows?window=1s&from=2000-01-01", 400, "at most 10000"),
        ("/v1/windows?windows=1s", 400, "the nearest is `window`"),
        ("/v1/symbols?symbol=nobody", 404, "no symbol"),
        ("/v1/symbols?limit=1", 400, "unknown parameter"),
    ] {
        let answer = get(address, path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains(said), "{answer:?}");
    }
    assert_eq!(get(address, "/v1/rules").body, "# there never were any\n");
    let latency = get(address, "/v1/latency").json();
    let stages: Vec<&Value> = latency["rows"].as_array().unwrap().iter().map(|row| &row["stage"]).collect();
    assert!(stages.contains(&&Value::from("received→applied")), "{stages:?}");
    // What is shown is what is stored.
    let known = tapedeck::query::Catalogue::read(&**store).unwrap();
    assert!(known.symbols.iter().any(|joined| joined.symbol.as_str() == name));
}

fn shows_feeds(address: SocketAddr) {
    let feeds = get(address, "/v1/feeds").json();
    let connection = &feeds["connections"][0];
    assert_eq!((&connection["venue"], &connection["streams"]), (&Value::from("binance"), &Value::from(6)));
    assert!(
        connection["frames"].as_u64().unwrap() > 0 && connection["silent"].as_array().unwrap().is_empty()
    );
    assert!(connection["since"].is_i64() && connection["last_frame_age_s"].is_f64());
    assert_eq!(feeds["venues"][0]["kinds"]["broken"], 1);
    assert_eq!(feeds["venues"][0]["unknown_fields"], serde_json::json!({}));
    let live = get(address, "/v1/live").json();
    assert_eq!(live["symbols"].as_array().unwrap().len(), 3);
    let symbol = &live["symbols"][0];
    assert!(
        symbol["last"].is_string() && symbol["spread"].is_string() && symbol["window"]["trades"].is_u64()
    );
    assert!(symbol["trades"].as_u64().unwrap() > 0 && symbol["quotes"].as_u64().unwrap() > 0);
    let venues = get(address, "/v1/venues").json();
    assert_eq!(venues["venues"].as_array().unwrap().len(), VENUES.len());
}

#[test]
fn who_is_not_meant_is_refused() {
    let Prepared { deck, server, .. } = prepare();
    let address = server.address();
    for host in ["localhost", "127.0.0.1:1", "[::1]", &address.to_string()] {
        assert_eq!(ask(address, "GET", "/healthz", host).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1"] {
        let refused = ask(address, "GET", "/v1/status", host);
        assert_eq!(refused.status, 403, "{host}");
        assert!(!refused.body.contains("ledger"));
    }
    assert_eq!(raw(address, b"GET /healthz HTTP/1.0\r\n\r\n").status, 403, "no Host at all");
    let posted = ask(address, "POST", "/v1/status", "localhost");
    assert_eq!((posted.status, posted.headers["allow"].as_str()), (405, "GET, HEAD"));
    let unknown = get(address, "/nothing");
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"].as_str().unwrap().contains("/v1/status"));
    let head = ask(address, "HEAD", "/healthz", "localhost");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    assert_eq!(raw(address, long.as_bytes()).status, 431);
    let many: String = (0..100).map(|at| format!("X-{at}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(raw(address, many.as_bytes()).status, 431);
    assert_eq!(raw(address, b"\x16\x03\x01 rubbish\r\n\r\n").status, 400);
    drop(server);
    deck.stop().unwrap();
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_every_answer_is_guarded() {
    let Prepared { deck, server, .. } = prepare();
    let address = server.address();
    let page = get(address, "/");
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    let policy = &page.headers["content-security-policy"];
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in ["/", "/metrics", "/v1/live", "/v1/status", "/nothing"] {
        let headers = get(address, path).headers;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert!(headers["content-security-policy"].contains("default-src 'none'"), "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
    let before = samples(&get(address, "/metrics").body);
    assert!(before["tapedeck_ready"].abs() < 0.5 && before["tapedeck_tape_entry"].abs() < 0.5);
    drop(server);
    deck.stop().unwrap();
}

/// Its time is the server's own; until then it takes one of the places.
#[test]
fn a_client_that_never_finishes_its_request_is_closed() {
    let Prepared { deck, server, .. } = prepare();
    let mut slow = TcpStream::connect_timeout(&server.address(), DEADLINE).unwrap();
    slow.set_read_timeout(Some(DEADLINE)).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    assert_eq!(get(server.address(), "/healthz").status, 200, "others are answered meanwhile");
    let mut rest = Vec::new();
    let closed = slow.read_to_end(&mut rest);
    assert!(closed.is_ok(), "{closed:?}");
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    drop(server);
    deck.stop().unwrap();
}

#[test]
fn a_named_address_that_is_taken_is_an_error_and_the_usual_one_gives_way() {
    let Prepared { deck, server, .. } = prepare();
    let taken = server.address().to_string();
    let error = bind(&Listen::At(taken.clone())).err().unwrap().to_string();
    assert!(error.contains(&taken) && error.contains("name another address"), "{error}");
    assert!(bind(&Listen::Off).unwrap().is_none());
    let (first, second) = (bind(&Listen::Usual).unwrap(), bind(&Listen::Usual).unwrap());
    assert!(first.is_some() && second.is_some());
    drop(server);
    deck.stop().unwrap();
}
