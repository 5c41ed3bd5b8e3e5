//! What can go wrong with clips, frames and the files of annotators.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use percept_base::LogError;
use percept_base::files::FileError;

/// An error of this crate: what, where, and on a second line what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A clip, a table of clips or a row of it.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of actions.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The folder holds other work.
    #[error(
        "{}: holds {found}; this command would cut {expected}\n  help: give another folder (--out), or repeat the command with \
         which it was made",
        path.display()
    )]
    OtherPairs {
        /// The folder.
        path: PathBuf,
        /// What it was made of.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The folder was not made by `percept annotate frames`.
    #[error(
        "{}: not a folder of annotations: {reason}\n  help: name the folder of `percept annotate frames --out`",
        path.display()
    )]
    NotAProject {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The address cannot be used.
    #[error(
        "cannot listen on {address}: {source}\n  help: another program may use the port; choose another one; 0 takes any free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
}
