//! Why a picture was not edited.

use std::path::PathBuf;

/// Why a picture was not edited or scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mask of another size than its picture.
    #[error("the mask has {} × {} pixels, the picture {} × {}", mask.0, mask.1, picture.0, picture.1)]
    Size {
        /// Columns and rows of the mask.
        mask: (u32, u32),
        /// Columns and rows of the picture.
        picture: (u32, u32),
    },
    /// A mask that leaves nothing to go by.
    #[error("the mask covers {what}\n  help: a pixel outside it is needed to continue from")]
    Covered {
        /// What is covered.
        what: &'static str,
    },
    /// No cut-out for an editor that inserts nothing else.
    #[error(
        "no cut-out of `{class}` was given\n  help: the built-in editor inserts objects of other annotated pictures only"
    )]
    NoCutout {
        /// The class to insert.
        class: String,
    },
    /// A cut-out that does not fit.
    #[error(
        "a cut-out of {} pixels cannot be placed: {share:.0} % of it would lie in the mask of {mask} pixels, {} % are needed",
        cutout,
        least
    )]
    NoPlace {
        /// Pixels of the cut-out.
        cutout: usize,
        /// Pixels of the mask.
        mask: usize,
        /// What would be visible, in per cent.
        share: f64,
        /// What must be, in per cent.
        least: u32,
    },
    /// A command that cannot be used as it is given.
    #[error("command: {found}; expected {expected}")]
    Template {
        /// What is wrong.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// A command that could not be started, failed, or took too long.
    #[error("{program}: {what}{}{stderr}", if stderr.is_empty() { "" } else { "\n  it wrote: " })]
    Command {
        /// The program.
        program: String,
        /// What happened.
        what: String,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// A file that cannot be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A picture that cannot be written or read.
    #[error("picture {what}: {source}")]
    Picture {
        /// Which.
        what: String,
        /// Why.
        source: image::ImageError,
    },
    /// A service that gave no picture. The message is the service's, without its key.
    #[error("{0}")]
    Service(String),
    /// An ONNX file, or the library that runs it.
    #[error("{}: {what}", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A picture that a scorer makes nothing of.
    #[error("not scored: {0}")]
    Unscored(String),
    /// A mask that cannot be made.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
}
