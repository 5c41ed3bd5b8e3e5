//! What several crates need and no other crate is about: programs that end with us, messages that are one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod family;
#[cfg(unix)]
mod guard;
mod mark;
mod numberless;

pub use family::Family;
pub use numberless::without_numbers;
