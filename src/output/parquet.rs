//! Parquet: exact decimals as DECIMAL(38, s), times as UTC nanoseconds, every column nullable, zstd.
//!
//! A decimal column has one scale for the whole file, the largest that any of its values needs, and that is known
//! only when all have been seen. So rows go through a [`Spool`] first, then to the file, one row group per block.
//! Memory: one block encoded, and one row group as columns, whatever the number of rows; the temporary file takes
//! about as much room as the result.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::spool::{Block, Spool};
use super::{Cell, Column, ColumnKind};

/// Digits that a DECIMAL of 16 bytes holds.
const PRECISION: u32 = 38;

/// Writes all rows.
pub(super) fn write(
    columns: &[Column],
    rows: impl Iterator<Item = Result<Vec<Cell>>>,
    out: &mut (dyn Write + Send),
) -> Result<u64> {
    let mut spool = Spool::default();
    let mut scales = vec![0u32; columns.len()];
    let mut count = 0;
    for row in rows {
        let row = row?;
        for (index, cell) in row.iter().enumerate() {
            if let Cell::Decimal(text) = cell {
                let scale = scale_of(text).ok_or_else(|| not_plain(&columns[index], text))?;
                scales[index] = scales[index].max(scale);
            }
        }
        spool.push(&row)?;
        count += 1;
    }
    let schema = schema(columns, &scales)?;
    let properties = WriterProperties::builder()
        .set_created_by(format!("tapedeck {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build();
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    spool.replay(|block| write_group(&mut file, columns, &scales, &block))?;
    file.close().context("cannot write the output")?;
    Ok(count)
}

fn schema(columns: &[Column], scales: &[u32]) -> Result<TypePtr> {
    let fields = columns.iter().zip(scales).map(|(column, scale)| field(column, *scale).map(Arc::new));
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Type::group_type_builder("tapedeck").with_fields(fields).build()?))
}

fn field(column: &Column, scale: u32) -> Result<Type> {
    let (physical, logical) = match column.kind {
        ColumnKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        ColumnKind::Count => (PhysicalType::INT64, Some(LogicalType::integer(64, false))),
        ColumnKind::Int => (PhysicalType::INT64, Some(LogicalType::integer(64, true))),
        ColumnKind::Float => (PhysicalType::DOUBLE, None),
        ColumnKind::Decimal => return decimal_field(column, scale),
    };
    let builder = Type::primitive_type_builder(&column.name, physical);
    Ok(builder.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()?)
}

fn decimal_field(column: &Column, scale: u32) -> Result<Type> {
    if scale > PRECISION {
        bail!(
            "column `{}` needs {scale} digits behind the point, and parquet decimals hold {PRECISION} in all; \
             use --format csv or ndjson",
            column.name
        );
    }
    let (scale, precision) = (i32::try_from(scale)?, i32::try_from(PRECISION)?);
    let builder = Type::primitive_type_builder(&column.name, PhysicalType::FIXED_LEN_BYTE_ARRAY)
        .with_length(16)
        .with_precision(precision)
        .with_scale(scale)
        .with_logical_type(Some(LogicalType::decimal(scale, precision)));
    Ok(builder.with_repetition(Repetition::OPTIONAL).build()?)
}

/// The values of one column in one row group; empty cells are in `defined` only.
struct Chunk {
    values: Values,
    defined: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<FixedLenByteArray>, u32),
}

fn write_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    columns: &[Column],
    scales: &[u32],
    block: &Block,
) -> Result<()> {
    let mut chunks: Vec<Chunk> = columns.iter().zip(scales).map(|(c, s)| Chunk::new(c.kind, *s)).collect();
    block.cells(columns.len(), |index, cell| chunks[index].push(&columns[index], cell))?;
    let mut group = file.next_row_group()?;
    for chunk in &chunks {
        let mut column =
            group.next_column()?.ok_or_else(|| anyhow!("parquet has fewer columns than rows"))?;
        chunk.write(&mut column)?;
        column.close()?;
    }
    group.close()?;
    Ok(())
}

