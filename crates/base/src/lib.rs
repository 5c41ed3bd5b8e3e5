//! What several crates need of the operating system: programs that end with us.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod family;
#[cfg(unix)]
mod guard;

pub use family::Family;
