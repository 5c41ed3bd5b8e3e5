//! A file that only grows, one JSON value a line, and that survives a kill at any moment: a line is
//! written at once and synced, and half a line at the end is removed when the file is opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::lock;

/// What the file refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk.
    #[error("{}: cannot {what} the file: {error}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
    /// Two processes.
    #[error(
        "{}: another process is writing this file\n  help: wait for it to end, or give this one another file",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A line that nothing of ours wrote.
    #[error(
        "{}:{line}: {found}; expected {expected}\n  help: this file is written by percept alone; move it away to begin anew, or remove the line",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
}

/// The file, open for this process alone.
#[derive(Debug)]
pub struct AppendLog {
    path: PathBuf,
    /// The file and the length of what was written whole.
    file: Mutex<(File, u64)>,
}

impl AppendLog {
    /// Opens or creates the file and reads its lines. What a kill left of a last line is removed.
    ///
    /// # Errors
    /// [`LogError::Locked`] when another process has it open, [`LogError::Line`] for a whole line
    /// that is no JSON, [`LogError::Disk`].
    pub fn open(path: &Path) -> Result<(Self, Vec<Value>), LogError> {
        let disk = |what| {
            move |error| LogError::Disk {
                path: path.to_path_buf(),
                what,
                error,
            }
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(disk("make the folder of"))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = options.open(path).map_err(disk("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::Locked { path: path.into() });
            }
            // Some network file systems have no locks.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(disk("lock")(e)),
        }
        let (lines, whole) = read(path, &file)?;
        if whole < file.metadata().map_err(disk("read"))?.len() {
            file.set_len(whole).map_err(disk("repair"))?;
            file.sync_all().map_err(disk("repair"))?;
        }
        let log = Self {
            path: path.to_path_buf(),
            file: Mutex::new((file, whole)),
        };
        Ok((log, lines))
    }

    /// The whole lines of a file that another process may be writing; a missing file has none.
    ///
    /// # Errors
    /// [`LogError::Line`] for a whole line that is no JSON, [`LogError::Disk`].
    pub fn read(path: &Path) -> Result<Vec<Value>, LogError> {
        match File::open(path) {
            Ok(file) => Ok(read(path, &file)?.0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(LogError::Disk {
                path: path.into(),
                what: "read",
                error,
            }),
        }
    }

    /// Adds lines; when this returns they are on the disk.
    ///
    /// # Errors
    /// [`LogError::Disk`].
    pub fn append(&self, values: &[Value]) -> Result<(), LogError> {
        let mut text = String::new();
        for value in values {
            text.push_str(&value.to_string());
            text.push('\n');
        }
        let mut guard = lock(&self.file);
        let (file, whole) = &mut *guard;
        let written = file.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| file.sync_data()) {
            // A full disk: half a line must not stand before the next one.
            let _ = file.set_len(*whole);
            return Err(LogError::Disk {
                path: self.path.clone(),
                what: "write",
                error,
            });
        }
        *whole += text.len() as u64;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The values of the whole lines, and how many bytes those are.
fn read(path: &Path, file: &File) -> Result<(Vec<Value>, u64), LogError> {
    let mut reader = BufReader::new(file);
    let (mut lines, mut whole) = (Vec::new(), 0);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let count = reader
            .read_until(b'\n', &mut line)
            .map_err(|error| LogError::Disk {
                path: path.into(),
                what: "read",
                error,
            })?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let value = serde_json::from_slice(&line).map_err(|error| LogError::Line {
            path: path.into(),
            line: number,
            found: error.to_string(),
            expected: "a JSON object",
        })?;
        lines.push(value);
        whole += count as u64;
    }
    Ok((lines, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cut_at_any_byte_loses_only_the_cut_line_and_the_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/log.jsonl");
        let (log, none) = AppendLog::open(&path).unwrap();
        assert!(none.is_empty());
        log.append(&[json!({"a": "é\n"})]).unwrap();
        let first = fs::metadata(&path).unwrap().len();
        log.append(&[json!({"b": 2})]).unwrap();
        drop(log);
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let kept = usize::from(cut as u64 >= first) + usize::from(cut == bytes.len());
            assert_eq!(AppendLog::read(&path).unwrap().len(), kept);
            let (log, lines) = AppendLog::open(&path).unwrap();
            assert_eq!(lines.len(), kept, "cut at {cut}");
            log.append(&[json!({"c": 3})]).unwrap();
            drop(log);
            let (_, lines) = AppendLog::open(&path).unwrap();
            assert_eq!(lines.len(), kept + 1);
            assert_eq!(lines[kept], json!({"c": 3}));
        }
    }

    #[test]
    fn two_writers_and_foreign_lines_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (_log, _) = AppendLog::open(&path).unwrap();
        let second = AppendLog::open(&path).unwrap_err().to_string();
        assert!(second.contains("another process"), "{second}");
        let foreign = folder.path().join("foreign.jsonl");
        fs::write(&foreign, "{}\nhello\n").unwrap();
        let error = AppendLog::open(&foreign).unwrap_err().to_string();
        assert!(error.contains("foreign.jsonl:2"), "{error}");
    }
}
