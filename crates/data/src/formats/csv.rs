//! CSV and TSV (RFC 4180): the first record names the columns, every cell is text, an empty one null. An index
//! of record offsets is kept, records are parsed when asked for.

use std::io::BufRead;
use std::path::Path;

use crate::Error;
use crate::formats::jsonl::{Extent, extent, skip_bom};
use crate::formats::random_file::{RandomFile, unreadable};
use crate::formats::row::{Row, Rows, Value};

pub(crate) struct CsvRows {
    file: RandomFile,
    rows: Vec<Extent>,
    names: Vec<String>,
    delimiter: u8,
}

/// Opens a file whose cells are set apart by `delimiter`.
pub(crate) fn open(path: &Path, delimiter: u8) -> Result<CsvRows, Error> {
    let file = RandomFile::open(path)?;
    let mut rows = file.scan(|reader| records(reader))?;
    if rows.is_empty() {
        return Err(Error::file("data file is empty"));
    }
    let head = rows.remove(0);
    let names = cells(&file.read(head.start, head.len as usize)?, delimiter)?;
    let names = names.iter().map(|name| name.trim().to_owned()).collect();
    Ok(CsvRows {
        file,
        rows,
        names,
        delimiter,
    })
}

/// Extents of the records: a line break inside quotes is text, blank lines are skipped.
fn records(reader: &mut impl BufRead) -> Result<Vec<Extent>, Error> {
    let mut rows = Vec::new();
    let mut at = skip_bom(reader)?;
    let (mut start, mut number, mut line) = (at, 1, 1);
    let (mut quoted, mut blank) = (false, true);
    loop {
        let chunk = reader.fill_buf().map_err(unreadable)?;
        if chunk.is_empty() {
            if !blank {
                rows.push(extent(start, at, number)?);
            }
            return Ok(rows);
        }
        for &byte in chunk {
            at += 1;
            match byte {
                b'"' => {
                    quoted = !quoted;
                    blank = false;
                }
                b'\n' => {
                    line += 1;
                    if !quoted {
                        if !blank {
                            rows.push(extent(start, at, number)?);
                        }
                        (start, number, blank) = (at, line, true);
                    }
                }
                b'\r' => {}
                _ => blank = false,
            }
        }
        let used = chunk.len();
        reader.consume(used);
    }
}

/// The cells of one record.
fn cells(record: &[u8], delimiter: u8) -> Result<Vec<String>, Error> {
    let mut cells = Vec::new();
    let mut cell = Vec::new();
    let mut quoted = false;
    // The line's end, and not a tab that ends a row of empty cells.
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut bytes = record.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                cell.push(b'"');
            }
            b'"' if quoted => quoted = false,
            b'"' if cell.is_empty() => quoted = true,
            byte if byte == delimiter && !quoted => cells.push(std::mem::take(&mut cell)),
            byte => cell.push(byte),
        }
    }
    cells.push(cell);
    let texts = cells.into_iter().map(|cell| {
        String::from_utf8(cell)
            .map_err(|_| Error::row("invalid UTF-8").help("save the file as UTF-8"))
    });
    texts.collect()
}

impl Rows for CsvRows {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, i: usize) -> Result<Row, Error> {
        let place = self.rows[i];
        let record = self.file.read(place.start, place.len as usize)?;
        let cells = cells(&record, self.delimiter)?;
        if cells.len() != self.names.len() {
            return Err(Error::row("number of cells and of columns differ")
                .found(cells.len())
                .expected(format!("{}: {}", self.names.len(), self.names.join(", ")))
                .help("put cells that hold a comma or a line break in quotes"));
        }
        // An empty cell is what another row has and this one has not.
        let filled = self
            .names
            .iter()
            .cloned()
            .zip(cells)
            .filter(|(_, cell)| !cell.is_empty());
        Ok(filled
            .map(|(name, cell)| (name, Value::Text(cell)))
            .collect())
    }

    fn number(&self, i: usize) -> usize {
        self.rows[i].number as usize
    }
}
