//! A served run whose alert log the tests write themselves, and plain requests to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use feeds::time::SECOND;
use serde_json::Value;
use tapedeck::alert::{Alert, AlertId, Severity, State};
use tapedeck::config::{Catalogue, Config, Listen};
use tapedeck::live::{Deck, LiveOptions};
use tapedeck::schema::alerts::{Generation, encode, key};
use tapedeck::serve::{Server, Terms, bind};
use tapedeck::store::memory::MemoryStore;
use tapedeck::store::{Batch, Family, Store};
use tapedeck::tape::Cut;
use tapedeck::view::{Facts, Viewer};
use tokio::task::JoinHandle;

/// Nothing here may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A run that gets no ticks, and is served.
pub(crate) struct Served {
    pub(crate) deck: Deck,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) viewer: Arc<Viewer>,
    pub(crate) server: Option<Server>,
    pub(crate) address: SocketAddr,
}

impl Served {
    pub(crate) fn start() -> Served {
        Served::on(Terms::default())
    }

    pub(crate) fn on(terms: Terms) -> Served {
        Served::with(Config::standard(&Catalogue::built_in()), terms)
    }

    pub(crate) fn with(mut config: Config, terms: Terms) -> Served {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        config.engine.checkpoint_every = SECOND / 2;
        let facts = Facts { db: None, recording: None, checkpoint_every: config.engine.checkpoint_every };
        let options = LiveOptions { config, workers: 1, cut: Cut::Adaptive, sabotage: None };
        let deck = Deck::start(&store, &options, None).unwrap();
        let viewer = Arc::new(Viewer::new(deck.pulse(), Arc::clone(&store), facts));
        let bound = bind(&Listen::At("127.0.0.1:0".to_owned())).unwrap().unwrap();
        let server = bound.serve_on(Arc::clone(&viewer), terms).unwrap();
        let address = server.address();
        Served { deck, store, viewer, server: Some(server), address }
    }

    /// Ends the server, then the run.
    pub(crate) fn end(mut self) {
        drop(self.server.take());
        self.deck.stop().unwrap();
    }

    /// Ends the server meanwhile.
    pub(crate) fn stop_server(&mut self) -> JoinHandle<()> {
        let server = self.server.take().unwrap();
        tokio::task::spawn_blocking(move || server.stop())
    }

    /// Serves it again, at the same place.
    pub(crate) fn serve_again(&mut self) {
        let bound = bind(&Listen::At(self.address.to_string())).unwrap().unwrap();
        self.server = Some(bound.serve(Arc::clone(&self.viewer)).unwrap());
    }

    /// Waits until at least so many were cut for not reading.
    pub(crate) async fn are_cut(&self, most: usize) {
        let name = "tapedeck_followers_ended_total{reason=\"slow\"} ";
        loop {
            let text = raw(self.address, "/metrics", "").2;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            if line.and_then(|count| count.parse().ok()).is_some_and(|count: usize| count >= most) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the metrics have `sample`.
    pub(crate) async fn shows(&self, sample: &str) {
        let line = format!("{sample}\n");
        while !raw(self.address, "/metrics", "").2.contains(&line) {
            tokio::task::yield_now().await;
        }
    }

    /// Writes alerts of these numbers to the log, and says so when they are there.
    pub(crate) fn tell(&self, numbers: std::ops::RangeInclusive<u64>) {
        self.write(numbers.clone());
        self.viewer.pulse().alerts().publish(*numbers.end());
    }

    /// Writes them without saying so.
    pub(crate) fn write(&self, numbers: std::ops::RangeInclusive<u64>) {
        let mut batch = Batch::default();
        for number in numbers {
            batch.put(Family::Alerts, key(number), encode(&alert(number)));
        }
        self.store.commit(&batch, true).unwrap();
    }

    /// Puts an alert in the place of another.
    pub(crate) fn put(&self, number: u64, alert: &Alert) {
        let mut batch = Batch::default();
        batch.put(Family::Alerts, key(number), encode(alert));
        self.store.commit(&batch, true).unwrap();
    }

    /// The log begins with `oldest`.
    pub(crate) fn forget_before(&self, oldest: u64) {
        let mut batch = Batch::default();
        batch.delete_range(Family::Alerts, key(0), key(oldest));
        self.store.commit(&batch, true).unwrap();
    }

    pub(crate) fn enter(&self, generation: Generation) {
        let mut batch = Batch::default();
        generation.put(&mut batch);
        self.store.commit(&batch, true).unwrap();
    }
}

/// Runs `test` on a served run.
pub(crate) fn on(terms: Terms, test: impl AsyncFnOnce(&mut Served)) {
    let mut served = Served::on(terms);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * DEADLINE, test(&mut served)).await.unwrap() });
    served.end();
}

/// The alert of this number: of two rules, three symbols, three severities and states in turn.
pub(crate) fn alert(number: u64) -> Alert {
    Alert {
        id: AlertId([(number / 3) as u8; 16]),
        state: State::ALL[number as usize % 3],
        rule: ["burst", "gap-up"][number as usize % 2].to_owned(),
        symbol: ["here:ABC", "here:DEF", "there:X/Y"][number as usize / 3 % 3].to_owned(),
        severity: Severity::ALL[number as usize / 2 % 3],
        event_time: number as i64 * SECOND,
        fired_at: Some(number as i64 * SECOND + 1),
        message: format!("alert {number}, \"quoted\""),
        labels: Vec::new(),
        values: vec![("volume[1s]".to_owned(), number.to_string())],
        windows: Vec::new(),
        number,
        suppressed: None,
    }
}

/// An answer in JSON, and its status.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, _, body) = raw(address, path, "");
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body:?}")))
}

/// Status, head and body of an answer to a request with these further headers, each with its line's end.
pub(crate) fn raw(address: SocketAddr, path: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let close = if headers.contains("Connection:") { "" } else { "Connection: close\r\n" };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}{headers}\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}
