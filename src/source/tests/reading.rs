//! One file: blocks, threads, compression, long lines, cuts, complaints, filters.

use std::path::PathBuf;

use super::fake::{Files, MS, Told, ZERO, drain, gzip, open, setup, tell, zstd};
use crate::source::open::open_with;
use crate::source::{Progress, SourceOptions};

fn with(decoders: usize) -> SourceOptions {
    SourceOptions { decoders, ..SourceOptions::default() }
}

/// A table with all kinds of lines.
fn table(rows: usize) -> Vec<u8> {
    let mut text = "table\n".to_owned();
    for row in 0..rows {
        match row % 17 {
            3 => text.push_str("not a row\n"),
            5 => text.push('\n'),
            7 => text.push_str(&format!("gap,S{},{row},{}\n", row % 5, row + 1)),
            _ => text.push_str(&format!("S{},{},{row}\n", row % 13, row * 10)),
        }
    }
    text.into_bytes()
}

fn one(path: &PathBuf, options: &SourceOptions, block_bytes: usize) -> Told {
    tell(std::slice::from_ref(path), options, block_bytes)
}

#[test]
fn blocks_threads_and_compression_change_nothing() {
    let files = Files::new();
    let text = table(2_000);
    let plain = files.write("table", &text);
    // Two members, with the cut inside a line.
    let members = files.write("members.gz", &[gzip(&text[..1_001]), gzip(&text[1_001..])].concat());
    let frames = files.write("frames.zst", &[zstd(&text[..777]), zstd(&text[777..])].concat());
    // Compression is known by content, not by name.
    let disguised = files.write("plain.csv", &gzip(&text));
    let whole = one(&plain, &with(1), 1 << 20);
    assert_eq!(whole.ticks.len(), 2_000 - 3 * 118);
    assert_eq!(whole.symbols.len(), 13);
    assert_eq!(whole.complaints_in_all, 118);
    assert_eq!(whole.complaints.iter().map(|c| c.line).take(3).collect::<Vec<_>>(), [5, 22, 39]);
    assert_eq!(whole.complaints.len(), 10);
    assert!(whole.frames[0].adds_up() && whole.frames[0].frames == 2_001);
    for path in [&plain, &members, &frames, &disguised] {
        for decoders in [1, 2, 8] {
            for block_bytes in [1, 7, 64, 1_000, 1 << 20] {
                assert_eq!(one(path, &with(decoders), block_bytes), whole, "{decoders} {block_bytes}");
            }
        }
    }
}

#[test]
fn a_capture_is_decoded_in_order_with_its_estimates_in_place() {
    let files = Files::new();
    let mut text = "capture\noffset,7\n".to_owned();
    for row in 0..500 {
        text.push_str(&format!("A,{},{row},{}\n", row * 2, row * 2 + 1));
        if row % 100 == 50 {
            text.push_str(&format!("offset,{row}\n"));
        }
    }
    let path = files.write("capture", text.as_bytes());
    let whole = one(&path, &with(1), 1 << 20);
    assert_eq!(whole.offsets[..3], [(0, 0, 7), (51, 0, 50), (151, 0, 150)]);
    for block_bytes in [1, 30, 999] {
        assert_eq!(one(&path, &with(8), block_bytes), whole);
    }
    assert!(open(&[path], &with(1), 64).has_receive_times());
}

#[test]
fn a_filter_moves_the_estimates_along() {
    let files = Files::new();
    let path = files.write(
        "capture",
        b"capture\nA,1,1,1\nB,2,2,2\noffset,1\nA,3,3,3\nB,4,4,4\noffset,2\nB,5,5,5\noffset,3\n",
    );
    let options = SourceOptions { symbols: vec!["A".to_owned()], ..with(1) };
    for block_bytes in [1, 1 << 10] {
        let told = one(&path, &options, block_bytes);
        assert_eq!(told.ids(), [Some(1), Some(3)]);
        assert_eq!(told.offsets, [(1, 0, 1), (2, 0, 2), (2, 0, 3)]);
        assert_eq!(told.symbols, ["file:A"]);
        assert_eq!(told.frames[0].ticks, 5, "the ledger of frames counts all");
    }
}

