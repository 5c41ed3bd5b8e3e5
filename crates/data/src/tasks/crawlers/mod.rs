//! `crawlers`: short clips of small drawn creatures that walk with a thing on their back, with planted distortions.
//!
//! Every clip shows one creature: four legs, a torso, a face, and a rigid object that rides on it. Two "generators", A and B, draw
//! the same prompt, each with faults of its own: zero to three *events*, each one of the eight
//! [`Distortion`]s for a part of the clip. Half of the events are brief, so that a few frames a
//! second miss them. A fault grows and fades within [`CrawlersConfig::onset_s`]; a frame has the label
//! while at least [`VISIBLE`] of it is there. Boxes are those of the drawn parts.
//!
//! | part | what is wrong |
//! |---|---|
//! | a leg | swollen and bent the wrong way · missing from the knee or the hip |
//! | legs | two more, out of the back |
//! | torso, face | lobed outline · one eye grown and slipped, the mouth askew |
//! | object | outline wobbles and tilts |
//! | all that moves | smeared sideways |
//! | object and torso | the object has sunk into the torso |
//!
//! Of two frames the one with fewer labels is better, of two clips the one with fewer labels on the mean frame; ties are
//! told. One number, [`CrawlersConfig::difficulty`], says how much positions, sizes and colours differ and how small
//! faults may be. Everything is a function of seed and index.

mod body;
mod clip;
mod config;
mod draw;
mod export;
mod pose;
mod rows;
mod story;
mod words;

pub use clip::{Clip, Side, clip};
pub use config::CrawlersConfig;
pub use export::{export_clips, export_frames};
pub use percept_frames::Distortion;
pub use rows::{Frame, frame};
pub use story::VISIBLE;
pub use words::corpus_pieces;
