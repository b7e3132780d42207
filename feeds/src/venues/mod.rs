//! The venues: one file each here, and one line each in [`VENUES`].

mod binance;
mod bitfinex;
mod bitflyer;
mod bitget;
mod bitmex;
mod bitstamp;
mod bybit;
mod coinbase;
mod crypto_com;
mod deribit;
mod dydx;
mod gate;
mod gemini;
mod hitbtc;
mod htx;
mod hyperliquid;
mod kraken;
mod kraken_futures;
mod kucoin;
mod okx;
mod phemex;
mod poloniex;
mod upbit;

use crate::venue::Venue;

/// Every venue, in the order of documentation and listings. Where frames alone must tell, the first that
/// recognises one is it.
pub static VENUES: &[&dyn Venue] = &[
    // One to a line, this comment sees to that.
    &binance::SPOT,
    &binance::US,
    &binance::USDM,
    &binance::COINM,
    &coinbase::EXCHANGE,
    &coinbase::ADVANCED,
    &kraken::SPOT,
    &kraken_futures::FUTURES,
    &htx::SPOT,
    &htx::LINEAR,
    &htx::COIN,
    &hyperliquid::HYPERLIQUID,
    &upbit::UPBIT,
    &bitflyer::BITFLYER,
    &phemex::PHEMEX,
    &poloniex::POLONIEX,
    &crypto_com::CRYPTO_COM,
    &gemini::GEMINI,
    &bybit::SPOT,
    &bybit::LINEAR,
    &bybit::INVERSE,
    &bitstamp::Bitstamp,
    &okx::OKX,
    &deribit::DERIBIT,
    &bitfinex::Bitfinex,
    &bitget::SPOT,
    &bitget::MIX,
    &dydx::DYDX,
    &bitmex::Bitmex,
    &kucoin::Kucoin,
    &gate::SPOT,
    &gate::FUTURES,
    &hitbtc::Hitbtc,
];

/// The venue with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static dyn Venue> {
    VENUES.iter().copied().find(|venue| venue.id() == id)
}
