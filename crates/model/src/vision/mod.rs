//! From preprocessed images to embeddings.

pub(crate) mod embed;
pub(crate) mod plan;
pub(crate) mod qwen2vl;
pub(crate) mod shared;
pub(crate) mod tape;
