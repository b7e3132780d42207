//! Deribit: options, futures, perpetuals and their combinations, spot pairs. JSON-RPC over WebSocket.
//!
//! ```json
//! {"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.100ms","data":[
//!   {"trade_seq":12,"trade_id":"77","timestamp":1700000000004,"price":100.5,"amount":10.0,"direction":"buy",
//!    "instrument_name":"BTC-PERPETUAL","tick_direction":0,"mark_price":100.4,"index_price":100.3}]}}
//! {"jsonrpc":"2.0","method":"subscription","params":{"channel":"quote.BTC-PERPETUAL","data":
//!   {"timestamp":1700000000005,"instrument_name":"BTC-PERPETUAL","best_bid_price":100.0,"best_bid_amount":5.0,
//!    "best_ask_price":100.5,"best_ask_amount":7.0}}}
//! {"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}
//! ```
//!
//! `direction` is the aggressor's. `trade_seq` counts up by one per instrument and is the trade's id; `trade_id` is one
//! row of numbers for all instruments. The legs of a combination's trade come on their own channels, too, so they are not
//! read where the combination is. A side without orders has price and amount 0 or `null`. Tickers have the best prices,
//! too: they are quotes only as long as an instrument has no `quote`. A trade of a combination at a negative price is
//! rejected.
//!
//! A `test_request` must be answered. Without login the shortest interval of trades is 100 ms; captures have `raw`.
//! Documented at <https://docs.deribit.com>.

mod frames;
mod live;
mod session;

use self::frames::{Envelope, Stream};
use self::session::DeribitSession;
use crate::live::{Live, PastTrades};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// Deribit.
pub(super) struct Deribit;

pub(super) static DERIBIT: Deribit = Deribit;

impl Venue for Deribit {
    fn id(&self) -> &'static str {
        "deribit"
    }

    fn name(&self) -> &'static str {
        "Deribit"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "www.deribit.com", path: "/ws/api/v2" },
            Endpoint { host: "streams.deribit.com", path: "/ws/api/v2" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Contiguous
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::None
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "amount ask_iv best_ask_amount best_ask_price best_bid_amount best_bid_price bid_iv block_rfq_id \
         block_trade_id block_trade_leg_count channel combo_id combo_trade_id contracts current_funding \
         data delivery_price delta direction estimated_delivery_price funding_8h gamma greeks high \
         index_price instrument_name interest_rate interest_value iv jsonrpc last_price legs liquidation \
         low mark_iv mark_price max_price method min_price open_interest params price price_change rho \
         settlement_price state stats theta tick_direction timestamp trade_id trade_seq underlying_index \
         underlying_price vega volume volume_notional volume_usd"
    }

    fn completeness(&self) -> &'static str {
        "trade ids count up by one, so a hole shows; quotes have no id: nothing tells"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        serde_json::from_slice(payload.trim_ascii()).is_ok_and(|envelope| is_plain(&envelope))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(DeribitSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&live::LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&live::PAST)
    }
}

/// Others speak JSON-RPC with the same names of channels, but not with these fields.
fn is_plain(envelope: &Envelope<'_>) -> bool {
    let (Some(method), Some(params)) = (envelope.method, &envelope.params) else { return false };
    let Some(channel) = params.channel.and_then(|channel| channel.text()) else { return false };
    method.0 == br#""subscription""#
        && match Stream::of(&channel) {
            Stream::Trades => params.trades().is_ok_and(|rows| !rows.is_empty()),
            Stream::Quotes | Stream::Tickers => params.quote().is_ok(),
            Stream::Depth => params.is_depth(),
            Stream::Other => false,
        }
}
