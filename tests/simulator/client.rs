//! A client of the simulator: subscribes as the engine does, decodes everything, and keeps account.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use feeds::frame::{Frame, FrameKind};
use feeds::live::{Channel, Notice, PastRange, PastRequest, Stream};
use feeds::symbol::SymbolTable;
use feeds::tick::{Event, Tick};
use feeds::venue::{Output, Session, Venue};
use futures_util::{SinkExt, StreamExt};
use tapedeck::clock;
use tapedeck::market::MarketSpec;
use tapedeck::simulator::totals::{Account, SymbolTotals};
use tapedeck::simulator::{Simulator, SimulatorSpec, faults::Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// No step of a test may take longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The market of every test.
pub(crate) const MARKET: MarketSpec =
    MarketSpec { symbols: 5, seed: 11, ticks_per_second: 10_000, ..MarketSpec::DEFAULT };

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a closing frame of this code.
    Closed(u16),
    /// Without a word.
    Cut,
    /// A frame was refused by the client.
    TooLarge,
}

/// One connection and what came over it.
pub(crate) struct Client {
    pub(crate) venue: &'static dyn Venue,
    socket: WebSocketStream<TcpStream>,
    session: Box<dyn Session>,
    pub(crate) symbols: SymbolTable,
    pub(crate) out: Output,
    pub(crate) frames: Vec<FrameKind>,
}

/// A simulator of `venue` with five symbols, whose market opens with the tenth stream and ends after `events`.
pub(crate) fn start(venue: &str, faults: &str, events: u64) -> Simulator {
    Simulator::start(spec(venue, faults, events)).unwrap()
}

/// What [`start`] starts.
pub(crate) fn spec(venue: &str, faults: &str, events: u64) -> SimulatorSpec {
    SimulatorSpec {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        venues: vec![venue.to_owned()],
        market: MARKET,
        faults: Script::parse(faults).unwrap(),
        opens_with: 10,
        events: Some(events),
    }
}

/// Both channels of every symbol.
pub(crate) fn all_streams(simulator: &Simulator) -> Vec<Stream> {
    let natives = simulator.totals().remove(0).made.symbols.into_iter().map(|symbol| symbol.native);
    natives.flat_map(|native| Channel::ALL.map(|channel| Stream::new(native.clone(), channel))).collect()
}

/// The path of the venue's own address.
pub(crate) fn socket_path(venue: &dyn Venue) -> &'static str {
    let url = venue.live().unwrap().routes[0].url.strip_prefix("wss://").unwrap();
    &url[url.find('/').unwrap_or(url.len())..]
}

impl Client {
    /// Connects to `path` below the venue.
    pub(crate) async fn connect(simulator: &Simulator, venue: &str, path: &str) -> Result<Client, Error> {
        let venue = feeds::venues::by_id(venue).unwrap();
        let address = simulator.address();
        let stream = TcpStream::connect(address).await?;
        let url = format!("ws://{address}/{}{path}", venue.id());
        let (socket, _) = in_time(client_async(url, stream)).await?;
        let (session, symbols) = (venue.open(), SymbolTable::new(venue.id()));
        let mut client =
            Client { venue, socket, session, symbols, out: Output::default(), frames: Vec::new() };
        client.session.greet(clock::wall(), &mut client.out);
        client.send_all().await;
        Ok(client)
    }

    /// Connects to the venue's own path and subscribes to everything.
    pub(crate) async fn subscribed(simulator: &Simulator, venue: &str) -> Client {
        let path = socket_path(feeds::venues::by_id(venue).unwrap());
        let mut client = Client::connect(simulator, venue, path).await.unwrap();
        client.subscribe(&all_streams(simulator)).await;
        client
    }

    pub(crate) async fn subscribe(&mut self, streams: &[Stream]) {
        self.session.subscribe(streams, clock::wall(), &mut self.out);
        self.send_all().await;
    }

    pub(crate) async fn unsubscribe(&mut self, streams: &[Stream]) {
        self.session.unsubscribe(streams, clock::wall(), &mut self.out);
        self.send_all().await;
    }

    /// Sends the venue's own sign of life.
    pub(crate) async fn ping(&mut self) {
        self.session.ping(clock::wall(), &mut self.out);
        self.send_all().await;
    }

