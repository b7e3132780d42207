//! Symbols: `venue:NATIVE` in text, a small number inside.
//!
//! The native part is exactly as on the wire (`coinbase:BTC-USD`). Numbers never appear in an output or an order.

use std::fmt;

use crate::word::Word;

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
/// Decoders run apart from each other, each with a table of its own; the sequencer translates. Every row of a file
/// looks its symbol up here, so keys lie one behind the other in one buffer and are found by open addressing. A
/// symbol has one number however many keys (its native name, its full name, aliases) lead to it.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    venue: String,
    symbols: Vec<Symbol>,
    keys: Vec<Key>,
    /// The text of all keys.
    texts: Vec<u8>,
    /// A power of two of places, at least twice the number of keys: 0 is free, else the key's index + 1.
    places: Vec<u32>,
    /// Short aliases that were lately asked for, as [`Word::key`]s, by hash; nothing or [`RECENT`] of them.
    recent: Vec<(u128, SymbolId)>,
}

/// Most symbols of one table: twice as many as the engine is built for, and fifty times as many as the largest venue has.
/// With some 200 bytes each, 50 MiB.
pub const SYMBOLS_MAX: usize = 1 << 18;
/// The native name of all symbols beyond [`SYMBOLS_MAX`] together. Their ticks are dropped.
pub const BEYOND: &str = "(too many symbols)";

/// Places for short aliases, a power of two.
const RECENT: usize = 1 << 12;

/// What a key's text is, so that a native name and an alias of the same text do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Native,
    Full,
    Alias,
}

#[derive(Clone, Copy, Debug)]
struct Key {
    hash: u64,
    start: usize,
    end: usize,
    kind: KeyKind,
    id: SymbolId,
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
        match self.find(KeyKind::Native, native) {
            Some(id) => id,
            None => self.intern_new(native),
        }
    }

    /// The number of all symbols for which there was no room, if there are such: nothing may be made of their ticks.
    #[must_use]
    #[inline]
    pub fn beyond(&self) -> Option<SymbolId> {
        (self.symbols.len() > SYMBOLS_MAX).then_some(SymbolId(SYMBOLS_MAX as u32))
    }

    #[cold]
    fn intern_new(&mut self, native: &[u8]) -> SymbolId {
        if let Some(beyond) = self.beyond() {
            return beyond;
        }
        let symbol = Symbol::new(&self.venue, &String::from_utf8_lossy(native));
        let id = self.number(&symbol);
        self.add_key(KeyKind::Native, native, id);
        id
    }

    /// The number of a symbol given in full, for files that name several venues.
    pub fn intern_full(&mut self, symbol: &Symbol) -> SymbolId {
        self.number(symbol)
    }

    /// The number that [`SymbolTable::alias`] gave to `text`.
    #[must_use]
    #[inline]
    pub fn by_alias(&self, text: &[u8]) -> Option<SymbolId> {
        self.find(KeyKind::Alias, text)
    }

    /// As [`SymbolTable::by_alias`], for the first `length` (at most fifteen) bytes of `word`.
    #[inline(always)]
    pub(crate) fn by_short_alias(&mut self, word: Word, length: usize) -> Option<SymbolId> {
        let key = word.key(length);
        let place = recent_place(key);
        // An alias lies where its hash says, or beside that.
        for place in [place, place ^ 1] {
            if let Some((known, id)) = self.recent.get(place)
                && *known == key
            {
                return Some(*id);
            }
        }
        self.remember(key, length)
    }

    #[cold]
    #[inline(never)]
    fn remember(&mut self, key: u128, length: usize) -> Option<SymbolId> {
        let id = self.by_alias(key.to_le_bytes().get(..length)?)?;
        self.recent.resize(RECENT, (0, id));
        let place = recent_place(key);
        let free = [place, place ^ 1].into_iter().find(|place| self.recent[*place].0 == 0);
        self.recent[free.unwrap_or(place)] = (key, id);
        Some(id)
    }

    /// From now on `text` stands for `symbol` in [`SymbolTable::by_alias`]: how a file writes a symbol.
    pub fn alias(&mut self, text: &[u8], symbol: &Symbol) -> SymbolId {
        if let Some(id) = self.by_alias(text) {
            return id;
        }
        let id = self.number(symbol);
        if self.beyond() == Some(id) {
            return id;
        }
        self.add_key(KeyKind::Alias, text, id);
        id
    }

    /// The venue of native names.
    #[must_use]
    pub fn venue(&self) -> &str {
        &self.venue
    }

    /// All symbols, by number.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    fn number(&mut self, symbol: &Symbol) -> SymbolId {
        let text = symbol.as_str().as_bytes();
        if let Some(id) = self.find(KeyKind::Full, text) {
            return id;
        }
        if let Some(beyond) = self.beyond() {
            return beyond;
        }
        let id = SymbolId(u32::try_from(self.symbols.len()).unwrap_or(u32::MAX));
        if self.symbols.len() == SYMBOLS_MAX {
            self.symbols.push(Symbol::new(&self.venue, BEYOND));
            return id;
        }
        self.symbols.push(symbol.clone());
        self.add_key(KeyKind::Full, text, id);
        id
    }

    #[inline]
    fn find(&self, kind: KeyKind, text: &[u8]) -> Option<SymbolId> {
        if self.places.is_empty() {
            return None;
        }
        let hash = hash_of(kind, text);
        let mask = self.places.len() - 1;
        let mut place = place_of(hash, mask);
        loop {
            let index = self.places[place];
            if index == 0 {
                return None;
            }
            let key = &self.keys[index as usize - 1];
            if key.hash == hash && key.kind == kind && &self.texts[key.start..key.end] == text {
                return Some(key.id);
            }
            place = (place + 1) & mask;
        }
    }

    fn add_key(&mut self, kind: KeyKind, text: &[u8], id: SymbolId) {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.keys.push(Key { hash: hash_of(kind, text), start, end: self.texts.len(), kind, id });
        if self.keys.len() * 2 > self.places.len() {
            self.grow();
        } else {
            self.place(self.keys.len() - 1);
        }
    }

    fn grow(&mut self) {
        self.places = vec![0; (self.keys.len() * 4).next_power_of_two().max(64)];
        for index in 0..self.keys.len() {
            self.place(index);
        }
    }

    fn place(&mut self, index: usize) {
        let mask = self.places.len() - 1;
        let mut place = place_of(self.keys[index].hash, mask);
        while self.places[place] != 0 {
            place = (place + 1) & mask;
        }
        self.places[place] = u32::try_from(index + 1).unwrap_or(u32::MAX);
    }
}

