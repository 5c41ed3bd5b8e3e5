//! A file read at given offsets, from any thread.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::formats::compressed;

#[derive(Debug)]
pub(crate) struct RandomFile {
    file: Mutex<File>,
}

/// Opens a data file, with an error that says what to do.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file("data file does not exist")
            .in_file(path)
            .help("paths in a recipe are relative to the recipe"),
        _ => Error::file(format!("data file cannot be opened: {e}")).in_file(path),
    })?;
    let size = file.metadata().map_or(1, |m| m.len());
    if size == 0 {
        return Err(Error::file("data file is empty").in_file(path));
    }
    Ok(file)
}

impl RandomFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = Mutex::new(compressed::unpacked(path, open(path)?)?);
        Ok(Self { file })
    }

    /// Runs a pass over the whole file, as an index needs it.
    pub(crate) fn scan<T>(
        &self,
        pass: impl FnOnce(&mut BufReader<&mut File>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        pass(&mut BufReader::with_capacity(1 << 18, &mut *file))
    }

    /// The bytes `start .. start + len`.
    pub(crate) fn read(&self, start: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        file.read_exact(&mut bytes)
            .map_err(|e| unreadable(e).help("the file changed while it was in use; start again"))?;
        Ok(bytes)
    }
}

pub(crate) fn unreadable(error: std::io::Error) -> Error {
    Error::file(format!("data file cannot be read: {error}"))
}
