//! Published hallucination benchmarks, on answers from wherever they come: a local model, an
//! endpoint, a file. Every score is a pure function of slices.
//!
//! | benchmark | what is asked | what is counted |
//! |---|---|---|
//! | [`chair`] | describe the picture | objects of the 80 COCO classes that are not in it |

mod bootstrap;
pub mod chair;
mod sentences;
mod singular;
mod tokens;
mod vocabulary;

pub use singular::singular;
pub use tokens::word_tokens;
pub use vocabulary::{Class, Mention, Vocabulary};
