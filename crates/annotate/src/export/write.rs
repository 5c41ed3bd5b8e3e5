//! Files of rows.

use std::io::Write;
use std::path::Path;

use percept_base::files::{AtomicFile, FileError};

use crate::error::Error;
use crate::export::parquet_file;
use crate::export::rows::AnnotatedRow;

/// Writes rows, complete or not at all: Parquet where the name ends in `.parquet`, JSONL otherwise.
///
/// # Errors
/// The disk.
pub fn write_rows(path: &Path, rows: &[AnnotatedRow]) -> Result<(), Error> {
    let refused = || FileError::of("write", path);
    let mut file = AtomicFile::create(path)?;
    if path.extension().is_some_and(|ending| ending == "parquet") {
        let file = parquet_file::write(file, rows);
        let file = file.map_err(|error| refused()(std::io::Error::other(error)))?;
        return Ok(file.commit()?);
    }
    for row in rows {
        let line = serde_json::to_string(row).map_err(std::io::Error::from);
        let written = line.and_then(|line| writeln!(file, "{line}"));
        written.map_err(refused())?;
    }
    Ok(file.commit()?)
}
