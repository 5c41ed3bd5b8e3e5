//! From preprocessed images to rows of embeddings.

pub(crate) mod encoder;
mod llava;
pub(crate) mod names;
pub(crate) mod plan;
mod qwen2vl;
pub(crate) mod rows;
pub(crate) mod shared;
pub(crate) mod tape;
pub(crate) mod tower;
pub(crate) mod towers;
mod windowed;