#[test]
fn times_and_symbols_are_filtered() {
    let files = Files::new();
    let path =
        files.write("table", b"table\nA,10,1\nB,20,2\nA,20,3\nC,25,4\nA,30,5\nA,5,6\ngap,B,1,2\ngap,A,3,4\n");
    let told = |symbols: &[&str], from: Option<i64>, to: Option<i64>| {
        let options = SourceOptions {
            symbols: symbols.iter().map(|&symbol| symbol.to_owned()).collect(),
            from: from.map(|ms| ZERO + ms * MS),
            to: to.map(|ms| ZERO + ms * MS),
            ..with(2)
        };
        let (all, cut) = (one(&path, &options, 1 << 10), one(&path, &options, 1));
        assert_eq!(all, cut);
        all
    };
    let ids = |told: Told| told.ids().into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(ids(told(&[], Some(20), None)), [2, 3, 4, 5]);
    assert_eq!(ids(told(&[], None, Some(20))), [1, 6]);
    assert_eq!(ids(told(&["A"], Some(10), Some(30))), [1, 3]);
    assert_eq!(ids(told(&["file:B", "C"], None, None)), [2, 4]);
    assert!(ids(told(&["other:B"], None, None)).is_empty());
    let a = told(&["A"], None, None);
    assert_eq!(a.symbols, ["file:A"]);
    assert_eq!(a.gaps, [(0, "file:A".to_owned(), 3, 4)]);
    assert_eq!(told(&[], Some(25), Some(26)).symbols, ["file:A", "file:B", "file:C"], "gaps announce, too");
}

#[test]
fn a_line_that_is_too_long_is_one_broken_frame() {
    let files = Files::new();
    let mut text = b"table\nA,1,1\nA,2,2,".to_vec();
    text.resize(text.len() + 1_000_000, b'x');
    text.extend_from_slice(b"\nA,3,3\n");
    let longest = format!("{:0>1000}", 4);
    text.extend_from_slice(format!("A,4,{longest}\n").as_bytes());
    text.resize(text.len() + 5_000, b'y');
    let path = files.write("table", &text);
    let whole = one(&path, &with(1), 1 << 10);
    assert_eq!(whole.ids(), [Some(1), Some(3), Some(4)]);
    assert_eq!((whole.frames[0].frames, whole.frames[0].broken), (6, 2));
    assert_eq!(whole.complaints.iter().map(|c| c.line).collect::<Vec<_>>(), [3, 6]);
    assert_eq!(whole.complaints[0].error.reason, "the line is longer than 1024 bytes");
    assert_eq!(whole.complaints[0].error.excerpt.len(), 120);
    for (decoders, block_bytes) in [(1, 1), (2, 10), (8, 100)] {
        assert_eq!(one(&path, &with(decoders), block_bytes), whole);
    }
}

#[test]
fn a_cut_file_gives_what_is_whole() {
    let files = Files::new();
    // Enough that does not compress well, so that the cut is behind some blocks.
    let mut text = "table\n".to_owned();
    let mut noise = 1u64;
    for row in 0..20_000u64 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!("A,{row},{}\n", noise >> 20));
    }
    let whole = one(&files.write("whole", text.as_bytes()), &with(1), 4_096);
    for (name, bytes) in [("cut.gz", gzip(text.as_bytes())), ("cut.zst", zstd(text.as_bytes()))] {
        let half = bytes.len() / 2;
        let path = files.write(name, &bytes[..half]);
        let (told, error) = drain(&mut open(std::slice::from_ref(&path), &with(2), 4_096));
        let error = error.unwrap();
        assert_eq!(error.exit_code(), 3);
        let wanted = format!("{} is cut off at byte {half}: ", path.display());
        assert!(error.to_string().starts_with(&wanted), "{error}");
        assert!(told.ticks.len() > 1_000 && told.ticks.len() < 20_000, "{}", told.ticks.len());
        assert_eq!(told.ticks, whole.ticks[..told.ticks.len()]);
        assert_eq!(told.complaints_in_all, 0, "half a line is no broken line");
    }
    let mut bytes = gzip(text.as_bytes());
    let half = bytes.len() / 2;
    bytes[half..half + 64].fill(0xff);
    let (told, error) = drain(&mut open(&[files.write("hurt.gz", &bytes)], &with(2), 4_096));
    let error = error.unwrap();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(" is damaged at byte "), "{error}");
    let right = told.ticks.iter().zip(&whole.ticks).take_while(|(a, b)| a == b).count();
    assert!(right > 1_000, "{right}");
}

