//! Benchmarks of video reward models: pairs of clips with human preferences, and frames with labels of what is broken.
//!
//! | benchmark | files | numbers |
//! |---|---|---|
//! | VideoGen-RewardBench (arXiv 2501.13918) | [`files::videogen`] | accuracy by dimension |
//! | GenAI-Bench, videos (arXiv 2406.04485) | [`files::genai`] | accuracy |
//! | REACT-Bench (arXiv 2601.04033), not public: a format of our own | [`files::react_pairs`], [`files::react_frames`] | accuracy; F1 of frames |
//!
//! A reward model is known by its scores of clips ([`scores`]); who made them is the caller's concern.

mod accuracy;
mod calibration;
pub mod files;
mod frames;
mod matching;
pub mod scores;
mod ties;

pub use accuracy::{Accuracy, Pair, accuracy};
pub use calibration::{Band, Bin, Calibration, FrameCalibration, calibration, frame_calibration};
pub use frames::{Class, FrameScores, JudgedFrame, LabelScores, frame_scores};
pub use ties::{Counts, TieThreshold, best_threshold, counts, videoalign_with_ties};
