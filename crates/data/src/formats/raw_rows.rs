//! Rows as their file has them, before any convention is applied.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;

use crate::Error;
use crate::formats::open::open;
use crate::formats::parquet::{Cache, DEFAULT_CACHE_BYTES};
use crate::formats::row::Rows;

/// The rows of one data file, each a JSON object of its columns; for commands whose rows need not have a
/// prompt. Bytes (an image inside Parquet) are named by their size.
pub struct RawRows {
    shown: PathBuf,
    rows: Box<dyn Rows>,
}

impl RawRows {
    /// Opens a file of any kind that [`crate::FileDataset`] opens. Errors name it `shown`.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is missing, of another kind or damaged.
    pub fn open(path: &Path, shown: &Path) -> Result<Self, Error> {
        let cache = Arc::new(Cache::new(DEFAULT_CACHE_BYTES));
        let rows = open(path, 0, &cache).map_err(|error| error.in_file(shown))?;
        Ok(Self {
            shown: shown.to_owned(),
            rows,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The 1-based number by which a user finds row `i`: its line, or its place in the file.
    pub fn number(&self, i: usize) -> usize {
        self.rows.number(i)
    }

    /// The columns of row `i`, `0 ≤ i < len`.
    ///
    /// # Errors
    /// A row that cannot be read, with file and line.
    pub fn get(&self, i: usize) -> Result<Map<String, serde_json::Value>, Error> {
        let row = self.rows.row(i);
        let row = row.map_err(|error| error.at(&self.shown, self.number(i)))?;
        Ok(row
            .into_iter()
            .map(|(name, value)| (name, value.into_json()))
            .collect())
    }
}
