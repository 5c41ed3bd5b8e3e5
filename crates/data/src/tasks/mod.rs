//! Tasks that make their own data: nothing is downloaded.

pub mod crawlers;
pub mod digit_sum;
mod png;
mod random;
pub mod scenes;
