//! Why an action is not stored.

use percept_frames::WrongBox;

/// Why an action is not stored; the page shows it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is not an action: an unknown label, a field that is missing, …
    #[error("not an action: {0}")]
    Malformed(String),
    /// A name of a person or an action that is empty or too long.
    #[error(
        "{field}: {found:?} is no name (expected 1 to 64 characters, none of them a control character)"
    )]
    Name {
        /// Whose.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// There is no such pair.
    #[error("unknown pair {0:?}")]
    UnknownPair(String),
    /// The pair was not given to the annotator.
    #[error("pair {pair} was not given to {annotator}")]
    NotAssigned {
        /// The pair.
        pair: String,
        /// The annotator.
        annotator: String,
    },
    /// The pair has as many annotators as it should have, or this one already.
    #[error("pair {0} is not free")]
    NotFree(String),
    /// The box leaves its frame.
    #[error("frame {side}: {wrong}")]
    OutsideFrame {
        /// Which frame.
        side: &'static str,
        /// How.
        wrong: WrongBox,
    },
    /// There is no such box.
    #[error("there is no box {0:?}")]
    UnknownBox(String),
    /// There is one already.
    #[error("there is a box {0:?} already")]
    BoxExists(String),
    /// It cannot be changed as it stands.
    #[error("the work is {found}: expected {expected}")]
    WrongState {
        /// How far it is.
        found: &'static str,
        /// How far it should be.
        expected: &'static str,
    },
    /// It was not said which frame is better.
    #[error("say which frame is better, or that neither is, before submitting")]
    NoPreference,
    /// Nobody reviews their own work.
    #[error("{0} cannot review their own work")]
    OwnReview(String),
    /// The last thing was done by somebody else, or there is none.
    #[error("{0} has nothing to undo here")]
    NothingToUndo(String),
}
