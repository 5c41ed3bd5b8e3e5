//! Why pairs were not made.

use percept_data::coco::Mask;

/// Why making pairs stopped. What was finished stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairsError {
    /// Rows or a picture that cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// A picture of the page.
    #[error(transparent)]
    Thumbnail(#[from] percept_eval::ThumbnailError),
    /// The files of the steps.
    #[error(transparent)]
    Steps(#[from] percept_steps::StepError),
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] percept_base::files::FileError),
    /// A picture that cannot be edited.
    #[error(transparent)]
    Vision(#[from] percept_vision::Error),
    /// A tool that failed at a row.
    #[error(
        "{id}: the {tool} failed: {source}\n  help: mend it and run the same command again, or leave such rows out with --skip-failures"
    )]
    Tool {
        /// The row.
        id: String,
        /// Which tool.
        tool: &'static str,
        /// Why.
        source: Box<percept_vision::Error>,
    },
    /// A setting that means nothing.
    #[error("{field} is {found}; expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// A tool that is needed and was not given.
    #[error("no {tool}\n  help: {help}")]
    Missing {
        /// Which.
        tool: &'static str,
        /// How one is given.
        help: &'static str,
    },
    /// A picture that is not what it was.
    #[error(
        "{id}: the picture is not the one that was read before\n  help: read the rows again: --from rows"
    )]
    Changed {
        /// The row.
        id: String,
    },
    /// An output folder that this build must not touch.
    #[error("{path}: {what}\n  help: {help}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        what: String,
        /// What to do.
        help: &'static str,
    },
}

impl PairsError {
    /// Masks of one picture have one size: an error of theirs is one of a tool.
    pub(crate) fn of_mask(id: &str, mask: Result<Mask, percept_data::Error>) -> Result<Mask, Self> {
        mask.map_err(|e| Self::Tool {
            id: id.to_owned(),
            tool: "segmenter",
            source: Box::new(e.into()),
        })
    }
}