#[test]
fn the_files_beside_a_cut_one_are_read_to_their_end() {
    let files = Files::new();
    let text: String = (0..2_000).map(|row| format!("A,{row},{row}\n")).collect();
    let bytes = gzip(format!("table\n{text}").as_bytes());
    let cut = files.write("cut.gz", &bytes[..bytes.len() - 20]);
    let other = files.write("other", format!("table\n{}", text.replace('A', "B")).as_bytes());
    let (told, error) = drain(&mut open(&[cut, other], &with(1), 256));
    assert!(error.unwrap().to_string().contains("cut.gz is cut off"));
    assert_eq!(told.ticks.iter().filter(|tick| tick.0 == 1).count(), 2_000);
}

#[test]
fn strict_stops_at_the_first_complaint() {
    let files = Files::new();
    let path = files.write("table", &table(2_000));
    for (decoders, block_bytes) in [(1, 1 << 20), (8, 7)] {
        let options = SourceOptions { strict: true, ..with(decoders) };
        let (told, error) = drain(&mut open(std::slice::from_ref(&path), &options, block_bytes));
        let error = error.unwrap();
        assert_eq!(error.exit_code(), 3);
        let wanted = format!(
            "{}, line 5: not a row: \"not a row\"; repair the line, or replay without --strict to count it and go on",
            path.display()
        );
        assert_eq!(error.to_string(), wanted);
        assert!(told.ticks.len() <= 3);
    }
}

#[test]
fn a_panic_in_a_decoder_is_an_error_that_names_the_file() {
    let files = Files::new();
    let text = format!("table\n{}panic\n{}", "A,1,1\n".repeat(500), "A,2,2\n".repeat(500));
    let path = files.write("table", text.as_bytes());
    for decoders in [1, 2, 8] {
        let (told, error) = drain(&mut open(std::slice::from_ref(&path), &with(decoders), 64));
        let error = error.unwrap();
        assert_eq!(error.exit_code(), 1);
        let wanted = format!(
            "decoding {} failed: as the line says; this is a fault of tapedeck, please report it with the file",
            path.display()
        );
        assert_eq!(error.to_string(), wanted);
        assert!(told.ticks.len() <= 500);
    }
}

#[test]
fn dropping_a_source_ends_its_threads() {
    let files = Files::new();
    let path = files.write("table", &table(20_000));
    for decoders in [1, 8] {
        for (files, batches) in [(1, 0), (1, 1), (1, 500), (2, 0), (2, 1), (2, 3)] {
            let mut source = open_with(&vec![path.clone(); files], &with(decoders), setup(100)).unwrap();
            for _ in 0..batches {
                assert!(source.next().unwrap().is_some());
            }
            // Waits for every thread; a thread that does not end makes the test hang.
            drop(source);
        }
    }
}

#[test]
fn progress_ends_at_the_whole() {
    let files = Files::new();
    let text = table(3_000);
    let path = files.write("table.gz", &gzip(&text));
    let size = std::fs::metadata(&path).unwrap().len();
    let mut source = open(&[path], &with(1), 100);
    assert_eq!(source.progress(), Progress { read: 0, total: size });
    let mut before = 0;
    while source.next().unwrap().is_some() {
        assert!(source.progress().read >= before);
        before = source.progress().read;
    }
    assert_eq!(source.progress(), Progress { read: size, total: size });
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once_and_to_its_end() {
    let files = Files::new();
    let path = files.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo here");
        return;
    }
    let text = table(10_000);
    let whole = one(&files.write("table", &text), &with(1), 1 << 10);
    let to = path.clone();
    let writer = std::thread::spawn(move || std::fs::write(to, gzip(&text)));
    assert_eq!(one(&path, &with(2), 1 << 10), whole);
    writer.join().unwrap().unwrap();
}
