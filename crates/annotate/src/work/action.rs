//! One click: a line of `actions.jsonl`.

use percept_frames::{Distortion, Preference};
use serde::{Deserialize, Serialize};

use crate::work::state::Side;

/// What somebody did to the work of an annotator on a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Made by the page: an action that is sent twice is stored once.
    pub id: String,
    /// Who did it.
    pub by: String,
    /// The frame pair.
    pub pair: String,
    /// Whose work it changes: `by`'s own, or that of an annotator whom `by` reviews.
    pub annotator: String,
    /// What was done.
    #[serde(rename = "do")]
    pub change: Change,
    /// When the server took it, in milliseconds since 1970.
    #[serde(default)]
    pub at_ms: u64,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The pair was given to the annotator.
    Claim,
    /// The annotator gives it back unfinished, or somebody takes it back.
    Release,
    /// A box was drawn.
    AddBox {
        /// Made by the page.
        key: String,
        /// On which frame.
        side: Side,
        /// What is wrong there.
        label: Distortion,
        /// Left, top, right, bottom in pixels of the frame.
        #[serde(rename = "box")]
        corners: [f64; 4],
    },
    /// A box was moved, or given another size.
    MoveBox {
        /// Which.
        key: String,
        /// Left, top, right, bottom in pixels of the frame.
        #[serde(rename = "box")]
        corners: [f64; 4],
    },
    /// A box was given another label.
    RelabelBox {
        /// Which.
        key: String,
        /// What is wrong there.
        label: Distortion,
    },
    /// A box was removed.
    DeleteBox {
        /// Which.
        key: String,
    },
    /// A label was set or unset for a whole frame, without a box.
    SetLabel {
        /// On which frame.
        side: Side,
        /// What is wrong.
        label: Distortion,
        /// Set or unset.
        on: bool,
    },
    /// It was said which frame is better.
    Prefer {
        /// The better one, or neither.
        preference: Preference,
    },
    /// The annotator is done with the pair.
    Submit,
    /// The last thing that `by` did to this work is taken back.
    Undo,
    /// A reviewer accepts the work, with what the reviewer changed of it.
    Accept,
    /// A reviewer gives the work back.
    Return {
        /// What is to be done.
        note: String,
    },
}
