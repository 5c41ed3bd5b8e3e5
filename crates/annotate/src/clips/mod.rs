//! Pairs of clips that two generators made of one prompt, and where they are found.

mod find;
mod folder;
mod pair;
mod source;
mod table;

pub use pair::{ClipOf, ClipPair, Clips};
pub use source::ClipSource;
