//! What a model is: `config.json`, `generation_config.json`, and the choice of attention.

pub(crate) mod attention;
pub(crate) mod fields;
pub(crate) mod generation;
pub(crate) mod json;
mod llava;
pub(crate) mod model;
mod qwen2vl;
pub(crate) mod vision;
pub(crate) mod write;
