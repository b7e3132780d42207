//! Rows of the benchmark's CSV, sixteen bytes at a time.

/// The columns, and the end of their line.
pub(crate) const HEADER: &[u8] = b"time,symbol,id,price,qty,is_buyer_maker\n";
/// Bytes that must be readable behind the last row.
pub(crate) const PADDING: usize = 64;

/// A byte in each of sixteen places.
const fn everywhere(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}

/// One trade.
pub(crate) struct Row {
    /// The second since 1970 in which it happened.
    pub second: i64,
    /// The milliseconds of that second.
    pub milli: u16,
    /// The number of its symbol, in order of appearance.
    pub symbol: usize,
    /// The venue's id.
    pub id: u64,
    /// Price and size, each with its digits behind the point.
    pub price: Scaled,
    pub size: Scaled,
    /// True if the taker bought.
    pub bought: bool,
}

/// `mantissa / 10^scale`.
#[derive(Clone, Copy)]
pub(crate) struct Scaled {
    pub mantissa: i64,
    pub scale: u8,
}

/// Reads rows; remembers the second last read and the symbols met.
pub(crate) struct Parser {
    /// The ten digits of the last second, and its number.
    digits: (u64, u16),
    second: i64,
    /// Symbols by their padded name, in slots by hash; a power of two, at most a quarter in use.
    slots: Vec<(u128, u32)>,
    symbols: u32,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser { digits: (0, 0), second: 0, slots: vec![(0, 0); 1 << 12], symbols: 0 }
    }
}

impl Parser {
    /// The row that begins at `start`, and where the next one does. `None` if it is not as expected.
    #[inline(always)]
    pub(crate) fn row(&mut self, block: &[u8], start: usize) -> Option<(Row, usize)> {
        let time = load(block, start)?;
        let digits = (time as u64, (time >> 64) as u16);
        if digits != self.digits {
            self.digits = digits;
            self.second = number(time, 10) as i64;
        }
        let milli = number(time >> 80, 3) as u16;
        if (time >> 104) as u8 != b',' {
            return None;
        }
        let mut at = start + 14;

        let name = load(block, at)?;
        let length = find(name, b',')?;
        let symbol = self.symbol(name & below(length));
        at += length as usize + 1;

        let text = load(block, at)?;
        let length = find(text, b',')?;
        let id = number(text, length);
        at += length as usize + 1;

        let (price, length) = scaled(load(block, at)?)?;
        at += length as usize + 1;
        let (size, length) = scaled(load(block, at)?)?;
        at += length as usize + 1;

        let bought = *block.get(at)? == b'f';
        let next = at + 5 + usize::from(bought);
        Some((Row { second: self.second, milli, symbol, id, price, size, bought }, next))
    }

    #[inline(always)]
    fn symbol(&mut self, name: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(name) & mask;
        loop {
            let (known, number) = self.slots[slot];
            if known == name {
                return number as usize;
            }
            if known == 0 {
                return self.meet(name, slot);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn meet(&mut self, name: u128, slot: usize) -> usize {
        let number = self.symbols;
        self.slots[slot] = (name, number);
        self.symbols += 1;
        if self.symbols as usize * 4 > self.slots.len() {
            let doubled = vec![(0, 0); self.slots.len() * 2];
            let old = std::mem::replace(&mut self.slots, doubled);
            let mask = self.slots.len() - 1;
            for (name, number) in old.into_iter().filter(|(name, _)| *name != 0) {
                let mut slot = hash(name) & mask;
                while self.slots[slot].0 != 0 {
                    slot = (slot + 1) & mask;
                }
                self.slots[slot] = (name, number);
            }
        }
        number as usize
    }
}

#[inline(always)]
fn hash(name: u128) -> usize {
    let folded = name as u64 ^ ((name >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// The sixteen bytes from `at` on, the first one lowest.
#[inline(always)]
fn load(block: &[u8], at: usize) -> Option<u128> {
    block.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| u128::from_le_bytes(*bytes))
}

/// Ones in the lowest `bytes` bytes; fewer than sixteen.
#[inline(always)]
fn below(bytes: u32) -> u128 {
    (1 << (bytes * 8)) - 1
}

/// Where `byte` first is.
#[inline(always)]
fn find(text: u128, byte: u8) -> Option<u32> {
    let differs = text ^ everywhere(byte);
    // The lowest high bit that this sets marks the first byte that is zero (those above it may be wrong).
    let zero = differs.wrapping_sub(everywhere(1)) & !differs & everywhere(0x80);
    (zero != 0).then(|| zero.trailing_zeros() / 8)
}

/// The number in the lowest `length` bytes, at least 1 and at most 16: all digits at once, by pairs of pairs.
#[inline(always)]
fn number(text: u128, length: u32) -> u64 {
    let aligned = text << ((16 - length) * 8) & everywhere(0x0f);
    eight(aligned as u64) * 100_000_000 + eight((aligned >> 64) as u64)
}

#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(2_561) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(6_553_601) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// The decimal up to the next comma, and its length.
#[inline(always)]
fn scaled(text: u128) -> Option<(Scaled, u32)> {
    let length = find(text, b',')?;
    let point = find(text & below(length), b'.');
    let (digits, count, scale) = match point {
        Some(point) => {
            let whole = below(point);
            (text & whole | text >> 8 & !whole, length - 1, length - 1 - point)
        }
        None => (text, length, 0),
    };
    if count == 0 {
        return None;
    }
    Some((Scaled { mantissa: number(digits, count) as i64, scale: scale as u8 }, length))
}
