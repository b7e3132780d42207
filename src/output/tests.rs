//! What every format writes, held against independent readers.

use std::fs;
use std::io;

use anyhow::anyhow;
use proptest::prelude::*;

use super::*;

const T: Nanos = 1_723_161_255_342_000_000;

fn columns() -> Vec<Column> {
    [
        ("symbol", ColumnKind::Text),
        ("start", ColumnKind::Time),
        ("close", ColumnKind::Decimal),
        ("trades", ColumnKind::Count),
        ("shift", ColumnKind::Int),
        ("volatility", ColumnKind::Float),
    ]
    .map(|(name, kind)| Column::new(name, kind))
    .to_vec()
}

fn rows() -> Vec<Vec<Cell>> {
    vec![
        vec![
            Cell::Text("made:A,\"B\"".to_owned()),
            Cell::Time(T),
            Cell::Decimal("-12.50".to_owned()),
            Cell::Count(u64::MAX),
            Cell::Int(-7),
            Cell::Float(0.25),
        ],
        vec![
            Cell::Text("made:ü\nx".to_owned()),
            Cell::Time(T + 1),
            Cell::Decimal("0.00000001".to_owned()),
            Cell::Count(3),
            Cell::Int(i64::MIN),
            Cell::Float(f64::NAN),
        ],
        vec![Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty],
    ]
}

fn written(format: Format, columns: &[Column], rows: Vec<Vec<Cell>>) -> Vec<u8> {
    let mut out = Vec::new();
    let expected = rows.len() as u64;
    assert_eq!(write(format, columns, rows.into_iter().map(Ok), &mut out).unwrap(), expected);
    out
}

fn text(format: Format, columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    String::from_utf8(written(format, columns, rows)).unwrap()
}

#[test]
fn csv_is_as_promised() {
    assert_eq!(
        text(Format::Csv, &columns(), rows()),
        "symbol,start,close,trades,shift,volatility\n\
         \"made:A,\"\"B\"\"\",2024-08-08T23:54:15.342000000Z,-12.50,18446744073709551615,-7,0.25\n\
         \"made:ü\nx\",2024-08-08T23:54:15.342000001Z,0.00000001,3,-9223372036854775808,\n\
         ,,,,,\n"
    );
}

#[test]
fn a_lone_empty_field_is_not_an_empty_line() {
    let columns = [Column::new("x", ColumnKind::Text)];
    assert_eq!(text(Format::Csv, &columns, vec![vec![Cell::Empty]]), "x\n\"\"\n");
}

#[test]
fn ndjson_is_as_promised() {
    assert_eq!(
        text(Format::Ndjson, &columns(), rows()),
        "{\"symbol\":\"made:A,\\\"B\\\"\",\"start\":\"2024-08-08T23:54:15.342000000Z\",\"close\":\"-12.50\",\
         \"trades\":\"18446744073709551615\",\"shift\":-7,\"volatility\":0.25}\n\
         {\"symbol\":\"made:ü\\nx\",\"start\":\"2024-08-08T23:54:15.342000001Z\",\"close\":\"0.00000001\",\
         \"trades\":3,\"shift\":\"-9223372036854775808\",\"volatility\":null}\n\
         {\"symbol\":null,\"start\":null,\"close\":null,\"trades\":null,\"shift\":null,\"volatility\":null}\n"
    );
}

#[test]
fn a_table_is_aligned_and_has_no_control_characters() {
    let table = text(Format::Table, &columns(), rows());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "symbol      start                               close                trades                 shift  volatility"
    );
    assert_eq!(
        lines[1],
        "made:A,\"B\"  2024-08-08 23:54:15.342000000      -12.50  18446744073709551615                    -7    0.250000"
    );
    assert_eq!(
        lines[2],
        "made:ü\u{fffd}x    2024-08-08 23:54:15.342000001  0.00000001                     3  -9223372036854775808"
    );
}

#[test]
fn a_narrow_table_drops_whole_columns_and_names_them() {
    let mut out = Vec::new();
    let rows = rows().into_iter().take(1).map(Ok);
    write_sized(Format::Table, &columns(), rows, &mut out, Some(50)).unwrap();
    let table = String::from_utf8(out).unwrap();
    assert_eq!(
        table,
        "symbol      start                     close\n\
         made:A,\"B\"  2024-08-08 23:54:15.342  -12.50\n\
         \nnot shown: trades, shift, volatility; widen the terminal, or use --format csv\n"
    );
}

