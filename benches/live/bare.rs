//! The bare loop: connect, receive, parse. What anybody would write first.

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::exchange::Exchange;
use super::frames::{SYMBOLS, native};
use crate::Failure;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: &'a str,
    #[serde(borrow)]
    data: Data<'a>,
}

/// A trade or a quote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Data<'a> {
    Trade(#[serde(borrow)] Trade<'a>),
    Quote(#[serde(borrow)] Quote<'a>),
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    s: &'a str,
    t: u64,
    #[serde(borrow)]
    p: &'a str,
    #[serde(borrow)]
    q: &'a str,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

#[derive(Deserialize)]
struct Quote<'a> {
    u: u64,
    #[serde(borrow)]
    s: &'a str,
    #[serde(borrow)]
    b: &'a str,
    #[serde(borrow, rename = "B")]
    bid_size: &'a str,
    #[serde(borrow)]
    a: &'a str,
    #[serde(borrow, rename = "A")]
    ask_size: &'a str,
}

/// Seconds from the first byte to the last frame.
pub(crate) fn run(exchange: &Exchange, connections: usize) -> Result<f64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let frames = exchange.frames;
    runtime.block_on(async {
        let tasks = (0..connections).map(|number| {
            let address = exchange.address;
            let symbols = (number..SYMBOLS).step_by(connections);
            let params: Vec<String> =
                symbols.map(|symbol| format!("\"{}@trade\"", native(symbol).to_lowercase())).collect();
            tokio::spawn(async move {
                let wire = TcpStream::connect(address).await?;
                let (mut socket, _) = tokio_tungstenite::client_async("ws://127.0.0.1/stream", wire).await?;
                let request = format!(r#"{{"method":"SUBSCRIBE","params":[{}],"id":1}}"#, params.join(","));
                socket.send(Message::text(request)).await?;
                let (mut taken, mut sum) = (0, 0.0);
                while taken < frames / connections {
                    let Some(message) = socket.next().await else { break };
                    let Message::Text(text) = message? else { continue };
                    if let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text.as_str()) {
                        sum += value(&envelope)?;
                        taken += 1;
                    }
                }
                Ok::<f64, Box<dyn std::error::Error + Send + Sync>>(sum)
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut sum = 0.0;
        for task in tasks {
            sum += task.await?.map_err(|error| error.to_string())?;
        }
        let seconds = exchange.begun()?.elapsed_nanos() as f64 / 1e9;
        if sum.is_nan() { Err("no number".into()) } else { Ok(seconds) }
    })
}

/// Something of everything, so that nothing is left out.
fn value(envelope: &Envelope<'_>) -> Result<f64, std::num::ParseFloatError> {
    let rest = envelope.stream.len() as f64;
    Ok(match &envelope.data {
        Data::Trade(trade) => {
            let known =
                trade.s.len() as f64 + trade.t as f64 + trade.time as f64 + f64::from(u8::from(trade.m));
            rest + known + trade.p.parse::<f64>()? * trade.q.parse::<f64>()?
        }
        Data::Quote(quote) => {
            let known = quote.s.len() as f64 + quote.u as f64;
            let sides = quote.b.parse::<f64>()? * quote.bid_size.parse::<f64>()?;
            rest + known + sides + quote.a.parse::<f64>()? * quote.ask_size.parse::<f64>()?
        }
    })
}
