//! Reasoning that a strong model writes for frames whose distortions are known: the question, and which of its traces are
//! kept.
//!
//! The model gets the frame with its boxes and labels and writes what a judge who sees the frame alone would think. Its trace is
//! kept when it ends in the right labels and regions and does not give away that it knew them; the score is drawn from
//! the number of labels ([`percept_frames::pseudo_score`]), since annotators give none. Source: REACT (arXiv 2601.04033),
//! whose words to its model are not published: these are ours.

mod check;
mod task;

pub use check::Dropped;
pub use task::TraceTask;
