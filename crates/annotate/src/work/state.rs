//! What is known of a pair of frames by one annotator.

use std::collections::BTreeSet;

use percept_frames::{Distortion, LabelledBox, Preference};
use serde::{Deserialize, Serialize};

/// One of the two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Left.
    A,
    /// Right.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

/// A box that somebody drew.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrawnBox {
    /// Its name.
    pub key: String,
    /// On which frame.
    pub side: Side,
    /// What is wrong there.
    pub label: Distortion,
    /// Left, top, right, bottom in pixels of the frame.
    #[serde(rename = "box")]
    pub corners: [f64; 4],
}

/// How far a piece of work is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Nobody has the pair by this name.
    #[default]
    Free,
    /// In the making.
    Open,
    /// The annotator is done.
    Submitted,
    /// A reviewer gave it back.
    Returned {
        /// The reviewer.
        by: String,
        /// What is to be done.
        note: String,
    },
    /// A reviewer accepted it.
    Accepted {
        /// The reviewer.
        by: String,
    },
}

/// The work of one annotator on one pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Work {
    /// Boxes, in the order in which they were drawn.
    pub boxes: Vec<DrawnBox>,
    /// Labels of whole frames.
    pub labels: BTreeSet<(Side, Distortion)>,
    /// Which frame is better.
    pub preference: Option<Preference>,
    /// How far it is.
    pub state: State,
    /// The reviewer who changed it.
    pub corrected_by: Option<String>,
}

impl Work {
    /// Whether it can be used: done, and not given back.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Submitted | State::Accepted { .. })
    }

    /// Labels of a frame: those of its boxes and those of the whole frame.
    pub fn labels_of(&self, side: Side) -> BTreeSet<Distortion> {
        let boxed = self.boxes.iter().filter(|drawn| drawn.side == side);
        let whole = self.labels.iter().filter(|(at, _)| *at == side);
        let boxed = boxed.map(|drawn| drawn.label);
        boxed.chain(whole.map(|(_, label)| *label)).collect()
    }

    /// Boxes of a frame.
    pub fn boxes_of(&self, side: Side) -> Vec<LabelledBox> {
        let on = self.boxes.iter().filter(|drawn| drawn.side == side);
        on.map(|drawn| LabelledBox {
            label: drawn.label,
            corners: drawn.corners,
        })
        .collect()
    }
}
