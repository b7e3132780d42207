//! What is logged of requests: enough to see that they failed, and never a token.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::stage::{Healthy, READ, Stage, bearer, guarded, request, send};

/// All that was logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[test]
fn no_token_is_logged_and_refusals_are_counted() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let stage = Stage::new(&guarded());
    let healthy = Healthy::start(stage.address, Some(READ));
    let (read, guessed) = (bearer(READ), bearer("guessed-token"));
    send(stage.address, &request("GET /v1/status", &[&read]));
    for _ in 0..3 {
        send(stage.address, &request("GET /v1/status", &[&guessed]));
    }
    send(stage.address, &request(&format!("GET /v1/status?token={READ}"), &[]));
    send(stage.address, &request("GET /v1/status", &[&read, "Origin: https://evil.example"]));
    // What is no HTTP is logged, with all that went before it on its connection left out.
    send(stage.address, format!("GET / HTTP/1.1\r\n{read}\r\nbroken\r\n\r\n").as_bytes());
    let metrics = send(stage.address, &request("GET /metrics", &[&read])).body;
    for sample in [
        "tapedeck_http_refused_total{why=\"unknown\"} 3\n",
        "tapedeck_http_refused_total{why=\"foreign\"} 1\n",
        "tapedeck_http_refused_total{why=\"pace\"} 0\n",
        "tapedeck_http_connections_bound 256.0\n",
    ] {
        assert!(metrics.contains(sample), "{sample}: {metrics}");
    }
    assert!(healthy.end() > 0);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("an HTTP connection failed"), "{logged}");
    for secret in [READ, "guessed-token"] {
        assert!(!logged.contains(secret), "{logged}");
    }
}
