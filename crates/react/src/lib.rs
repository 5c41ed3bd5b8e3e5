//! REACT's inference (arXiv 2601.04033): clips in, scores and what is broken out.
//!
//! A model judges single frames; which frames, is decided in two rounds ([`percept_frames::sampling`]). All frames of a round
//! of all clips are asked at once, so that a local model decodes them together. What comes out is a [`ClipRecord`] a clip; a
//! file of them is a [`Journal`], from which a stopped command goes on, and [`contact_sheet`] shows the worst frames.
//! [`serve`] offers the same over HTTP.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod footage;
mod frames;
mod journal;
mod judge;
mod options;
mod question;
mod record;
pub mod serve;
mod sheet;

pub use error::Error;
pub use footage::Footage;
pub use frames::{FrameTask, judge_frames};
pub use journal::Journal;
pub use judge::{Clip, judge};
pub use options::{Options, Sampling};
pub use question::Question;
pub use record::{ClipRecord, FrameRecord};
pub use sheet::{Shown, contact_sheet};
