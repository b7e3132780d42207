//! Reaching Deribit: address and limits, what is sent and answered, and trades of the past.

use serde::Deserialize;
use serde_json::{Value, json};

use super::frames::{Envelope, TradeRow};
use crate::frame::FrameError;
use crate::json::Token;
use crate::live::{Channel, Live, Notice, PastRange, PastRequest, PastTrades, Rate, Route, Stream};
use crate::past::{self, PastTrade};
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::Tick;
use crate::venue::Output;
use crate::verdict::Fault;

/// Most trades of one answer.
const PAST_TRADES: u64 = 1_000;
/// How often the venue is asked to show a sign of life, in seconds.
const HEARTBEAT_SECONDS: u32 = 30;

/// Credits come back for three and a third subscribing requests a second. How many connections may be opened in what
/// time is not said.
pub(super) static LIVE: Live = Live {
    routes: &[Route::all("wss://www.deribit.com/ws/api/v2")],
    streams_per_connection: 250,
    streams_per_request: 50,
    requests: Rate::new(3, 1),
    connects: Rate::new(1, 1),
    ping_seconds: None,
    dead_seconds: 2 * HEARTBEAT_SECONDS + 15,
    lifetime_seconds: None,
};

/// The number of requests whose answers do not matter; those of [`Requests`] begin with 1.
const UNHEARD: u64 = 0;

fn call(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// The first message: the venue shall show signs of life.
pub(super) fn greeting() -> String {
    call(UNHEARD, "public/set_heartbeat", &json!({ "interval": HEARTBEAT_SECONDS }))
}

/// The answer to the question for a sign of life.
pub(super) fn alive() -> String {
    call(UNHEARD, "public/test", &json!({}))
}

/// A request to subscribe.
pub(super) fn subscribe(streams: &[Stream], requests: &mut Requests) -> String {
    let id = requests.number(streams);
    call(id, "public/subscribe", &json!({ "channels": names(streams) }))
}

/// A request to end subscriptions.
pub(super) fn unsubscribe(streams: &[Stream]) -> String {
    call(UNHEARD, "public/unsubscribe", &json!({ "channels": names(streams) }))
}

fn names(streams: &[Stream]) -> Vec<String> {
    streams.iter().map(name).collect()
}

fn name(stream: &Stream) -> String {
    match stream.channel {
        Channel::Trades => format!("trades.{}.100ms", stream.native),
        Channel::Quotes => format!("quote.{}", stream.native),
    }
}

#[derive(Deserialize)]
struct Complaint<'a> {
    #[serde(borrow)]
    message: Token<'a>,
    #[serde(borrow)]
    data: Option<Token<'a>>,
}

/// What the answer to a request says: the channels that are subscribed by it, or an error.
pub(super) fn answer(envelope: &Envelope<'_>, requests: &mut Requests, out: &mut Output) {
    let streams = envelope.id.and_then(Token::whole).and_then(|id| requests.answered(id));
    if let Some(error) = envelope.error {
        let why = complaint(error);
        out.notices.push(match streams {
            Some(streams) => Notice::Refused(streams, why),
            None => Notice::Complaint(why),
        });
        return;
    }
    let result = envelope.result.and_then(|result| serde_json::from_slice::<Vec<String>>(result.0).ok());
    let (Some(streams), Some(subscribed)) = (streams, result) else { return };
    let (taken, left): (Vec<Stream>, Vec<Stream>) =
        streams.into_iter().partition(|stream| subscribed.contains(&name(stream)));
    if !taken.is_empty() {
        out.notices.push(Notice::Acknowledged(taken));
    }
    if !left.is_empty() {
        out.notices.push(Notice::Refused(left, "not among the channels of the answer".to_owned()));
    }
}

fn complaint(error: Token<'_>) -> String {
    let Ok(complaint) = serde_json::from_slice::<Complaint<'_>>(error.0) else {
        return "an error without a message".to_owned();
    };
    let message = complaint.message.text().unwrap_or_default();
    match complaint.data {
        Some(data) => format!("{message}: {}", String::from_utf8_lossy(data.0)),
        None => message.into_owned(),
    }
}

/// `get_last_trades_by_instrument`: `{"jsonrpc":"2.0","result":{"trades":[…],"has_more":false}}`.
pub(super) struct Past;

pub(super) static PAST: Past = Past;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Trades<'a>,
}

#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    trades: Vec<TradeRow<'a>>,
}

impl PastTrades for Past {
    fn host(&self) -> &'static str {
        "https://www.deribit.com"
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        // 20 a second come back without login; half of it is left to others at the same address.
        Rate::new(10, 1)
    }

    fn reach(&self) -> &'static str {
        "by id, of the last 24 hours"
    }

    fn path(&self, range: &PastRange<'_>) -> String {
        let PastRange { native, first, last, .. } = range;
        let count = last.saturating_sub(*first).saturating_add(1).min(PAST_TRADES);
        format!(
            "/api/v2/public/get_last_trades_by_instrument?instrument_name={native}\
             &start_seq={first}&end_seq={last}&count={count}&sorting=asc"
        )
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, |body| rows(body, request.native))
    }
}

fn rows(body: &[u8], native: &str) -> Result<Vec<PastTrade>, Fault> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let mut rows = Vec::with_capacity(answer.result.trades.len());
    for row in &answer.result.trades {
        let found = row.found()?;
        if found.symbol == native {
            rows.push(PastTrade { id: found.id, time: found.time, event: found.event });
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, name: &str) -> String {
        format!(
            r#"{{"trade_seq":{id},"trade_id":"9{id}","timestamp":1700000000000,"price":1.5,"amount":2.0,"direction":"sell","instrument_name":"{name}"}}"#
        )
    }

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let rows = [row(8, "FOO"), row(7, "FOO"), row(6, "FOO"), row(6, "BAR"), row(5, "FOO")];
        let body =
            format!(r#"{{"jsonrpc":"2.0","result":{{"trades":[{}],"has_more":true}}}}"#, rows.join(","));
        let body = body.as_bytes();
        let request =
            PastRequest { native: "FOO", first: 6, last: 7, received_at: 1_800_000_000_000_000_000, body };
        let (mut symbols, mut ticks) = (SymbolTable::new("deribit"), Vec::new());
        PAST.decode(&request, &mut symbols, &mut ticks).unwrap();
        let shown: Vec<String> = ticks.iter().map(|tick| format!("{:?}", tick.event)).collect();
        assert_eq!(
            shown,
            ["Trade(trade Some(6) 2 @ 1.5 Sell)", "Trade(trade Some(7) 2 @ 1.5 Sell)"],
            "in the order of ids"
        );
        for body in
            [&body[..40], br#"{"jsonrpc":"2.0","error":{"code":10028,"message":"too_many_requests"}}"#]
        {
            assert!(PAST.decode(&PastRequest { body, ..request }, &mut symbols, &mut ticks).is_err());
        }
        assert_eq!(ticks.len(), 2);
    }
}
