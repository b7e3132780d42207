//! Reaching Kraken: address and limits, subscriptions and what is answered to them.

use std::borrow::Cow;

use serde::Deserialize;

use crate::live::{Channel, Live, Notice, Rate, Route, Stream};
use crate::venue::Output;

/// Some 150 connections in ten minutes. A heartbeat each second once anything is subscribed, and a connection that is
/// silent for a minute is closed. How many streams one carries, and how fast they may be asked for, is not said.
pub(super) static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.kraken.com/v2")],
    streams_per_connection: 200,
    streams_per_request: 50,
    requests: Rate::new(5, 1),
    connects: Rate::new(150, 600),
    ping_seconds: Some(20),
    dead_seconds: 30,
    lifetime_seconds: None,
};

/// A subscription is answered symbol by symbol, each time with the number of the request. What is refused is answered
/// without the channel, so the number says which it was.
const NUMBERS: [(Channel, u64, &str); 2] = [(Channel::Trades, 1, "trade"), (Channel::Quotes, 2, "ticker")];

/// A message for each channel.
pub(super) fn request(method: &str, streams: &[Stream], out: &mut Output) {
    for (channel, number, name) in NUMBERS {
        let streams = streams.iter().filter(|stream| stream.channel == channel);
        let symbols: Vec<&str> = streams.map(|stream| stream.native.as_str()).collect();
        if symbols.is_empty() {
            continue;
        }
        let mut params = serde_json::json!({ "channel": name, "symbol": symbols });
        if channel == Channel::Quotes {
            params["event_trigger"] = "bbo".into();
        }
        let message = serde_json::json!({ "method": method, "params": params, "req_id": number });
        out.sends.push(message.to_string());
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    method: Option<Cow<'a, str>>,
    success: Option<bool>,
    #[serde(alias = "Error")]
    error: Option<Cow<'a, str>>,
    symbol: Option<Cow<'a, str>>,
    req_id: Option<u64>,
    result: Option<Subscribed<'a>>,
}

#[derive(Deserialize)]
struct Subscribed<'a> {
    channel: Option<Cow<'a, str>>,
    symbol: Option<Cow<'a, str>>,
}

/// What the answer to a request says.
pub(super) fn answer(payload: &[u8], out: &mut Output) -> Result<(), serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_slice(payload)?;
    let is_subscribe = answer.method.as_deref() == Some("subscribe");
    if let Some(why) = answer.error {
        let number = NUMBERS.iter().find(|(_, number, _)| answer.req_id == Some(*number));
        let stream = match (number, answer.symbol) {
            (Some((channel, ..)), Some(symbol)) => Some(Stream::new(symbol, *channel)),
            _ => None,
        };
        out.notices.push(if is_subscribe {
            Notice::Refused(stream.into_iter().collect(), why.into_owned())
        } else {
            Notice::Complaint(why.into_owned())
        });
        return Ok(());
    }
    let Some(Subscribed { channel: Some(channel), symbol: Some(symbol) }) = answer.result else {
        return Ok(());
    };
    let known = NUMBERS.iter().find(|(.., name)| *name == channel);
    if let (true, Some(true), Some((channel, ..))) = (is_subscribe, answer.success, known) {
        out.notices.push(Notice::Acknowledged(vec![Stream::new(symbol, *channel)]));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Status<'a> {
    system: Cow<'a, str>,
}

/// What the venue says of itself: anything but `online` is worth saying.
pub(super) fn status(data: &[u8], out: &mut Output) -> Result<(), serde_json::Error> {
    let rows: Vec<Status<'_>> = serde_json::from_slice(data)?;
    for row in rows.into_iter().filter(|row| row.system != "online") {
        out.notices.push(Notice::Complaint(format!("the venue is in state {}", row.system)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_message_of_its_own() {
        let mut out = Output::default();
        let streams = [Stream::new("FOO/USD", Channel::Quotes), Stream::new("BAR/EUR", Channel::Trades)];
        request("subscribe", &streams, &mut out);
        assert_eq!(
            out.sends,
            [
                r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BAR/EUR"]},"req_id":1}"#
                    .to_owned(),
                r#"{"method":"subscribe","params":{"channel":"ticker","event_trigger":"bbo","#.to_owned()
                    + r#""symbol":["FOO/USD"]},"req_id":2}"#,
            ]
        );
    }

    #[test]
    fn answers_say_which_stream_it_was() {
        let mut out = Output::default();
        for payload in [
            r#"{"method":"subscribe","result":{"channel":"ticker","symbol":"FOO/USD","event_trigger":"bbo"},
                "success":true,"req_id":2}"#,
            r#"{"error":"Currency pair not supported QUX/USD","method":"subscribe","req_id":1,"success":false,
                "symbol":"QUX/USD"}"#,
            r#"{"error":"Too many requests","method":"subscribe","success":false}"#,
            r#"{"error":"Malformed request"}"#,
            r#"{"method":"unsubscribe","result":{"channel":"trade","symbol":"FOO/USD"},"success":true,"req_id":1}"#,
        ] {
            answer(payload.as_bytes(), &mut out).unwrap();
        }
        let expected = [
            Notice::Acknowledged(vec![Stream::new("FOO/USD", Channel::Quotes)]),
            Notice::Refused(
                vec![Stream::new("QUX/USD", Channel::Trades)],
                "Currency pair not supported QUX/USD".to_owned(),
            ),
            Notice::Refused(Vec::new(), "Too many requests".to_owned()),
            Notice::Complaint("Malformed request".to_owned()),
        ];
        assert_eq!(out.notices, expected);
    }
}
