//! What the operating system refused, said so that a user can act on it.

use std::io;
use std::path::{Path, PathBuf};

/// The operating system refused something about a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {source}\n  help: {}", path.display(), advice(source))]
pub struct FileError {
    /// What was tried, as a verb phrase: `write`, `read`, `rename`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: this error with its reason.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk or quota is full: free some space (old checkpoints are the largest files of a run), then resume"
        }
        io::ErrorKind::FileTooLarge => {
            "the file would pass this system's or this user's size limit (`ulimit -f`): raise it, or choose another disk, then resume"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "this user may not do that there: check the permissions, or choose another folder"
        }
        io::ErrorKind::NotFound => "check the path; it, or the folder it is in, does not exist",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "a file stands where a folder is expected, or the other way round"
        }
        _ => "check that the disk is there and healthy, then try again",
    }
}
