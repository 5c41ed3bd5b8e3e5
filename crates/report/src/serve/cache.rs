//! The file that was read last: paging does not decode it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use percept_base::lock;

use crate::Error;

/// Which file was read last, when it was written, and what it held.
type Cached<T> = (PathBuf, SystemTime, Arc<Vec<T>>);

/// The rows of the file that was read last.
#[derive(Debug)]
pub(super) struct Cache<T>(Mutex<Option<Cached<T>>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Cache<T> {
    /// The rows of a file, read anew when it has changed.
    pub(super) fn rows(
        &self,
        path: &Path,
        read: impl FnOnce(&Path) -> Result<Vec<T>, Error>,
    ) -> Result<Arc<Vec<T>>, Error> {
        let modified = fs::metadata(path)
            .and_then(|m| m.modified())
            .map_err(Error::io("read", path))?;
        let mut cache = lock(&self.0);
        if let Some((cached, time, rows)) = &*cache
            && *cached == path
            && *time == modified
        {
            return Ok(rows.clone());
        }
        let rows = Arc::new(read(path)?);
        *cache = Some((path.to_owned(), modified, rows.clone()));
        Ok(rows)
    }
}
