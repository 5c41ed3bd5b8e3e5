//! Measuring a model: data set, verifier, numbers with intervals and a record of every response.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accuracy;
mod compare;
pub mod direction;
mod error;
mod pictures;
pub mod stats;
mod thumbnail;

pub use accuracy::{Evaluation, Part, Record, evaluate, question_type, summarise};
pub use compare::{Curve, Point, paired_difference};
pub use error::Error;
pub use pictures::keep_pictures;
pub use stats::{Estimate, estimate};
pub use thumbnail::{ThumbnailError, jpeg, thumbnail};
