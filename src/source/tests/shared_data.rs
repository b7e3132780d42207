//! Real files, where they are there: however they are cut and decoded, they give the same.

use std::path::{Path, PathBuf};

use feeds::formats::FORMATS;
use feeds::frame::FrameCounts;
use feeds::tick::Event;

use crate::source::open::{Setup, open_with};
use crate::source::{Source, SourceError, SourceOptions};

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        eprintln!("skipped: no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn open(paths: &[PathBuf], decoders: usize, block_bytes: usize) -> Result<Source, SourceError> {
    let setup = Setup { formats: FORMATS, block_bytes, line_bytes: 1 << 20, frame_bytes: 16 << 20 };
    open_with(paths, &SourceOptions { decoders, ..SourceOptions::default() }, setup)
}

/// Every tick as text, with its symbol by name, and the ledger.
fn told(paths: &[PathBuf], decoders: usize, block_bytes: usize) -> (Vec<String>, FrameCounts) {
    let mut source = open(paths, decoders, block_bytes).unwrap();
    let (mut ticks, mut names, mut ledger) = (Vec::new(), Vec::new(), FrameCounts::default());
    while let Some(batch) = source.next().unwrap() {
        names.extend(batch.new_symbols.iter().map(|new| new.symbol.to_string()));
        let mut begin = 0;
        for run in &batch.runs {
            for tick in &batch.ticks[begin..run.end] {
                let name = &names[batch.symbols[tick.symbol.0 as usize].0 as usize];
                let (at, received_at) = (tick.exchange_ts, tick.received_at());
                ticks.push(format!("{} {name} {at} {received_at:?} {:?}", run.file, tick.event));
            }
            begin = run.end;
        }
        batch.frames.iter().for_each(|(_, frames)| ledger.merge(frames));
    }
    (ticks, ledger)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = ["cryptofeed", "files", "hftbacktest"]
        .iter()
        .flat_map(|name| std::fs::read_dir(folder.join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    // The largest would take long in a debug build.
    paths.retain(|path| path.metadata().unwrap().len() < 1 << 20);
    paths.sort();
    paths
}

#[test]
fn blocks_and_threads_change_nothing() {
    let Some(folder) = folder() else { return };
    let mut opened = 0;
    for path in files(&folder) {
        let path = std::slice::from_ref(&path);
        if let Err(error) = open(path, 1, 1 << 20) {
            assert_eq!(error.exit_code(), 2, "{error}");
            continue;
        }
        opened += 1;
        let whole = told(path, 1, 1 << 20);
        assert!(whole.1.adds_up(), "{path:?}: {:?}", whole.1);
        assert_eq!(told(path, 3, 10_000), whole, "{path:?}");
    }
    assert!(opened >= 10, "{opened}");
}

#[test]
fn pieces_of_a_capture_give_what_the_whole_gives() {
    let Some(folder) = folder() else { return };
    let whole = folder.join("hftbacktest/usdm_btcusdt_20230404.dat.gz");
    let mut text = Vec::new();
    let mut gzip = flate2::read::MultiGzDecoder::new(std::fs::File::open(&whole).unwrap());
    std::io::Read::read_to_end(&mut gzip, &mut text).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    // Without the number of the file.
    let bare = |(ticks, ledger): (Vec<String>, FrameCounts)| {
        (ticks.iter().map(|tick| tick[2..].to_owned()).collect::<Vec<_>>(), ledger)
    };
    let wanted = bare(told(&[whole], 1, 1 << 20));
    for cut in [1, 10, lines.len() / 3, lines.len() - 1] {
        let files = super::fake::Files::new();
        let first = files.write("first", &lines[..cut].concat());
        let second = files.write("second", &lines[cut..].concat());
        assert_eq!(bare(told(&[first, second], 1, 1 << 20)), wanted, "cut at line {cut} of {}", lines.len());
    }
}

#[test]
fn captures_of_one_day_merge_by_receive_time() {
    let Some(folder) = folder() else { return };
    let day = ["spot_btcusdt_20240808.gz", "spot_ethusdt_20240808.gz"];
    let paths: Vec<PathBuf> = day.iter().map(|name| folder.join("hftbacktest").join(name)).collect();
    let mut source = open(&paths, 2, 50_000).unwrap();
    assert!(source.has_receive_times());
    let (mut last, mut count, mut trades) = (i64::MIN, 0, [0; 2]);
    while let Some(batch) = source.next().unwrap() {
        let mut begin = 0;
        for run in &batch.runs {
            let ticks = &batch.ticks[begin..run.end];
            trades[run.file] += ticks.iter().filter(|tick| matches!(tick.event, Event::Trade(_))).count();
            begin = run.end;
        }
        for tick in &batch.ticks {
            let received_at = tick.received_at().unwrap();
            assert!(received_at >= last);
            last = received_at;
            count += 1;
        }
    }
    assert!(trades.iter().all(|trades| *trades > 0), "{trades:?}");
    let alone: usize = paths.iter().map(|path| told(std::slice::from_ref(path), 1, 1 << 20).0.len()).sum();
    assert_eq!(count, alone);
}
