//! Data sets for post-training: rows of messages, media and answers.
//!
//! A [`Dataset`] gives random access to [`Sample`]s. Media stay encoded until pixels are needed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chat;
mod clip;
mod dataset;
mod decode;
pub mod digit_sum;
mod error;
mod image_processor;
mod media;
mod resize;
mod sample;

pub use chat::ChatTemplate;
pub use dataset::Dataset;
pub use error::{Error, Report};
pub use image_processor::{ImageProcessor, Patches};
pub use media::{DEFAULT_FPS, MAX_ENCODED_BYTES, MAX_PIXELS, Media, MediaHash, Video};
pub use sample::{Message, Part, Role, Sample};
