//! What several crates need and no other crate is about: programs that end with us, files that only grow, numbers from
//! counters, messages that are one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod append_log;
mod family;
pub mod files;
#[cfg(unix)]
mod guard;
mod hex;
mod jobs;
mod lock;
mod mark;
mod numberless;
pub mod random;

pub use append_log::{AppendLog, LogError};
pub use family::Family;
pub use hex::hex;
pub use jobs::{map_jobs, run_jobs};
pub use lock::lock;
pub use numberless::without_numbers;