impl Chunk {
    fn new(kind: ColumnKind, scale: u32) -> Chunk {
        let values = match kind {
            ColumnKind::Text => Values::Text(Vec::new()),
            ColumnKind::Time | ColumnKind::Count | ColumnKind::Int => Values::Integer(Vec::new()),
            ColumnKind::Float => Values::Float(Vec::new()),
            ColumnKind::Decimal => Values::Decimal(Vec::new(), scale),
        };
        Chunk { values, defined: Vec::new() }
    }

    fn push(&mut self, column: &Column, cell: Cell) -> Result<()> {
        match (&mut self.values, cell) {
            (_, Cell::Empty) => return self.push_nothing(),
            (Values::Float(_), Cell::Float(value)) if !value.is_finite() => return self.push_nothing(),
            (Values::Text(values), Cell::Text(text)) => values.push(ByteArray::from(text.into_bytes())),
            (Values::Float(values), Cell::Float(value)) => values.push(value),
            (Values::Decimal(values, scale), Cell::Decimal(text)) => {
                let mantissa = mantissa_at(&text, *scale).ok_or_else(|| too_wide(column, &text, *scale))?;
                values.push(FixedLenByteArray::from(mantissa.to_be_bytes().to_vec()));
            }
            (Values::Integer(values), cell) => values.push(integer(column, &cell)?),
            (_, cell) => return Err(mismatch(column, &cell)),
        }
        self.defined.push(1);
        Ok(())
    }

    fn push_nothing(&mut self) -> Result<()> {
        self.defined.push(0);
        Ok(())
    }

    fn write(&self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let defined = Some(self.defined.as_slice());
        match &self.values {
            Values::Text(values) => column.typed::<ByteArrayType>().write_batch(values, defined, None)?,
            Values::Integer(values) => column.typed::<Int64Type>().write_batch(values, defined, None)?,
            Values::Float(values) => column.typed::<DoubleType>().write_batch(values, defined, None)?,
            Values::Decimal(values, _) => {
                column.typed::<FixedLenByteArrayType>().write_batch(values, defined, None)?
            }
        };
        Ok(())
    }
}

fn integer(column: &Column, cell: &Cell) -> Result<i64> {
    match (column.kind, cell) {
        (ColumnKind::Time, Cell::Time(value)) | (ColumnKind::Int, Cell::Int(value)) => Ok(*value),
        // The logical type says that the 64 bits are unsigned.
        (ColumnKind::Count, Cell::Count(value)) => Ok(value.cast_signed()),
        _ => Err(mismatch(column, cell)),
    }
}

fn mismatch(column: &Column, cell: &Cell) -> anyhow::Error {
    anyhow!("column `{}` is of kind {:?} and cannot hold {cell:?}", column.name, column.kind)
}

fn not_plain(column: &Column, text: &str) -> anyhow::Error {
    anyhow!("column `{}` holds `{text}`, which is no plain decimal", column.name)
}

fn too_wide(column: &Column, text: &str, scale: u32) -> anyhow::Error {
    anyhow!(
        "column `{}` holds {text}, which does not fit DECIMAL({PRECISION}, {scale}), the scale that its values \
         need; use --format csv or ndjson, or ask for fewer symbols",
        column.name
    )
}

/// Digits behind the point without trailing zeros; `None` if `text` is no plain decimal.
fn scale_of(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    u32::try_from(fraction.trim_end_matches('0').len()).ok()
}

/// The integer that, divided by `10^scale`, is the plain decimal `text`; `None` if it has more than [`PRECISION`]
/// digits. `scale` is at least that of `text`.
fn mantissa_at(text: &str, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut mantissa: i128 = 0;
    let zeros = (scale as usize).checked_sub(fraction.len())?;
    for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros)) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let fits = mantissa < 10i128.pow(PRECISION);
    fits.then_some(if negative { -mantissa } else { mantissa })
}