    pub(crate) async fn send_all(&mut self) {
        for text in std::mem::take(&mut self.out.sends) {
            self.send(&text).await;
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        in_time(self.socket.send(Message::text(text))).await.unwrap();
    }

    /// Takes one message; the end if that is what came.
    pub(crate) async fn step(&mut self) -> Option<End> {
        let payload = match in_time(self.socket.next()).await {
            Some(Ok(Message::Text(text))) => text.as_str().as_bytes().to_vec(),
            Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
            Some(Ok(Message::Close(frame))) => {
                return Some(End::Closed(frame.map_or(0, |it| it.code.into())));
            }
            Some(Ok(_)) => return None,
            Some(Err(Error::Capacity(_))) => return Some(End::TooLarge),
            Some(Err(_)) | None => return Some(End::Cut),
        };
        let frame = Frame { received_at: Some(clock::wall()), payload: &payload };
        let kind = self.session.on_frame(frame, &mut self.symbols, &mut self.out);
        self.frames.push(kind);
        for text in std::mem::take(&mut self.out.sends) {
            // Nobody may be there any more to hear the answer.
            let _ = in_time(self.socket.send(Message::text(text))).await;
        }
        None
    }

    /// Takes everything up to the end of the connection.
    pub(crate) async fn run_out(&mut self) -> End {
        let end = loop {
            if let Some(end) = self.step().await {
                break end;
            }
        };
        self.session.finish(&mut self.out);
        // The goodbye back; nobody may be there any more.
        let _ = in_time(self.socket.flush()).await;
        end
    }

    /// Takes messages until one is refused or acknowledged.
    pub(crate) async fn next_answer(&mut self) -> Notice {
        loop {
            assert_eq!(self.step().await, None, "no answer came");
            if let Some(notice) = self.out.notices.pop() {
                return notice;
            }
        }
    }

    /// Frames that are neither ticks nor answers.
    pub(crate) fn strange(&self) -> usize {
        let known =
            |kind: &&FrameKind| matches!(kind, FrameKind::Ticks | FrameKind::Control | FrameKind::Heartbeat);
        self.frames.len() - self.frames.iter().filter(known).count()
    }

    /// The streams that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> BTreeSet<Stream> {
        let streams = self.out.notices.iter().filter_map(|notice| match notice {
            Notice::Acknowledged(streams) => Some(streams.clone()),
            _ => None,
        });
        streams.flatten().collect()
    }

    /// The name of a tick's symbol on the wire.
    pub(crate) fn native(&self, tick: &Tick) -> &str {
        self.symbols.symbols()[tick.symbol.0 as usize].native()
    }

    /// What came, in the form of the simulator's account and with its symbols.
    pub(crate) fn account(&self, like: &Account) -> Account {
        account(&[self], like)
    }

    /// The trades `first` to `last` of `native`, asked for over HTTP.
    pub(crate) async fn past(
        &mut self,
        simulator: &Simulator,
        native: &str,
        first: u64,
        last: u64,
    ) -> Vec<Tick> {
        let past = self.venue.past_trades().unwrap();
        let path = past.path(&PastRange { native, first, last, after: 0, before: clock::wall() });
        let (head, body) = get(simulator, &format!("/{}{path}", self.venue.id())).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let request = PastRequest { native, first, last, received_at: clock::wall(), body: body.as_bytes() };
        let mut ticks = Vec::new();
        past.decode(&request, &mut self.symbols, &mut ticks).unwrap();
        ticks
    }
}

/// What came over connections one after the other, as one account.
pub(crate) fn account(clients: &[&Client], like: &Account) -> Account {
    let blank = |symbol: &SymbolTotals| SymbolTotals {
        native: symbol.native.clone(),
        size_scale: symbol.size_scale,
        ..SymbolTotals::default()
    };
    let mut account = Account { symbols: like.symbols.iter().map(blank).collect() };
    let index: BTreeMap<String, usize> =
        like.symbols.iter().enumerate().map(|(index, symbol)| (symbol.native.clone(), index)).collect();
    for client in clients {
        for tick in &client.out.ticks {
            let native = client.symbols.symbols()[tick.symbol.0 as usize].native();
            put(&mut account.symbols[index[native]], tick);
        }
    }
    account
}

/// Counts a tick.
pub(crate) fn put(totals: &mut SymbolTotals, tick: &Tick) {
    match &tick.event {
        Event::Trade(_) if tick.history => totals.history += 1,
        Event::Trade(trade) => totals.count_trade(trade.id().unwrap(), lots(trade.size(), totals.size_scale)),
        Event::Quote(_) => totals.quotes += 1,
        other => panic!("{other:?}"),
    }
}

fn lots(size: feeds::number::Decimal, scale: u8) -> i64 {
    size.mantissa() * 10i64.pow(u32::from(scale - size.scale()))
}

/// Head and body of the answer to a request.
pub(crate) async fn get(simulator: &Simulator, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// `future`, unless it takes too long.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("took too long")
}
