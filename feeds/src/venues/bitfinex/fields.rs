//! Messages of Bitfinex: events as objects, and the rows of trades.

use serde::Deserialize;

use crate::json::{Cells, Reason, Sink, Token, trade};
use crate::live::{Channel, Notice, Stream};
use crate::number::Decimal;
use crate::past::PastTrade;
use crate::symbol::SymbolId;
use crate::tick::{Rejection, Side, Tick};
use crate::time::{Nanos, TimeError, Unit};

/// The server restarts; maintenance begins; it has ended, and everything is to be subscribed again.
const RESTART: u64 = 20_051;
const MAINTENANCE: u64 = 20_060;
const RESUMED: u64 = 20_061;

/// A message that is an object.
#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) event: Token<'a>,
    #[serde(borrow)]
    pub(super) channel: Option<Token<'a>>,
    #[serde(borrow, rename = "chanId")]
    pub(super) number: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) symbol: Option<Token<'a>>,
    #[serde(borrow, rename = "serverId")]
    pub(super) server: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) status: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) code: Option<Token<'a>>,
    #[serde(borrow)]
    pub(super) msg: Option<Token<'a>>,
}

impl Said<'_> {
    pub(super) fn channel_number(&self) -> Option<u64> {
        self.number?.whole()
    }

    pub(super) fn stream(&self) -> Option<Stream> {
        let name = self.channel?.text()?;
        let channel = Channel::ALL.into_iter().find(|channel| channel_name(*channel) == name)?;
        Some(Stream::new(self.symbol?.text()?, channel))
    }

    pub(super) fn why(&self) -> String {
        self.msg.and_then(Token::text).map(|text| text.into_owned()).unwrap_or_default()
    }
}

/// The venue's name of a channel.
pub(super) fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Trades => "trades",
        Channel::Quotes => "ticker",
    }
}

/// What an `info` says beside the version of the protocol.
pub(super) fn info(said: &Said<'_>) -> Option<Notice> {
    match said.code?.whole()? {
        RESTART => Some(Notice::Ending("the server restarts".to_owned())),
        MAINTENANCE => Some(Notice::Complaint("maintenance has begun".to_owned())),
        RESUMED => Some(Notice::Ending("after maintenance all channels are to be asked for anew".to_owned())),
        _ => None,
    }
}

/// A trade as the array has it; price, amount and time may still be unusable.
pub(super) struct TradeRow {
    id: u64,
    pub(super) time: Result<Nanos, TimeError>,
    price: Result<Decimal, Rejection>,
    size: Result<Decimal, Rejection>,
    side: Side,
}

impl TradeRow {
    pub(super) fn read(cells: &Cells<'_, 4>) -> Result<TradeRow, Reason> {
        let [id, time, amount, price] = cells.all().ok_or("not all of a trade")?;
        let amount = amount.number().ok_or("no amount in the trade")?;
        let (digits, side) = match amount.strip_prefix(b"-") {
            Some(digits) => (digits, Side::Sell),
            None => (amount, Side::Buy),
        };
        Ok(TradeRow {
            id: id.whole().ok_or("no id in the trade")?,
            time: time.time(Unit::Millis).ok_or("no time in the trade")?,
            price: price.decimal().ok_or("no price in the trade")?,
            size: Decimal::parse(digits).map_err(|_| Rejection::BadNumber),
            side,
        })
    }

    /// The trade, for an answer about the past.
    pub(super) fn past(&self) -> PastTrade {
        let event = trade(Some(self.id), self.price, self.size, self.side);
        PastTrade { id: self.id, time: self.time, event }
    }

    pub(super) fn put<'s>(&self, symbol: SymbolId, sink: &'s mut Sink<'_>) -> &'s mut Tick {
        sink.put(symbol, self.time, trade(Some(self.id), self.price, self.size, self.side))
    }
}