#[test]
fn a_long_table_comes_in_blocks() {
    let columns = [Column::new("n", ColumnKind::Count)];
    let rows = (0..=table::BLOCK_ROWS as u64).map(|n| vec![Cell::Count(n)]).collect();
    let table = text(Format::Table, &columns, rows);
    assert_eq!(table.lines().filter(|line| line.trim() == "n").count(), 2);
    assert_eq!(table.lines().last(), Some("1000"));
}

#[test]
fn nothing_is_still_a_header() {
    assert_eq!(text(Format::Csv, &columns(), Vec::new()), "symbol,start,close,trades,shift,volatility\n");
    assert_eq!(text(Format::Ndjson, &columns(), Vec::new()), "");
    assert!(text(Format::Table, &columns(), Vec::new()).starts_with("symbol  start"));
    assert_eq!(read_parquet(written(Format::Parquet, &columns(), Vec::new())).len(), 0);
}

#[test]
fn an_error_among_the_rows_ends_the_output() {
    let rows = [Ok(rows().remove(0)), Err(anyhow!("no more"))];
    let mut out = Vec::new();
    let error = write(Format::Csv, &columns(), rows.into_iter(), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "no more");
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2);
}

#[test]
fn a_row_of_the_wrong_length_is_refused() {
    let rows = [Ok(vec![Cell::Empty])];
    let error = write(Format::Csv, &columns(), rows.into_iter(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "a row has 1 cells for 6 columns");
}

/// The rows of a Parquet file as the crate's own reader prints them.
fn read_parquet(bytes: Vec<u8>) -> Vec<Vec<String>> {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.parquet");
    fs::write(&path, bytes).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.to_string()).collect()).collect()
}

#[test]
fn parquet_reads_back() {
    let read = read_parquet(written(Format::Parquet, &columns(), rows()));
    assert_eq!(read.len(), 3);
    assert_eq!(read[0][0], "\"made:A,\"B\"\"");
    assert_eq!(read[0][2], "-12.50000000");
    assert_eq!(read[0][3], "18446744073709551615");
    assert_eq!(read[0][4], "-7");
    assert_eq!(read[0][5], "0.25");
    assert_eq!(read[1][2], "0.00000001");
    assert_eq!(read[1][5], "null");
    assert_eq!(read[2], ["null"; 6]);
}

#[test]
fn parquet_has_the_schema_that_is_documented() {
    use ::parquet::basic::{LogicalType, TimeUnit};
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.parquet");
    fs::write(&path, written(Format::Parquet, &columns(), rows())).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let logical: Vec<_> = (0..6).map(|index| schema.column(index).logical_type_ref().cloned()).collect();
    assert_eq!(
        logical,
        [
            Some(LogicalType::String),
            Some(LogicalType::timestamp(true, TimeUnit::NANOS)),
            Some(LogicalType::decimal(8, 38)),
            Some(LogicalType::integer(64, false)),
            Some(LogicalType::integer(64, true)),
            None,
        ]
    );
    assert_eq!(schema.column(2).type_length(), 16);
    let group = reader.get_row_group(0).unwrap();
    let mut times = Vec::new();
    let mut levels = Vec::new();
    let ::parquet::column::reader::ColumnReader::Int64ColumnReader(mut column) =
        group.get_column_reader(1).unwrap()
    else {
        panic!("times are int64");
    };
    column.read_records(10, Some(&mut levels), None, &mut times).unwrap();
    assert_eq!((times, levels), (vec![T, T + 1], vec![1, 1, 0]));
}

