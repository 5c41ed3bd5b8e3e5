//! Errors of training: what, where, what to do.

use std::path::PathBuf;

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recipe that says something impossible.
    #[error("recipe: {message}\n  at {at}")]
    Recipe {
        /// File, line and column, or the override.
        at: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A checkpoint that does not fit this run.
    #[error("checkpoint {path}: {message}")]
    Checkpoint {
        /// The checkpoint folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A checkpoint that could not be written.
    #[error(
        "checkpoint {path} could not be written: {source}\n  help: free some space or lift the limit, then go on with --resume; the checkpoints before it are complete"
    )]
    Save {
        /// The checkpoint folder.
        path: PathBuf,
        /// The file and the system's reason.
        source: Box<Error>,
    },
    /// A prompt without a token.
    #[error("a prompt has no tokens; check the chat template and the row's messages")]
    EmptyPrompt,
    /// A stage without usable rows.
    #[error("{stage}: none of the {rows} rows gave a usable sample\n{reasons}")]
    NoRows {
        /// Its name in the recipe.
        stage: &'static str,
        /// Rows there are.
        rows: usize,
        /// Why, a line for each kind.
        reasons: String,
    },
    /// Nothing to train on was graded.
    #[error(
        "no reward: none of the {judged} responses of {steps} steps in a row could be graded; stopped, since nothing is learned\n{reasons}"
    )]
    Ungraded {
        /// Responses of the last step.
        judged: usize,
        /// Steps in a row.
        steps: usize,
        /// Why, a line for each kind, and what the functions said.
        reasons: String,
    },
    /// Warnings are errors.
    #[error("{message}\n  (an error because of --strict)")]
    Strict {
        /// What the run warned of.
        message: String,
    },
    /// Weights that no later step can mend.
    #[error(
        "after step {step} {what}: training diverged, and no checkpoint of it was written\n  help: lower the learning rate; {before}"
    )]
    Diverged {
        /// Steps done in all stages.
        step: usize,
        /// Which weights are what.
        what: String,
        /// Where to go on.
        before: String,
    },
    /// An error after which the run was saved as it stood.
    #[error("{source}\n  {kept}")]
    Kept {
        /// The error.
        source: Box<Error>,
        /// What was saved, and how to go on.
        kept: String,
    },
    /// Trainable tensors that the loss does not reach.
    #[error(
        "these trainable tensors received no gradient in the first step: {names}\n  help: freeze them, or check that the data uses them (a vision tower needs images)"
    )]
    NoGradient {
        /// Their names.
        names: String,
    },
    /// Too many updates that are not finite.
    #[error(
        "{count} consecutive updates had a loss or gradient that is not finite; they did not touch the weights\n  help: lower the learning rate; {before}"
    )]
    NonFinite {
        /// How many in a row.
        count: usize,
        /// Where to go on.
        before: String,
    },
    /// Data.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// Model.
    #[error(transparent)]
    Model(#[from] percept_model::Error),
    /// Layouts, options of attention, data types.
    #[error(transparent)]
    Kernel(#[from] percept_kernels::Error),
    /// A device.
    #[error(transparent)]
    Nn(#[from] percept_nn::Error),
    /// Sampling.
    #[error(transparent)]
    Rollout(#[from] percept_sampler::Error),
    /// Verifiers.
    #[error(transparent)]
    Reward(#[from] percept_reward::Error),
    /// Credit.
    #[error(transparent)]
    Credit(#[from] percept_credit::Error),
    /// Run folder.
    #[error(transparent)]
    Report(#[from] percept_report::Error),
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] percept_base::files::FileError),
    /// A file that grows.
    #[error(transparent)]
    Log(#[from] percept_base::LogError),
    /// Evaluation.
    #[error(transparent)]
    Eval(#[from] percept_eval::Error),
}

impl Error {
    pub(crate) fn write(path: &std::path::Path, source: std::io::Error) -> Self {
        Error::Write {
            path: path.to_owned(),
            source,
        }
    }
}
