//! CSV and TSV: the first record names the columns, every cell is text, an empty one null. An index of record
//! offsets is kept, records are parsed when asked for.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::Error;
use crate::jsonl::{Extent, extent, skip_bom};
use crate::random_file::RandomFile;
use crate::row::{Row, Rows, Value};

pub(crate) struct CsvRows {
    file: RandomFile,
    rows: Vec<Extent>,
    names: Vec<String>,
    delimiter: u8,
}

/// Opens a file whose cells are set apart by `delimiter`.
pub(crate) fn open(path: &Path, delimiter: u8) -> Result<CsvRows, Error> {
    let file = RandomFile::open(path)?;
    let (names, rows) = file.scan(|reader| {
        let skipped = skip_bom(reader)?;
        let mut csv = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(reader);
        let mut record = ByteRecord::new();
        let mut names = Vec::new();
        let mut rows = Vec::new();
        loop {
            let from = csv.position().clone();
            if !csv.read_byte_record(&mut record).map_err(broken)? {
                return Ok((names, rows));
            }
            if names.is_empty() {
                names = record
                    .iter()
                    .map(|name| text(name).trim().to_owned())
                    .collect();
                continue;
            }
            let start = skipped + from.byte();
            let end = skipped + csv.position().byte();
            // The reader steps over blank lines: the record's own line is where it was found.
            let line = record.position().map_or(from.line(), csv::Position::line);
            rows.push(extent(start, end, line as usize)?);
        }
    })?;
    Ok(CsvRows {
        file,
        rows,
        names,
        delimiter,
    })
}

fn broken(error: csv::Error) -> Error {
    Error::file("not a CSV file").found(error)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Rows for CsvRows {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, i: usize) -> Result<Row, Error> {
        let place = self.rows[i];
        let bytes = self.file.read(place.start, place.len as usize)?;
        let mut csv = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .from_reader(&bytes[..]);
        let mut record = ByteRecord::new();
        csv.read_byte_record(&mut record)
            .map_err(|e| Error::row("not a CSV record").found(e))?;
        if record.len() != self.names.len() {
            return Err(Error::row("number of cells and of columns differ")
                .found(record.len())
                .expected(format!("{}: {}", self.names.len(), self.names.join(", ")))
                .help("put cells that hold a comma or a line break in quotes"));
        }
        let cells = self.names.iter().zip(&record).map(|(name, cell)| {
            let cell = std::str::from_utf8(cell).map_err(|_| {
                Error::row("invalid UTF-8")
                    .field(name.as_str())
                    .help("save the file as UTF-8")
            })?;
            let value = match cell {
                "" => Value::Null,
                cell => Value::Text(cell.to_owned()),
            };
            Ok((name.clone(), value))
        });
        cells.collect()
    }

    fn number(&self, i: usize) -> usize {
        self.rows[i].number as usize
    }
}