#[test]
fn parquet_refuses_a_decimal_that_does_not_fit_and_says_what_to_do() {
    let columns = [Column::new("notional", ColumnKind::Decimal)];
    let rows = ["1".repeat(31), format!("0.{}1", "0".repeat(7))].map(|text| Ok(vec![Cell::Decimal(text)]));
    let error = write(Format::Parquet, &columns, rows.into_iter(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "column `notional` holds {}, which does not fit DECIMAL(38, 8), the scale that its values need; use \
             --format csv or ndjson, or ask for fewer symbols",
            "1".repeat(31)
        )
    );
    let rows = [Ok(vec![Cell::Decimal("1e5".to_owned())])];
    let error = write(Format::Parquet, &columns, rows.into_iter(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "column `notional` holds `1e5`, which is no plain decimal");
}

#[test]
fn parquet_row_groups_are_bounded() {
    let columns = [Column::new("n", ColumnKind::Count)];
    let rows = (0..spool::BLOCK_ROWS + 1).map(|n| vec![Cell::Count(n)]).collect();
    let read = read_parquet(written(Format::Parquet, &columns, rows));
    assert_eq!(read.len() as u64, spool::BLOCK_ROWS + 1);
    assert!(read.iter().enumerate().all(|(index, row)| row[0] == index.to_string()));
}

#[test]
fn a_file_appears_only_when_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("windows.csv");
    fs::write(&path, "old").unwrap();
    let failing = [Ok(rows().remove(0)), Err(anyhow!("no more"))];
    deliver(Format::Csv, &columns(), failing.into_iter(), Some(&path)).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    let count = deliver(Format::Csv, &columns(), rows().into_iter().map(Ok), Some(&path)).unwrap();
    assert_eq!(count, 3);
    assert_eq!(fs::read_to_string(&path).unwrap(), text(Format::Csv, &columns(), rows()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left");
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_and_a_link_is_followed() {
    deliver(Format::Csv, &columns(), rows().into_iter().map(Ok), Some(Path::new("/dev/null"))).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    deliver(Format::Csv, &columns(), Vec::new().into_iter(), Some(&link)).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().starts_with("symbol,"));
}

#[test]
fn a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = deliver(Format::Csv, &columns(), Vec::new().into_iter(), Some(directory.path())).unwrap_err();
    assert!(format!("{error:#}").ends_with("it is a directory; name a file in it"), "{error:#}");
}

/// A pipe whose reader is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_known_in_every_format() {
    for format in [Format::Table, Format::Csv, Format::Ndjson, Format::Parquet] {
        let error = write(format, &columns(), rows().into_iter().map(Ok), &mut Closed).unwrap_err();
        assert!(is_closed_pipe(&error), "{format:?}: {error:#}");
        assert!(is_closed_pipe(&error.context("more")));
    }
    assert!(!is_closed_pipe(&anyhow!("broken pipe")));
}

/// Reads RFC 4180 by its grammar, character by character; independent of the writer.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    assert!(field.is_empty() && record.is_empty() && !quoted, "the text ends inside a record");
    records
}

proptest! {
    #[test]
    fn any_text_survives_csv_and_ndjson(texts in prop::collection::vec(("[a\",\r\n é]{0,6}", any::<String>()), 1..20)) {
        let columns = [Column::new("a", ColumnKind::Text), Column::new("b", ColumnKind::Text)];
        let cells = |(a, b): &(String, String)| vec![Cell::Text(a.clone()), Cell::Text(b.clone())];
        let csv = read_csv(&text(Format::Csv, &columns, texts.iter().map(cells).collect()));
        prop_assert_eq!(csv.len(), texts.len() + 1);
        for ((a, b), record) in texts.iter().zip(&csv[1..]) {
            prop_assert_eq!(&[a.clone(), b.clone()][..], &record[..]);
        }
        let ndjson = text(Format::Ndjson, &columns, texts.iter().map(cells).collect());
        for ((a, b), line) in texts.iter().zip(ndjson.lines()) {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(value["a"].as_str(), Some(a.as_str()));
            prop_assert_eq!(value["b"].as_str(), Some(b.as_str()));
        }
    }

    #[test]
    fn decimals_survive_parquet(values in prop::collection::vec((any::<i64>(), 0u32..=18), 1..20)) {
        let decimals: Vec<_> = values.iter()
            .map(|(mantissa, scale)| rust_decimal::Decimal::new(*mantissa, *scale))
            .collect();
        let columns = [Column::new("d", ColumnKind::Decimal)];
        let rows = decimals.iter().map(|d| vec![Cell::Decimal(d.to_string())]).collect();
        let read = read_parquet(written(Format::Parquet, &columns, rows));
        for (decimal, row) in decimals.iter().zip(&read) {
            prop_assert_eq!(row[0].parse::<rust_decimal::Decimal>().unwrap(), *decimal);
        }
    }
}
