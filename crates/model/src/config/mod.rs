//! What a model is: `config.json`, `generation_config.json`, and the choice of attention.

pub(crate) mod attention;
pub(crate) mod fields;
pub(crate) mod generation;
pub(crate) mod json;
pub(crate) mod model;
pub(crate) mod write;
