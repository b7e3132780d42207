//! What is refused before anything is read for good, word for word.

use super::fake::{Files, drain, gzip, open, setup, zstd};
use crate::source::error::SourceError;
use crate::source::open::open_with;
use crate::source::{Source, SourceOptions};

fn refused(files: &Files, names: &[&str], options: &SourceOptions) -> (String, u8) {
    let paths: Vec<_> = names.iter().map(|name| files.path().join(name)).collect();
    let error = match open_with(&paths, options, setup(64)) {
        Ok(_) => panic!("{names:?} was opened"),
        Err(error) => error,
    };
    let folder = format!("{}/", files.path().display());
    (error.to_string().replace(&folder, ""), error.exit_code())
}

fn bad_files() -> Files {
    let files = Files::new();
    std::fs::create_dir(files.path().join("folder")).unwrap();
    files.write("empty.csv", b"");
    files.write("empty.csv.gz", &gzip(b""));
    files.write("binary", b"\x5d\x00\x00\x80\x00some bytes");
    files.write("binary.zst", &zstd(b"DBN\x01\x00\x00\x00"));
    files.write("words", b"once upon a time\nthere was a file\n");
    files.write("columns", b"table without price\n");
    files.write("venue", b"table without venue\n");
    files.write("table", b"table\nA,1,1\n");
    files.write("capture", b"capture\nA,1,1,1\n");
    files.write("bad.gz", b"\x1f\x8b\x08\x00garbage that is no gzip at all, really not");
    files.write("cut.gz", &gzip(b"table\nA,1,1\n")[..11]);
    files
}

#[test]
fn every_bad_file_says_what_and_what_to_do() {
    let files = bad_files();
    let cases = [
        ("absent", 2, "no such file: absent; check the path"),
        ("folder", 2, "folder is a directory; name the files in it"),
        ("empty.csv", 2, "empty.csv is empty; give a file with at least one row"),
        ("empty.csv.gz", 2, "empty.csv.gz is empty; give a file with at least one row"),
        (
            "binary",
            2,
            "binary is a binary file, and no known format is binary; convert it to one of table, capture (gzip and \
             zstd are read as they are)",
        ),
        (
            "binary.zst",
            2,
            "binary.zst is a binary file, and no known format is binary; convert it to one of table, capture (gzip \
             and zstd are read as they are)",
        ),
        (
            "words",
            2,
            "words is of no known format: it begins with \"once upon a time\"; name its format with --format \
             (table, capture)",
        ),
        (
            "columns",
            2,
            "columns cannot be read as table: no column `price`; the header has symbol, ms; name the columns so, \
             or another format with --format",
        ),
        ("venue", 2, "venue cannot be read as table: it names no venue; name it with --venue"),
        ("cut.gz", 3, "cut.gz is cut off at byte 11: what is whole was used; get the file again"),
    ];
    for (name, code, text) in cases {
        assert_eq!(refused(&files, &[name], &SourceOptions::default()), (text.to_owned(), code), "{name}");
        let after = refused(&files, &["table", name], &SourceOptions::default());
        assert_eq!(after, (text.to_owned(), code), "{name} behind a good one");
    }
    let (text, code) = refused(&files, &["bad.gz"], &SourceOptions::default());
    assert!(text.starts_with("bad.gz is damaged at byte "), "{text}");
    assert_eq!(code, 3);
}

#[test]
fn every_bad_request_says_what_and_what_to_do() {
    let files = bad_files();
    let cases: [(&[&str], &str, &str); 5] = [
        (&[], "auto", "no file to read; name at least one"),
        (
            &["capture"],
            "table",
            "capture cannot be read as table: its first line is not `table`; name another format with --format, \
             or leave it out to find out",
        ),
        (&["table"], "tabel", "no format `tabel`, did you mean `table`?; there are table, capture"),
        (&["table"], "parquet", "no format `parquet`; there are table, capture"),
        (
            &["table", "capture"],
            "auto",
            "capture has receive times and table has none, so there is no order to merge them in; replay them one \
             by one",
        ),
    ];
    for (names, format, text) in cases {
        let options = SourceOptions { format: Some(format.to_owned()), ..SourceOptions::default() };
        assert_eq!(refused(&files, names, &options), (text.to_owned(), 2), "{names:?}");
    }
}

#[test]
fn the_venue_and_the_symbol_come_from_the_options() {
    let files = Files::new();
    let path = files.write("nameless", b"table without venue\n,1,1\n");
    let told = |venue: Option<&str>, symbol: &str| {
        let options = SourceOptions {
            venue: venue.map(str::to_owned),
            symbols: vec![symbol.to_owned()],
            ..SourceOptions::default()
        };
        drain(&mut open(std::slice::from_ref(&path), &options, 64)).0
    };
    assert_eq!(told(Some("here"), "X").symbols, ["here:X"]);
    assert_eq!(told(Some("here"), "here:X").symbols, ["here:X"]);
}

#[test]
fn a_file_is_known_by_its_first_block_and_size() {
    let files = Files::new();
    let identity = |bytes: &[u8]| {
        let source = open(&[files.write("table", bytes)], &SourceOptions::default(), 64);
        source.files()[0].clone()
    };
    let mut long = b"table\n".to_vec();
    long.resize(100_000, b'\n');
    let first = identity(&long);
    assert_eq!((first.size, first.format, first.venue), (100_000, "table", None));
    assert_eq!(identity(&long), first);
    long.push(b'\n');
    assert_ne!(identity(&long).first_block, first.first_block, "another size");
    long.pop();
    long[10] = b'#';
    assert_ne!(identity(&long).first_block, first.first_block, "another beginning");
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_or_a_failing_one_is_no_usage_error() {
    let error = SourceError::Read { path: "x".into(), offset: 7, what: "broken".to_owned() };
    assert_eq!(error.exit_code(), 1);
    assert_eq!(
        error.to_string(),
        "x cannot be read at byte 7: broken; check the disk and the file's permissions"
    );
}

#[test]
fn a_source_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Source>();
}
