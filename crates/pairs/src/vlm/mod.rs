//! A vision-language model as tagger and detector: it is asked what is there, and where.

mod ask;
mod detector;
mod tagger;

pub use detector::{ModelDetector, ModelScale};
pub use tagger::ModelTagger;
