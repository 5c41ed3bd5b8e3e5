//! Judging clips by single frames: what may be wrong with a frame, what a judge says of one, which frames of a clip are
//! judged, and what their judgements say of the clip.
//!
//! The taxonomy, the form of an answer and the two rounds of sampling are those of REACT (arXiv 2601.04033); where the paper
//! leaves something open, an option has our reading as its default.
//!
//! ```
//! use percept_frames::{Distortion, read_judgement};
//!
//! let response = r#"<think>The left arm bends twice.</think><answer>{"labels":["limb deformation"],"score":3.42}</answer>"#;
//! let (reasoning, judgement) = read_judgement(response)?;
//! assert_eq!(reasoning, "The left arm bends twice.");
//! assert_eq!(judgement.labels, [Distortion::LimbDeformation]);
//! # Ok::<(), percept_frames::UnreadableJudgement>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aggregate;
mod distortion;
mod judgement;
mod preference;
mod pseudo_score;
mod question;
mod row;
pub mod sampling;

pub use distortion::{Distortion, UnknownDistortion};
pub use judgement::{Judgement, SCORES, UnreadableJudgement, read_judgement, write_judgement};
pub use preference::{Preference, UnknownPreference};
pub use pseudo_score::pseudo_score;
pub use question::question;
pub use row::{FrameRow, LabelledBox, WrongBox};
