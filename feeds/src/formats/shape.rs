//! Trades in rows of the commonest shapes, sixteen bytes at a time.
//!
//! A row is taken here if no cell has quotes or blanks, its numbers are short, with at most one point, and its
//! symbol is known. Any other row gives nothing, and its table reads it the long way: what is taken here is taken
//! alike there, and what is odd or wrong is told only there.

use crate::number::Decimal;
use crate::symbol::{SymbolId, SymbolTable};
use crate::tick::{Event, Side, Tick, Trade};
use crate::time::{Nanos, Unit};
use crate::word::{Word, decimal_before, number_before};

use super::stamp::Stamps;
use super::table::{Columns, EventColumns, Naming, SideColumn};

/// The rows of a table, as its columns tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `time,symbol,id,price,qty,is_buyer_maker`
    Csv(Unit),
    /// `id,price,qty,…,time,is_buyer_maker` and perhaps a further boolean, of one symbol.
    Vision {
        unit: Unit,
        /// Columns between size and time, which are not used.
        passed_over: usize,
        has_flag: bool,
    },
    /// Another: every row is read the long way.
    Other,
}

impl Shape {
    /// The shape of rows of these columns.
    pub(super) fn of(columns: &Columns, naming: &Naming, stamps: Stamps) -> Shape {
        let EventColumns::Trade { id: Some(id), price, size, side: SideColumn::BuyerIsMaker(maker) } =
            columns.event
        else {
            return Shape::Other;
        };
        let (Stamps::Number(unit @ (Unit::Seconds | Unit::Millis | Unit::Micros)), None) =
            (stamps, columns.received_at)
        else {
            return Shape::Other;
        };
        let (width, time) = (columns.width, columns.time);
        match naming {
            Naming::Column { symbol: 1, .. }
                if [time, id, price, size, maker, width] == [0, 2, 3, 4, 5, 6] =>
            {
                Shape::Csv(unit)
            }
            Naming::Fixed(_)
                if [id, price, size, maker] == [0, 1, 2, time + 1]
                    && time > size
                    && (width == time + 2 || width == time + 3) =>
            {
                Shape::Vision { unit, passed_over: time - size - 1, has_flag: width == time + 3 }
            }
            _ => Shape::Other,
        }
    }

    /// The tick of the row of `block` that begins at `start`, and where the next row does; `fixed` is the symbol of
    /// a table that has but one. `None` if the row is not of this shape, or there is too little before or behind it
    /// to tell.
    #[inline(always)]
    pub(super) fn row(
        self,
        block: &[u8],
        start: usize,
        fixed: Option<SymbolId>,
        symbols: &mut SymbolTable,
    ) -> Option<(Tick, usize)> {
        let mut cells = Cells { block, at: start };
        let (symbol, time, id, price, size, side);
        match self {
            Shape::Csv(unit) => {
                time = cells.time(unit)?;
                symbol = cells.symbol(symbols)?;
                (id, price, size) = (cells.id()?, cells.decimal()?, cells.decimal()?);
                side = cells.maker_side()?;
            }
            Shape::Vision { unit, passed_over, has_flag } => {
                symbol = fixed?;
                (id, price, size) = (cells.id()?, cells.decimal()?, cells.decimal()?);
                for _ in 0..passed_over {
                    cells.pass_over()?;
                }
                time = cells.time(unit)?;
                side = cells.maker_side()?;
                if has_flag {
                    cells.expect(b',')?;
                    cells.maker_side()?;
                }
            }
            Shape::Other => return None,
        }
        if size.is_zero() {
            return None;
        }
        let next = cells.end_of_row()?;
        Some((Tick::new(symbol, time, None, Event::Trade(Trade::new(Some(id), price, size, side))), next))
    }
}

/// The cells of a row, one after the other.
struct Cells<'b> {
    block: &'b [u8],
    at: usize,
}

