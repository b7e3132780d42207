//! Addresses that have to be asked for, and TLS: in memory where time matters, over a real socket where TLS does.

use std::sync::Arc;

use feeds::frame::FrameError;
use feeds::live::{Admission, Channel, Live, Ticket};
use feeds::venues::by_id;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::server::{Setting, heard, on_stage, say};
use super::venue::LIVE;
use crate::feed::delivery::Delivery;
use crate::feed::{FeedOptions, FeedSpec, Feeds};

const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

struct Word;

impl Ticket for Word {
    fn url(&self) -> &'static str {
        "https://api.foo.example/ticket"
    }

    /// `go PLACE`, and perhaps how often to show a sign of life.
    fn admission(&self, answer: &[u8], number: u64) -> Result<Admission, FrameError> {
        let words: Vec<&str> = std::str::from_utf8(answer).unwrap_or_default().split(' ').collect();
        let ["go", place, rest @ ..] = words.as_slice() else {
            return Err(FrameError::new("no ticket", answer));
        };
        let ping_seconds = rest.first().and_then(|seconds| seconds.parse().ok());
        Ok(Admission { address: format!("wss://{place}?token=secret&number={number}"), ping_seconds })
    }
}

fn setting() -> Setting {
    Setting { ticket: Some(&Word), ..Setting::new(LIVE, 1) }
}

