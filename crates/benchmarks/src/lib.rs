//! Published benchmarks: their files, their questions and their scores. Every score is a pure function of slices; who
//! answers is the caller's concern.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod causal;
mod error;
pub mod hallucination;
pub mod long;
pub mod scm;
pub mod video_reward;

pub use error::Error;