impl Cells<'_> {
    #[inline(always)]
    fn word(&self) -> Option<Word> {
        Word::load(self.block, self.at)
    }

    /// Steps over one byte, which must be `byte`.
    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = *self.block.get(self.at)? == byte;
        self.at += 1;
        found.then_some(())
    }

    /// A time of as many digits as one of today has.
    #[inline(always)]
    fn time(&mut self, unit: Unit) -> Option<Nanos> {
        let word = self.word()?;
        let (number, digits) = match unit {
            Unit::Seconds => (word.number::<10>(), 10),
            Unit::Millis => (word.number::<13>(), 13),
            Unit::Micros => (word.number::<16>(), 16),
            Unit::Nanos => (None, 0),
        };
        self.at += digits;
        self.expect(b',')?;
        // Sixteen digits fit in an i64.
        unit.to_nanos(number? as i64).ok()
    }

    /// A symbol that was met before. One that has quotes was met in a cell with quotes, which are balanced, so that
    /// this cell ends where that one did.
    #[inline(always)]
    fn symbol(&mut self, symbols: &mut SymbolTable) -> Option<SymbolId> {
        let word = self.word()?;
        let length = word.find(b',');
        if length > 15 {
            return None;
        }
        self.at += length + 1;
        symbols.by_short_alias(word, length)
    }

    #[inline(always)]
    fn id(&mut self) -> Option<u64> {
        let length = self.word()?.find(b',');
        let end = self.at + length;
        self.at = end + 1;
        number_before(self.block, end, length)
    }

    #[inline(always)]
    fn decimal(&mut self) -> Option<Decimal> {
        let word = self.word()?;
        let length = word.find(b',');
        let end = self.at + length;
        self.at = end + 1;
        decimal_before(self.block, end, length, word)
    }

    /// A cell of whatever, if it has no quotes.
    #[inline(always)]
    fn pass_over(&mut self) -> Option<()> {
        for _ in 0..2 {
            let word = self.word()?;
            let length = word.find(b',');
            if word.find(b'"') < length || word.find(b'\n') < length {
                return None;
            }
            if length < 16 {
                self.at += length + 1;
                return Some(());
            }
            self.at += length;
        }
        None
    }

    #[inline(always)]
    fn maker_side(&mut self) -> Option<Side> {
        let (is_maker, length) = self.word()?.boolean()?;
        self.at += length;
        Some(if is_maker { Side::Sell } else { Side::Buy })
    }

    /// Where the next row begins, if this one ends here.
    #[inline(always)]
    fn end_of_row(&mut self) -> Option<usize> {
        if self.block.get(self.at) == Some(&b'\r') {
            self.at += 1;
        }
        self.expect(b'\n')?;
        Some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::symbol::Symbol;
    use crate::venue::DuplicateKey;

    use super::super::table::Table;
    use super::super::{Decoded, Decoder, Head, csv};
    use super::*;

    /// A table of one of the shapes, with its kind of row.
    fn table(kind: usize) -> Table {
        let header = b"time,symbol,id,price,qty,is_buyer_maker\n";
        let first = ["1700000000", "1700000000000", "1700000000000000"][kind % 3];
        let head = [header, first.as_bytes(), b",AB,1,2,3,true\n"].concat();
        let head = Head { file_name: "t.csv", bytes: &head, venue: None, symbol: None };
        let table = csv::open(&head).unwrap();
        if kind < 3 {
            return table;
        }
        let side = SideColumn::BuyerIsMaker(5);
        let event = EventColumns::Trade { id: Some(0), price: 1, size: 2, side };
        Table {
            columns: Columns { width: 6 + kind % 2, time: 4, received_at: None, event },
            naming: Naming::Fixed(Symbol::new("v", "AB")),
            header: Vec::new(),
            key: DuplicateKey::Contiguous,
            ..table
        }
    }

    fn shape_of(table: &Table) -> Shape {
        Shape::of(&table.columns, &table.naming, table.stamps)
    }

    /// Blocks decoded in order with one table: what each gave, and the symbols.
    fn decode(kind: usize, shape: Option<Shape>, blocks: &[&[u8]]) -> (Vec<Decoded>, Vec<Symbol>) {
        let mut table = table(kind);
        let shape = shape.unwrap_or_else(|| shape_of(&table));
        let decode = |block: &&[u8]| {
            let mut out = Decoded::default();
            table.decode_as(shape, block, &mut out);
            out
        };
        (blocks.iter().map(decode).collect(), table.symbols().symbols().to_vec())
    }

    fn text(blocks: &[Decoded]) -> Vec<String> {
        let text = |out: &Decoded| {
            let output = &out.output.ticks;
            format!(
                "{:?} {:?} {} {:?} {}",
                output, out.frames, out.lines, out.complaints, out.complaints_in_all
            )
        };
        blocks.iter().map(text).collect()
    }

    #[test]
    fn plain_rows_are_read_here() {
        let lines = [
            ("1700000000123,ABUSDT,18446744073,61837.63000000,0.00100,true\n", 1),
            ("1700000000123,A,7,5,30,False\r\n", 1),
            ("1700000000123,LONGESTNAMEIS15,123456789012345,1.2345678901234,12345678901234.,true\n", 4),
            ("1700000000123,\"Q\",0,0.,.5,true\n", 0),
        ];
        let block: String = lines.iter().map(|(line, _)| *line).collect::<String>() + &" ".repeat(16);
        let (mut table, mut at) = (table(1), 0);
        let shape = shape_of(&table);
        table.decode_as(Shape::Other, block.as_bytes(), &mut Decoded::default());
        for (line, _) in lines {
            let mut expected = Decoded::default();
            table.decode_as(Shape::Other, line.as_bytes(), &mut expected);
            let (tick, next) = shape.row(block.as_bytes(), at, None, &mut table.symbols).unwrap();
            assert_eq!((vec![tick], next), (expected.output.ticks, at + line.len()), "{line}");
            at = next;
        }
        assert_eq!(shape.row(block.as_bytes(), at, None, &mut table.symbols), None);
    }

    #[test]
    fn many_odd_rows_change_nothing_about_those_behind() {
        let odd = "1700000000123,AB,1,1e3,0.5,true\n".repeat(500);
        let plain = "1700000000123,AB,1,2,0.5,true\n".repeat(500);
        let block = [plain.as_str(), &odd, &odd, &odd, &plain].concat();
        let here = decode(1, None, &[block.as_bytes()]);
        assert_eq!(text(&here.0), text(&decode(1, Some(Shape::Other), &[block.as_bytes()]).0));
        assert_eq!((here.0[0].lines, here.0[0].frames.ticks), (2_500, 2_500));
    }

    #[test]
    fn shapes_are_told_by_the_columns() {
        assert_eq!(shape_of(&table(0)), Shape::Csv(Unit::Seconds));
        assert_eq!(shape_of(&table(2)), Shape::Csv(Unit::Micros));
        let vision = |unit, has_flag| Shape::Vision { unit, passed_over: 1, has_flag };
        assert_eq!(shape_of(&table(4)), vision(Unit::Millis, false));
        assert_eq!(shape_of(&table(5)), vision(Unit::Micros, true));
        let mut other = table(1);
        other.columns.width = 7;
        assert_eq!(shape_of(&other), Shape::Other);
        let mut other = table(1);
        other.stamps = Stamps::Number(Unit::Nanos);
        assert_eq!(shape_of(&other), Shape::Other);
        let mut other = table(4);
        other.columns.received_at = Some(3);
        assert_eq!(shape_of(&other), Shape::Other);
    }

    fn number() -> BoxedStrategy<String> {
        let odd = [
            "",
            "0",
            "0.000",
            ".",
            ".5",
            "5.",
            "1.2.3",
            "-1",
            "1e3",
            "nan",
            " 7",
            "\"8\"",
            "1,5",
            "\u{feff}1",
        ];
        prop_oneof![
            8 => "[0-9]{1,7}[.][0-9]{1,4}0{0,3}",
            4 => "[0-9]{1,15}",
            2 => "[0-9]{10,20}[.]?[0-9]{0,9}",
            1 => select(odd.to_vec()).prop_map(str::to_owned),
        ]
        .boxed()
    }

    fn time(kind: usize) -> BoxedStrategy<String> {
        let zeros = "0".repeat(kind % 3 * 3);
        prop_oneof![
            12 => (600_000_000u64..7_300_000_000).prop_map(move |second| format!("{second:010}{zeros}")),
            1 => "[0-9]{9,20}",
            1 => "[0-9]{12}[x. \"]|2023-11-14T22:13:20Z|",
        ]
        .boxed()
    }

    fn row(kind: usize) -> BoxedStrategy<String> {
        let symbol = prop_oneof![8 => "[A-D]", 4 => "[A-D]{3,17}", 1 => "\"[AB]\"|[AB\" ]{0,3}|x:[AB]"];
        let side = prop_oneof![
            12 => select(vec!["true", "false", "True", "False"]),
            1 => select(vec!["TRUE", "1", "", "maybe", "\"true\"", "true "]),
        ];
        let id = prop_oneof![8 => "[0-9]{1,15}", 1 => "[0-9]{16,21}", 1 => number()];
        let end = select(vec!["\n", "\n", "\n", "\r\n", "\r\r\n", ",\n", ""]);
        (time(kind), symbol, id, (number(), number(), number()), side, end)
            .prop_map(move |(time, symbol, id, (price, size, other), side, end)| {
                if kind < 3 {
                    return format!("{time},{symbol},{id},{price},{size},{side}{end}");
                }
                let flag = if kind % 2 == 1 { ",true" } else { "" };
                format!("{id},{price},{size},{other},{time},{side}{flag}{end}")
            })
            .boxed()
    }

    /// Rows, some with a byte changed, added or taken away, and garbage between.
    fn block(kind: usize) -> BoxedStrategy<Vec<u8>> {
        let bytes = b",,\n\n\"\".0159tf-+ e\r\0\xef/:";
        let change = (any::<prop::sample::Index>(), select(bytes.to_vec()), 0..3);
        let mutated = (row(kind), change).prop_map(|(row, (at, byte, way))| {
            let mut row = row.into_bytes();
            let at = at.index(row.len());
            match way {
                0 => row[at] = byte,
                1 => row.insert(at, byte),
                _ => drop(row.remove(at)),
            }
            row
        });
        let garbage = prop::collection::vec(any::<u8>(), 0..60);
        let line = prop_oneof![12 => row(kind).prop_map(String::into_bytes), 4 => mutated, 1 => garbage];
        prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat()).boxed()
    }

    /// `block` in two, behind the line in which `at` is.
    fn split(block: &[u8], at: usize) -> [&[u8]; 2] {
        let line = block[at..].iter().position(|byte| *byte == b'\n').map_or(block.len(), |end| at + end + 1);
        let (left, right) = block.split_at(line);
        [left, right]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]

        #[test]
        fn what_is_taken_here_is_what_the_long_way_takes(
            (kind, block) in (0usize..6).prop_flat_map(|kind| (Just(kind), block(kind))),
            at in any::<prop::sample::Index>(),
        ) {
            prop_assert_ne!(shape_of(&table(kind)), Shape::Other);
            // Twice, so that symbols are known.
            let twice = [block.as_slice(), block.as_slice()];
            let (plain, plain_symbols) = decode(kind, None, &twice);
            let (general, general_symbols) = decode(kind, Some(Shape::Other), &twice);
            prop_assert_eq!(text(&plain), text(&general));
            prop_assert_eq!(&plain_symbols, &general_symbols);

            prop_assume!(!block.is_empty());
            let (parts, symbols) = decode(kind, None, &split(&block, at.index(block.len())));
            let ticks: Vec<Tick> = parts.iter().flat_map(|part| part.output.ticks.clone()).collect();
            prop_assert_eq!(&ticks, &plain[0].output.ticks);
            prop_assert_eq!(parts.iter().map(|part| part.lines).sum::<u64>(), plain[0].lines);
            prop_assert_eq!(symbols, plain_symbols);
        }
    }
}