/// The product's high bits are the mixed ones.
#[inline]
fn place_of(hash: u64, mask: usize) -> usize {
    (hash >> 32) as usize & mask
}

/// Where in [`SymbolTable::recent`] a key belongs.
#[inline(always)]
fn recent_place(key: u128) -> usize {
    let folded = key as u64 ^ ((key >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (RECENT - 1)
}

/// A quick hash of short texts; texts come from files that their owner chose to read, so it need not withstand
/// made-up collisions beyond going slow.
#[inline]
fn hash_of(kind: KeyKind, text: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let seed = (text.len() as u64) << 8 | kind as u64;
    let step = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    let (words, tail) = text.as_chunks::<8>();
    let mut hash = words.iter().fold(seed, |hash, word| step(hash, u64::from_le_bytes(*word)));
    // The last eight bytes overlap those before; that saves a loop over the tail.
    let last = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    hash = step(hash, last);
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_per_symbol_however_it_is_named() {
        let mut table = SymbolTable::new("here");
        let native = table.intern(b"AB");
        assert_eq!(table.intern_full(&Symbol::new("here", "AB")), native);
        assert_eq!(table.alias(b"here:AB", &Symbol::new("here", "AB")), native);
        assert_eq!(table.by_alias(b"here:AB"), Some(native));
        assert_eq!(table.by_alias(b"AB"), None);
        let colon = table.intern(b"here:AB");
        assert_ne!(colon, native);
        assert_eq!(table.symbols()[1].as_str(), "here:here:AB");
    }

    #[test]
    fn numbers_are_in_the_order_of_meeting_and_stay() {
        let mut table = SymbolTable::new("v");
        let names: Vec<String> = (0..5_000).map(|n| format!("{}X{n}", "LONG".repeat(n % 5))).collect();
        for round in 0..2 {
            for (n, name) in names.iter().enumerate() {
                assert_eq!(table.intern(name.as_bytes()), SymbolId(n as u32), "round {round}, {name}");
            }
        }
        assert_eq!(table.symbols().len(), names.len());
        assert_eq!(table.symbols()[77].native(), names[77]);
    }

    #[test]
    fn what_finds_no_room_shares_one_number_and_costs_nothing_more() {
        let mut table = SymbolTable::new("v");
        for n in 0..SYMBOLS_MAX {
            assert_eq!(table.intern(format!("S{n}").as_bytes()), SymbolId(n as u32));
        }
        assert_eq!(table.beyond(), None);
        let beyond = table.intern(b"ONE MORE");
        assert_eq!(table.beyond(), Some(beyond));
        let size = (table.symbols.len(), table.keys.len(), table.texts.len());
        for n in 0..1_000 {
            assert_eq!(table.intern(format!("MORE{n}").as_bytes()), beyond);
            assert_eq!(table.alias(format!("A{n}").as_bytes(), &Symbol::new("w", &format!("M{n}"))), beyond);
            assert_eq!(table.intern_full(&Symbol::new("w", &format!("M{n}"))), beyond);
        }
        assert_eq!((table.symbols.len(), table.keys.len(), table.texts.len()), size);
        assert_eq!(table.symbols()[beyond.0 as usize].as_str(), "v:(too many symbols)");
        assert_eq!(table.intern(b"S7"), SymbolId(7), "those that are known stay");
    }

    #[test]
    fn bytes_that_are_no_text_are_told_apart_by_their_bytes_or_share_a_number() {
        let mut table = SymbolTable::new("v");
        let a = table.intern(b"A\xff");
        assert_eq!(table.intern(b"A\xff"), a);
        assert_eq!(table.intern(b"A\xfe"), a, "the same text after replacement is the same symbol");
        assert_eq!(table.symbols().len(), 1);
    }

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
    fn short_aliases_are_those_of_the_table() {
        let mut table = SymbolTable::new("v");
        let texts: Vec<String> =
            (0..9_000).map(|n| format!("{}{n}", "ABCDEFGHIJK".get(n % 9..).unwrap())).collect();
        let short = |table: &mut SymbolTable, text: &str| {
            let padded = format!("{text},ABCDEFGHIJKLMNOP");
            table.by_short_alias(Word::load(padded.as_bytes(), 0).unwrap(), text.len())
        };
        for text in &texts {
            assert_eq!(short(&mut table, text), None, "{text} before it is met");
            let id = table.alias(text.as_bytes(), &Symbol::new("v", text));
            assert_eq!(short(&mut table, text), Some(id), "{text}");
            assert_eq!(short(&mut table, ""), None);
        }
        for (n, text) in texts.iter().enumerate().rev() {
            assert_eq!(short(&mut table, text), Some(SymbolId(n as u32)), "{text} again");
            assert_eq!(short(&mut table, text), table.by_alias(text.as_bytes()));
        }
        table.intern(b"NATIVE");
        assert_eq!(short(&mut table, "NATIVE"), None);
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
