//! JSON Lines: an index of line offsets is kept, rows are read and parsed when asked for.

use std::io::BufRead;
use std::path::Path;

use crate::Error;
use crate::formats::random_file::{RandomFile, unreadable};
use crate::formats::row::{Row, Rows, parse_json};

/// Where one row lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub start: u64,
    pub len: u32,
    /// 1-based line or element number.
    pub number: u32,
}

/// Rows found in a text file by an index.
#[derive(Debug)]
pub(crate) struct Indexed {
    file: RandomFile,
    rows: Vec<Extent>,
}

impl Indexed {
    pub(crate) fn new(file: RandomFile, rows: Vec<Extent>) -> Self {
        Self { file, rows }
    }
}

impl Rows for Indexed {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, i: usize) -> Result<Row, Error> {
        let row = self.rows[i];
        parse_json(&self.file.read(row.start, row.len as usize)?)
    }

    fn number(&self, i: usize) -> usize {
        self.rows[i].number as usize
    }
}

/// Opens a JSONL file; blank lines are skipped but counted, so that numbers are line numbers.
pub(crate) fn open(path: &Path) -> Result<Indexed, Error> {
    let file = RandomFile::open(path)?;
    let rows = file.scan(|reader| lines(reader))?;
    Ok(Indexed::new(file, rows))
}

/// Extents of the lines that hold more than white space.
pub(crate) fn lines(reader: &mut impl BufRead) -> Result<Vec<Extent>, Error> {
    let mut rows = Vec::new();
    let mut at = skip_bom(reader)?;
    let mut start = at;
    let mut number = 1;
    let mut blank = true;
    loop {
        let chunk = reader.fill_buf().map_err(unreadable)?;
        let end_of_file = chunk.is_empty();
        let newline = chunk.iter().position(|&b| b == b'\n');
        let piece = &chunk[..newline.unwrap_or(chunk.len())];
        blank &= piece.iter().all(u8::is_ascii_whitespace);
        at += piece.len() as u64;
        if (newline.is_some() || end_of_file) && !blank {
            rows.push(extent(start, at, number)?);
        }
        if end_of_file {
            return Ok(rows);
        }
        let used = piece.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            at += 1;
            start = at;
            number += 1;
            blank = true;
        }
    }
}

/// The extent `start .. end`, refused when it is not addressable (a row beyond 4 GB).
pub(crate) fn extent(start: u64, end: u64, number: usize) -> Result<Extent, Error> {
    let (Ok(len), Ok(number)) = (u32::try_from(end - start), u32::try_from(number)) else {
        return Err(Error::row("row is too large")
            .found(format!("{} bytes", end - start))
            .expected("at most 4 GB")
            .help("store media as files and paths in the row"));
    };
    Ok(Extent { start, len, number })
}

/// Skips a byte-order mark; returns how many bytes were skipped.
pub(crate) fn skip_bom(reader: &mut impl BufRead) -> Result<u64, Error> {
    let bom = reader
        .fill_buf()
        .map_err(unreadable)?
        .starts_with(b"\xEF\xBB\xBF");
    if bom {
        reader.consume(3);
    }
    Ok(if bom { 3 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn lines_are_found_whatever_the_buffer_size() {
        let text = b"\xEF\xBB\xBF{\"a\":1}\r\n\n   \n{\"b\":2}\n{\"c\":3}";
        for capacity in 3..40 {
            let rows = lines(&mut BufReader::with_capacity(capacity, &text[..])).unwrap();
            let found: Vec<_> = rows
                .iter()
                .map(|r| {
                    (
                        r.number,
                        &text[r.start as usize..r.start as usize + r.len as usize],
                    )
                })
                .collect();
            assert_eq!(
                found,
                [
                    (1, &b"{\"a\":1}\r"[..]),
                    (4, &b"{\"b\":2}"[..]),
                    (5, &b"{\"c\":3}"[..])
                ]
            );
        }
    }
}
