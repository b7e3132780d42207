//! OKX: spot, futures, swaps and options, all in one namespace of symbols.
//!
//! ```json
//! {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"1002","px":"100.1","sz":"0.5",
//!   "side":"buy","ts":"1700000000004","count":"3"}]}
//! {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["100.2","2","0","1"]],"bids":[["100.1","3","0","2"]],
//!   "ts":"1700000000005","seqId":400}]}
//! {"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","last":"100.1","bidPx":"100.1","bidSz":"3",
//!   "askPx":"100.2","askSz":"2","ts":"1700000000005"}]}
//! ```
//!
//! `side` is the aggressor's, sizes of derivatives are contracts. `trades` has what one order took at one price as one
//! trade: `tradeId` is its last fill's, `count` how many fills there were. Fills are numbered one by one, so a count that
//! does not reach back to the trade before shows a gap. The first push after subscribing is the newest trade, however old,
//! and nothing marks it. `trades-all`, from another path, has every fill; of the two the one that comes first counts.
//!
//! Tickers have the best prices, too, some ten times a second at most: they are quotes only as long as a symbol has no
//! `bbo-tbt`. A text `ping` is answered with `pong`. Documented at <https://www.okx.com/docs-v5/en/>.

mod frames;
mod live;
mod session;

use self::frames::{Envelope, Stream};
use self::session::OkxSession;
use crate::live::{Live, PastTrades};
use crate::venue::{DuplicateKey, Endpoint, Session, Venue};

/// OKX.
pub(super) struct Okx;

pub(super) static OKX: Okx = Okx;

impl Venue for Okx {
    fn id(&self) -> &'static str {
        "okx"
    }

    fn name(&self) -> &'static str {
        "OKX"
    }

    fn endpoints(&self) -> &'static [Endpoint] {
        &[
            Endpoint { host: "ws.okx.com", path: "/ws/v5/" },
            Endpoint { host: "wsus.okx.com", path: "/ws/v5/" },
            Endpoint { host: "wsaws.okx.com", path: "/ws/v5/" },
            Endpoint { host: "ws.okex.com", path: "/ws/v5/" },
        ]
    }

    fn trade_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn quote_key(&self) -> DuplicateKey {
        DuplicateKey::Unique
    }

    fn channels(&self) -> &'static [&'static str] {
        &["trades", "quotes"]
    }

    fn fields(&self) -> &'static str {
        "arg askPx askSz asks bidPx bidSz bids channel count data high24h instId instType last lastSz \
         low24h open24h px seqId side sodUtc0 sodUtc8 source sz tradeId ts vol24h volCcy24h"
    }

    fn completeness(&self) -> &'static str {
        "a trade's last fill and its number of fills show which are missing; quotes have rising ids with holes: nothing tells"
    }

    fn recognises(&self, payload: &[u8]) -> bool {
        serde_json::from_slice(payload.trim_ascii()).is_ok_and(|envelope| is_plain(&envelope))
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(OkxSession::default())
    }

    fn live(&self) -> Option<&'static Live> {
        Some(&live::LIVE)
    }

    fn past_trades(&self) -> Option<&'static dyn PastTrades> {
        Some(&live::PAST)
    }
}

/// Others wrote this form after it, with a kind of instrument in `arg`, or with other names in the rows.
fn is_plain(envelope: &Envelope<'_>) -> bool {
    let (Some(arg), Some(_)) = (&envelope.arg, envelope.data) else { return false };
    if arg.inst_type.is_some() || arg.inst_id.is_none() {
        return false;
    }
    match arg.channel.text().as_deref().map(Stream::of) {
        Some(Stream::Trades(_)) => envelope.trades().is_ok_and(|rows| !rows.is_empty()),
        Some(Stream::Best) => {
            envelope.books().is_ok_and(|rows| rows.first().is_some_and(|row| row.seq_id.is_some()))
        }
        Some(Stream::Tickers) => envelope.tickers().is_ok_and(|rows| !rows.is_empty()),
        Some(Stream::Depth) => {
            envelope.books().is_ok_and(|rows| rows.first().is_some_and(|row| row.checksum.is_some()))
        }
        _ => false,
    }
}
