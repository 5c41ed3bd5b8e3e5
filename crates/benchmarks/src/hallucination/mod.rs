//! Published hallucination benchmarks, on answers from wherever they come: a local model, an
//! endpoint, a file. Every score is a pure function of slices.
//!
//! | benchmark | what is asked | what is counted |
//! |---|---|---|
//! | [`chair`] | describe the picture | objects of the 80 COCO classes that are not in it |
//! | [`object_halbench`] | describe the picture in detail | the same, every object once an answer |
//! | [`pope`] | is there a dog in the image? | right answers, and how often it is yes |
//! | [`amber`] | describe this image; is the sky sunny? | unmatched nouns; right answers |
//! | [`mmhal`] | 96 questions about pictures | a judge's ratings from 0 to 6 |

pub mod amber;
pub mod chair;
pub mod files;
pub mod mmhal;
pub mod object_halbench;
pub mod paired;
pub mod paired_choices;
pub mod pope;
pub mod pope_build;
mod sentences;
mod singular;
mod tokens;
mod vocabulary;

pub use sentences::sentences_of;
pub use singular::singular;
pub use tokens::word_tokens;
pub use vocabulary::{Class, Mention, Vocabulary};
