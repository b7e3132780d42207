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

/// A trade or a quote: one pass, without a guess which.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    s: &'a str,
    t: Option<u64>,
    #[serde(borrow)]
    p: Option<&'a str>,
    #[serde(borrow)]
    q: Option<&'a str>,
    #[serde(rename = "T")]
    time: Option<i64>,
    m: Option<bool>,
    u: Option<u64>,
    #[serde(borrow)]
    b: Option<&'a str>,
    #[serde(borrow, rename = "B")]
    bid_size: Option<&'a str>,
    #[serde(borrow)]
    a: Option<&'a str>,
    #[serde(borrow, rename = "A")]
    ask_size: Option<&'a str>,
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
    let data = &envelope.data;
    let numbers = [data.t, data.u].into_iter().flatten().sum::<u64>() as f64;
    let rest = (envelope.stream.len() + data.s.len()) as f64 + f64::from(u8::from(data.m == Some(true)));
    let mut sum = numbers + rest + data.time.unwrap_or(0) as f64;
    for text in [data.p, data.q, data.b, data.bid_size, data.a, data.ask_size].into_iter().flatten() {
        sum += text.parse::<f64>()?;
    }
    Ok(sum)
}
