//! Reaching OKX: address and limits, what is sent and answered, and trades of the past.

use serde::Deserialize;

use super::frames::TradeRow;
use crate::frame::FrameError;
use crate::json::Token;
use crate::live::{Channel, Live, Notice, PastRange, PastRequest, PastTrades, Rate, Route, Stream};
use crate::past::{self, PastTrade};
use crate::requests::Requests;
use crate::symbol::SymbolTable;
use crate::tick::Tick;
use crate::verdict::Fault;

/// Most trades of one answer.
const PAST_TRADES: u64 = 100;

/// A connection may send 480 requests an hour, of 64 KiB each, and is ended when nothing went over it for 30 s.
pub(super) static LIVE: Live = Live {
    routes: &[Route::all("wss://ws.okx.com:8443/ws/v5/public")],
    streams_per_connection: 400,
    streams_per_request: 100,
    requests: Rate::new(480, 3_600),
    connects: Rate::new(3, 1),
    ping_seconds: Some(20),
    dead_seconds: 50,
    lifetime_seconds: None,
};

/// What is sent as a sign of life, and what answers it. Neither is JSON.
pub(super) const PING: &str = "ping";
pub(super) const PONG: &[u8] = b"pong";

/// A request to subscribe.
pub(super) fn subscribe(streams: &[Stream], requests: &mut Requests) -> String {
    let id = requests.number(streams);
    request("subscribe", streams, id)
}

/// A request to end subscriptions.
pub(super) fn unsubscribe(streams: &[Stream], requests: &mut Requests) -> String {
    let id = requests.number_of_none();
    request("unsubscribe", streams, id)
}

fn request(op: &str, streams: &[Stream], id: u64) -> String {
    let args: Vec<_> = streams
        .iter()
        .map(|stream| serde_json::json!({ "channel": name(stream.channel), "instId": stream.native }))
        .collect();
    serde_json::json!({ "id": id.to_string(), "op": op, "args": args }).to_string()
}

fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Trades => "trades",
        Channel::Quotes => "bbo-tbt",
    }
}

/// The stream of this channel's name.
pub(super) fn stream(channel: &str, native: &str) -> Option<Stream> {
    let channel = Channel::ALL.into_iter().find(|known| name(*known) == channel)?;
    Some(Stream::new(native, channel))
}

/// A refusal: the stream that its text names (`channel:trades,instId:X doesn't exist`), else all of the request.
pub(super) fn refused(why: String, id: Option<u64>, requests: &mut Requests) -> Notice {
    let end = |text: &str| text.find([',', ' ', '"']).unwrap_or(text.len());
    let field = |name: &str| {
        let text = &why[why.find(name)? + name.len()..];
        Some(&text[..end(text)])
    };
    let named = field("channel:").zip(field("instId:"));
    match named.and_then(|(channel, native)| stream(channel, native)) {
        Some(stream) if !id.is_some_and(|id| requests.is_of_none(id)) => Notice::Refused(vec![stream], why),
        _ => requests.refused(id, why),
    }
}

/// `history-trades`, by fill, newest first: `{"code":"0","msg":"","data":[{"instId":"X","tradeId":"7","px":"1","sz":"2",
/// "side":"buy","ts":"1700000000000"},…]}`.
pub(super) struct Past;

pub(super) static PAST: Past = Past;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Token<'a>,
    #[serde(borrow)]
    data: Vec<TradeRow<'a>>,
}

impl PastTrades for Past {
    fn host(&self) -> &'static str {
        "https://www.okx.com"
    }

    fn per_request(&self) -> u64 {
        PAST_TRADES
    }

    fn requests(&self) -> Rate {
        Rate::new(20, 2)
    }

    fn reach(&self) -> &'static str {
        "by id, of the last three months"
    }

    /// `after` is the id below which to begin, and no more than a hundred of the newest below it come. Ids of other rows
    /// than those asked for may be among them: one order's fills are one trade here and several there.
    fn path(&self, range: &PastRange<'_>) -> String {
        let (native, behind) = (range.native, range.last.saturating_add(1));
        let count = range.last.saturating_sub(range.first).saturating_add(1).min(PAST_TRADES);
        format!("/api/v5/market/history-trades?instId={native}&type=1&after={behind}&limit={count}")
    }

    fn decode(
        &self,
        request: &PastRequest<'_>,
        symbols: &mut SymbolTable,
        out: &mut Vec<Tick>,
    ) -> Result<(), FrameError> {
        past::read(request, symbols, out, rows)
    }
}

fn rows(body: &[u8]) -> Result<Vec<PastTrade>, Fault> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    if answer.code.whole() != Some(0) {
        return Err("not the answer that was asked for".into());
    }
    let row = |row: &TradeRow<'_>| {
        let found = row.found()?;
        Ok(PastTrade { id: found.id, time: found.time, event: found.event })
    };
    answer.data.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_trades_are_those_that_were_asked_for() {
        let body = br#"{"code":"0","msg":"","data":[
            {"instId":"FOO-USDT","side":"buy","sz":"1","source":"0","px":"1.7","tradeId":"8","ts":"1700000000002"},
            {"instId":"FOO-USDT","side":"sell","sz":"3","source":"0","px":"1.6","tradeId":"7","ts":"1700000000001"},
            {"instId":"FOO-USDT","side":"buy","sz":"2","source":"0","px":"1.5","tradeId":"6","ts":"1700000000000"}]}"#;
        let request = PastRequest {
            native: "FOO-USDT",
            first: 6,
            last: 7,
            received_at: 1_800_000_000_000_000_000,
            body,
        };
        let (mut symbols, mut ticks) = (SymbolTable::new("okx"), Vec::new());
        PAST.decode(&request, &mut symbols, &mut ticks).unwrap();
        let shown: Vec<String> =
            ticks.iter().map(|tick| format!("{} {:?}", tick.exchange_ts, tick.event)).collect();
        assert_eq!(
            shown,
            [
                "1700000000000000000 Trade(trade Some(6) 2 @ 1.5 Buy)",
                "1700000000001000000 Trade(trade Some(7) 3 @ 1.6 Sell)"
            ]
        );
        assert!(
            PAST.path(&PastRange { native: "FOO-USDT", first: 6, last: 7, after: 0, before: 0 })
                .ends_with("?instId=FOO-USDT&type=1&after=8&limit=2")
        );
        let errors = [&body[..40], br#"{"code":"51001","msg":"no such instrument","data":[]}"#];
        for body in errors {
            assert!(PAST.decode(&PastRequest { body, ..request }, &mut symbols, &mut ticks).is_err());
        }
        assert_eq!(ticks.len(), 2);
    }
}
