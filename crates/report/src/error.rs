//! What can go wrong with the files of a run, said so that a user can act on it.

use std::io;
use std::path::{Path, PathBuf};

use percept_base::files::FileError;

/// An error of this crate: what, where, and on a second line what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A new run would be mixed with something that is there already.
    #[error(
        "{}: already holds {holds}\n  help: choose another folder, remove this one, or resume the run (--resume)",
        path.display()
    )]
    RunExists {
        /// The folder.
        path: PathBuf,
        /// What was found there.
        holds: String,
    },
    /// The folder was not made by a run.
    #[error(
        "{}: not a run folder: {reason}\n  help: name the folder given to `trainer.output_dir` and `trainer.experiment_name` (it holds recipe.toml and metrics.jsonl)",
        path.display()
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Another process writes to the run.
    #[error(
        "{}: another process is writing to this run\n  help: wait for it, stop it, or choose another folder",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A link stands where a file or folder of the run is expected.
    #[error(
        "{}: a symbolic link in a run folder: refused, since the run would read, empty or remove what it points to\n  help: remove the link; to keep runs on another disk, make the run folder itself, or `trainer.output_dir`, a link",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A file of the run does not say what it should.
    #[error("{}: {what}\n  help: {help}", at(path, *row))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// 1-based line or row.
        row: Option<usize>,
        /// What is wrong.
        what: String,
        /// What to do about it.
        help: &'static str,
    },
    /// The address of the viewer cannot be used.
    #[error(
        "cannot listen on {address}: {source}\n  help: another program may use the port; choose another one; 0 takes any free one"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let of = FileError::of(action, path);
        move |source| Error::File(of(source))
    }
}

fn at(path: &Path, row: Option<usize>) -> String {
    match row {
        Some(row) => format!("{}:{row}", path.display()),
        None => path.display().to_string(),
    }
}