/// Reads the head of a request.
async fn head(wire: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(wire.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

async fn answer(wire: &mut (impl AsyncWrite + Unpin), status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    wire.write_all(head.as_bytes()).await.unwrap();
    // Who has read enough may have gone.
    let _ = wire.write_all(body).await;
}

#[tokio::test(start_paused = true)]
async fn every_connection_asks_for_a_ticket_of_its_own_and_goes_where_it_says() {
    on_stage(async {
        let mut scene = setting().start();
        for round in 0..3 {
            let mut wire = scene.wires.recv().await.unwrap();
            assert!(head(&mut wire).await.starts_with("POST /foo/ticket HTTP/1.1\r\n"));
            answer(&mut wire, "200 OK", format!("go edge{round}.example/x").as_bytes()).await;
            let mut peer = scene.accept_and_acknowledge(1).await;
            say(&mut peer, &format!("trade S0 {round}")).await;
            assert_eq!(
                scene.next_of(&format!("frames {round} 0")).await,
                format!("frames {round} 0#{round}")
            );
            let address = scene.dial.addresses.lock().unwrap().last().unwrap().1.clone();
            assert_eq!(address, format!("ws://127.0.0.1:9100/foo/x?token=secret&number={round}"));
        }
        let status = scene.feeds.status().remove(0);
        assert!(!status.address.contains("secret") && status.reconnects == 2, "{status:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_come_as_often_as_the_ticket_says_else_as_the_venue_does() {
    on_stage(async {
        let live = Live { ping_seconds: Some(20), ..LIVE };
        let mut scene = Setting { ticket: Some(&Word), ..Setting::new(live, 1) }.start();
        for (ticket, seconds) in [("go edge.example/x 7", 7), ("go edge.example/x", 20)] {
            let mut wire = scene.wires.recv().await.unwrap();
            head(&mut wire).await;
            answer(&mut wire, "200 OK", ticket.as_bytes()).await;
            let mut peer = scene.accept_and_acknowledge(1).await;
            let mut last = tokio::time::Instant::now();
            for _ in 0..3 {
                assert_eq!(heard(&mut peer).await.unwrap(), "alive");
                let apart = last.elapsed();
                // Looked at twice a second; the first is counted from the opening, which was a little before.
                let (least, most) = (Duration::from_secs(seconds - 1), Duration::from_secs(seconds + 1));
                assert!((least..=most).contains(&apart), "{ticket}: {apart:?}");
                last = tokio::time::Instant::now();
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tickets_that_are_refused_endless_too_large_or_none_are_asked_for_again_and_never_shown() {
    on_stage(async {
        let mut scene = setting().start();
        let mut refusals = Vec::new();
        for round in 0..5 {
            let mut wire = scene.wires.recv().await.unwrap();
            head(&mut wire).await;
            let begin = tokio::time::Instant::now();
            match round {
                0 => answer(&mut wire, "429 Too Many Requests\r\nretry-after: 90", b"").await,
                1 => answer(&mut wire, "503 Service Unavailable", b"<html>maintenance</html>").await,
                2 => answer(&mut wire, "200 OK", b"<html>secret</html>").await,
                3 => answer(&mut wire, "200 OK", &vec![b'x'; 8 << 20]).await,
                // It never answers; who asked hangs up.
                _ => assert!(wire.read(&mut [0; 64]).await.unwrap() == 0),
            }
            let waited = begin.elapsed();
            assert!(waited <= Duration::from_secs(16), "answer {round} was waited for {waited:?}");
            let why = async {
                loop {
                    let status = scene.feeds.status().remove(0);
                    if status.failures > round {
                        break status.last_end.unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            refusals.push(timeout(Duration::from_secs(20), why).await.unwrap());
        }
        assert!(refusals[0].contains("429") && refusals[1].contains("503"), "{refusals:?}");
        assert!(refusals[4].contains("not open within 15 s"), "{refusals:?}");
        let times: Vec<_> = scene.dial.addresses.lock().unwrap().iter().map(|(at, _)| *at).collect();
        assert!(times[1] - times[0] >= Duration::from_secs(90), "as asked");
        let mut wire = scene.wires.recv().await.unwrap();
        head(&mut wire).await;
        answer(&mut wire, "200 OK", b"go edge.example").await;
        scene.accept_and_acknowledge(1).await;
        assert_eq!(scene.next().await, "opened 5");
    })
    .await;
}

/// KuCoin's way in over TLS: a ticket by POST, then the WebSocket that the ticket names, both with a certificate that
/// only this test trusts.
#[tokio::test]
async fn a_ticket_and_a_websocket_over_tls_with_a_certificate_of_ones_own() {
    on_stage(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serve = async {
            let mut tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            assert!(head(&mut tls).await.starts_with("POST /kucoin/api/v1/bullet-public HTTP/1.1"));
            let ticket = br#"{"code":"200000","data":{"token":"abc","instanceServers":[
                {"endpoint":"wss://edge.example/endpoint","protocol":"websocket"}]}}"#;
            answer(&mut tls, "200 OK", ticket).await;
            let tls = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let mut asked = String::new();
            #[expect(clippy::result_large_err, reason = "the library's type")]
            let note = |request: &Request, response: Response| {
                asked = request.uri().to_string();
                Ok(response)
            };
            let mut peer = accept_hdr_async(tls, note).await.unwrap();
            assert_eq!(asked, "/kucoin/endpoint?token=abc&connectId=0");
            let request = futures_util::StreamExt::next(&mut peer).await.unwrap().unwrap();
            assert!(request.to_text().unwrap().contains("/market/match:FOO-USDT"), "{request}");
            let frame = r#"{"type":"message","topic":"/market/match:FOO-USDT","subject":"trade.l3match","data":{"symbol":"FOO-USDT","sequence":"12","side":"buy","size":"0.5","price":"100.1","time":"1750000000000000000","tradeId":"1"}}"#;
            futures_util::SinkExt::send(&mut peer, Message::text(frame)).await.unwrap();
            peer
        };
        let (deliveries_in, mut deliveries) = mpsc::channel(100);
        let spec = FeedSpec {
            venue: by_id("kucoin").unwrap(),
            symbols: vec!["FOO-USDT".to_owned()],
            channels: vec![Channel::Trades],
            url: Some(format!("wss://localhost:{port}/kucoin")),
            silence: Duration::from_secs(60),
        };
        let options = FeedOptions::tcp_trusting(1, CERTIFICATE).unwrap();
        let _feeds = Feeds::start(&[spec], deliveries_in, options).unwrap();
        let ticks = async {
            loop {
                match deliveries.recv().await.unwrap() {
                    Delivery::Frames(decoded) => break decoded.output.ticks.len(),
                    Delivery::Closed { why, .. } => panic!("{why}"),
                    _ => {}
                }
            }
        };
        let (_peer, ticks) = tokio::join!(serve, ticks);
        assert_eq!(ticks, 1);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    on_stage(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let spec = FeedSpec {
            venue: super::venue::venue(LIVE),
            symbols: vec!["S0".to_owned()],
            channels: vec![Channel::Trades],
            url: Some(format!("wss://localhost:{port}")),
            silence: Duration::from_secs(60),
        };
        let (deliveries_in, _deliveries) = mpsc::channel(100);
        let feeds = Feeds::start(&[spec], deliveries_in, FeedOptions::tcp(1).unwrap()).unwrap();
        assert!(acceptor.accept(listener.accept().await.unwrap().0).await.is_err());
        // The next attempt shows that the one before has ended.
        let _ = listener.accept().await.unwrap();
        let why = feeds.status().remove(0).last_end.unwrap();
        assert!(why.contains("certificate"), "{why}");
        assert!(FeedOptions::tcp_trusting(1, b"-----BEGIN CERTIFICATE-----\nnone\n").is_err());
    })
    .await;
}
