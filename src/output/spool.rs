//! Rows that must be gone through twice: blocks of encoded cells, compressed, in a temporary file.
//!
//! Memory is bounded by one block ([`BLOCK_ROWS`] rows or [`BLOCK_BYTES`]), whatever the number of rows; up to one
//! block stays in memory and makes no file. The file lies in the system's directory for temporary files, has no
//! name once it is open (on Unix), and so is gone with the process however that ends.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use super::Cell;
use crate::codec::{CodecError, Put, Reader};

/// Most rows in a block.
pub(super) const BLOCK_ROWS: u64 = 65_536;
/// Bytes of encoded cells after which a block is full.
pub(super) const BLOCK_BYTES: usize = 16 << 20;

/// Rows gathered so far.
#[derive(Debug, Default)]
pub(super) struct Spool {
    block: Vec<u8>,
    block_rows: u64,
    file: Option<Spilled>,
}

/// One block as it comes back: its number of rows and the cells, row by row.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) rows: u64,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Spilled {
    out: BufWriter<File>,
    path: PathBuf,
    blocks: u64,
}

impl Drop for Spilled {
    fn drop(&mut self) {
        // Already without a name where the system allows that; elsewhere this is the last chance.
        drop(fs::remove_file(&self.path));
    }
}

impl Spool {
    /// Adds a row.
    pub(super) fn push(&mut self, row: &[Cell]) -> Result<()> {
        for cell in row {
            put_cell(&mut self.block, cell);
        }
        self.block_rows += 1;
        if self.block_rows == BLOCK_ROWS || self.block.len() >= BLOCK_BYTES {
            self.spill().context("cannot write the temporary file that parquet output needs")?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Spilled::create()?),
        };
        let compressed = zstd::bulk::compress(&self.block, 1)?;
        for number in [self.block_rows, self.block.len() as u64, compressed.len() as u64] {
            file.out.write_all(&number.to_le_bytes())?;
        }
        file.out.write_all(&compressed)?;
        file.blocks += 1;
        self.block.clear();
        self.block_rows = 0;
        Ok(())
    }

    /// Calls `take` with each block, in the order of pushing.
    pub(super) fn replay(self, mut take: impl FnMut(Block) -> Result<()>) -> Result<()> {
        if let Some(mut spilled) = self.file {
            spilled.out.flush()?;
            spilled.out.get_mut().rewind()?;
            let mut file = BufReader::new(spilled.out.get_ref());
            for _ in 0..spilled.blocks {
                let block = read_block(&mut file).context("cannot read the temporary file back")?;
                take(block)?;
            }
        }
        if self.block_rows > 0 {
            take(Block { rows: self.block_rows, bytes: self.block })?;
        }
        Ok(())
    }
}

fn read_block(file: &mut impl Read) -> Result<Block> {
    let [rows, length, compressed] = [read_u64(file)?, read_u64(file)?, read_u64(file)?];
    let mut bytes = vec![0; usize::try_from(compressed)?];
    file.read_exact(&mut bytes)?;
    let bytes = zstd::bulk::decompress(&bytes, usize::try_from(length)?)?;
    Ok(Block { rows, bytes })
}

fn read_u64(file: &mut impl Read) -> Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Spilled {
    fn create() -> Result<Spilled> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tapedeck-{}-{number}.spool", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        if cfg!(unix) {
            fs::remove_file(&path)?;
        }
        Ok(Spilled { out: BufWriter::new(file), path, blocks: 0 })
    }
}

impl Block {
    /// Calls `take` with each cell and its place in its row of `columns` cells.
    pub(super) fn cells(
        &self,
        columns: usize,
        mut take: impl FnMut(usize, Cell) -> Result<()>,
    ) -> Result<()> {
        let mut reader = Reader::new(&self.bytes);
        for _ in 0..self.rows {
            for index in 0..columns {
                take(index, read_cell(&mut reader)?)?;
            }
        }
        if !reader.is_empty() {
            bail!("a block of the temporary file is too long");
        }
        Ok(())
    }
}

fn put_cell(bytes: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Empty => bytes.put_u8(0),
        Cell::Text(text) => {
            bytes.put_u8(1);
            bytes.put_bytes(text.as_bytes());
        }
        Cell::Time(nanos) => {
            bytes.put_u8(2);
            bytes.put_i64(*nanos);
        }
        Cell::Decimal(text) => {
            bytes.put_u8(3);
            bytes.put_bytes(text.as_bytes());
        }
        Cell::Count(value) => {
            bytes.put_u8(4);
            bytes.put_u64(*value);
        }
        Cell::Int(value) => {
            bytes.put_u8(5);
            bytes.put_i64(*value);
        }
        Cell::Float(value) => {
            bytes.put_u8(6);
            bytes.put_u64(value.to_bits());
        }
    }
}

fn read_cell(reader: &mut Reader<'_>) -> Result<Cell> {
    Ok(match reader.u8()? {
        0 => Cell::Empty,
        1 => Cell::Text(read_text(reader)?),
        2 => Cell::Time(reader.i64()?),
        3 => Cell::Decimal(read_text(reader)?),
        4 => Cell::Count(reader.u64()?),
        5 => Cell::Int(reader.i64()?),
        6 => Cell::Float(f64::from_bits(reader.u64()?)),
        _ => return Err(CodecError::Invalid.into()),
    })
}

fn read_text(reader: &mut Reader<'_>) -> Result<String> {
    Ok(std::str::from_utf8(reader.bytes()?)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_through_the_file_and_the_last_block() {
        let mut spool = Spool::default();
        let rows = BLOCK_ROWS + 5;
        for n in 0..rows {
            let float = if n % 2 == 0 { Cell::Float(-0.5) } else { Cell::Empty };
            spool
                .push(&[Cell::Count(n), Cell::Text(format!("t{n}")), Cell::Int(-(n as i64)), float])
                .unwrap();
        }
        let mut next = 0;
        let mut sizes = Vec::new();
        spool
            .replay(|block| {
                sizes.push(block.rows);
                let mut row = Vec::new();
                block.cells(4, |index, cell| {
                    row.push(cell);
                    if index == 3 {
                        let float = if next % 2 == 0 { Cell::Float(-0.5) } else { Cell::Empty };
                        let text = Cell::Text(format!("t{next}"));
                        assert_eq!(row, [Cell::Count(next), text, Cell::Int(-(next as i64)), float]);
                        row.clear();
                        next += 1;
                    }
                    Ok(())
                })
            })
            .unwrap();
        assert_eq!(sizes, [BLOCK_ROWS, 5]);
        assert_eq!(next, rows);
    }

    #[test]
    fn few_rows_make_no_file() {
        let mut spool = Spool::default();
        spool.push(&[Cell::Time(1)]).unwrap();
        assert!(spool.file.is_none());
    }
}
