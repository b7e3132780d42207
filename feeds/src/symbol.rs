//! Symbols: `venue:NATIVE` in text, a small number inside.
//!
//! The native part is exactly as on the wire (`coinbase:BTC-USD`). Numbers never appear in an output or an order.

use std::collections::HashMap;
use std::fmt;

/// The number of a symbol in one [`SymbolTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u32);

/// A symbol's full name, `venue:NATIVE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(String);

impl Symbol {
    /// The symbol `native` of `venue`.
    #[must_use]
    pub fn new(venue: &str, native: &str) -> Symbol {
        Symbol(format!("{venue}:{native}"))
    }

    /// Reads `venue:NATIVE`; `None` if one half is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Symbol> {
        let (venue, native) = text.split_once(':')?;
        (!venue.is_empty() && !native.is_empty()).then(|| Symbol(text.to_owned()))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The venue's id.
    #[must_use]
    pub fn venue(&self) -> &str {
        self.0.split_once(':').map_or("", |(venue, _)| venue)
    }

    /// The name on the wire.
    #[must_use]
    pub fn native(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, native)| native)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The symbols one decoder has met, numbered in the order of meeting.
///
/// Decoders run apart from each other, each with a table of its own; the sequencer translates.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    venue: String,
    by_native: HashMap<Vec<u8>, SymbolId>,
    symbols: Vec<Symbol>,
    last: Option<(Vec<u8>, SymbolId)>,
}

impl SymbolTable {
    /// An empty table whose native names belong to `venue`.
    #[must_use]
    pub fn new(venue: &str) -> SymbolTable {
        SymbolTable { venue: venue.to_owned(), ..SymbolTable::default() }
    }

    /// The number of the table's venue's symbol `native`, new if it was not met before. Bytes that are not UTF-8
    /// are taken with replacement characters.
    #[inline]
    pub fn intern(&mut self, native: &[u8]) -> SymbolId {
        if let Some((name, id)) = &self.last
            && name.as_slice() == native
        {
            return *id;
        }
        self.intern_slow(native)
    }

    fn intern_slow(&mut self, native: &[u8]) -> SymbolId {
        let id = match self.by_native.get(native) {
            Some(id) => *id,
            None => {
                let symbol = Symbol::new(&self.venue, &String::from_utf8_lossy(native));
                self.insert(native, symbol)
            }
        };
        // The buffer is used again: symbols take turns by the tick.
        let mut name = self.last.take().map(|(name, _)| name).unwrap_or_default();
        name.clear();
        name.extend_from_slice(native);
        self.last = Some((name, id));
        id
    }

    /// The number of a symbol given in full, for files that name several venues.
    pub fn intern_full(&mut self, symbol: &Symbol) -> SymbolId {
        match self.by_native.get(symbol.as_str().as_bytes()) {
            Some(id) => *id,
            None => self.insert(symbol.as_str().as_bytes(), symbol.clone()),
        }
    }

    fn insert(&mut self, key: &[u8], symbol: Symbol) -> SymbolId {
        let id = SymbolId(u32::try_from(self.symbols.len()).unwrap_or(u32::MAX));
        self.symbols.push(symbol);
        self.by_native.insert(key.to_vec(), id);
        id
    }

    /// All symbols, by number.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_numbered_in_the_order_of_meeting() {
        let mut table = SymbolTable::new("binance");
        let names: [&[u8]; 6] = [b"BTCUSDT", b"ETHUSDT", b"BTCUSDT", b"BTCUSDT", b"X", b"ETHUSDT"];
        let ids = names.map(|name| table.intern(name).0);
        assert_eq!(ids, [0, 1, 0, 0, 2, 1]);
        let texts: Vec<&str> = table.symbols().iter().map(Symbol::as_str).collect();
        assert_eq!(texts, ["binance:BTCUSDT", "binance:ETHUSDT", "binance:X"]);
    }

    #[test]
    fn full_symbols_keep_their_venue() {
        let mut table = SymbolTable::new("file");
        let full = Symbol::parse("kraken:BTC/USD").unwrap();
        let id = table.intern_full(&full);
        assert_eq!(table.intern_full(&full), id);
        assert_eq!(table.symbols(), std::slice::from_ref(&full));
        assert_eq!((full.venue(), full.native()), ("kraken", "BTC/USD"));
    }

    #[test]
    fn a_symbol_has_two_halves() {
        for text in ["", "BTCUSDT", ":BTCUSDT", "binance:", ":"] {
            assert_eq!(Symbol::parse(text), None, "{text:?}");
        }
        let colons = Symbol::parse("bitfinex:tTESTBTC:TESTUSD").unwrap();
        assert_eq!(colons.native(), "tTESTBTC:TESTUSD");
    }
}
