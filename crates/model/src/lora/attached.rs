//! The adapters that a model has.

use percept_weights::Adapter;

use crate::{LoraConfig, Param};

/// Adapters beside the weights of a model; their parameters follow the model's own.
#[derive(Debug, Clone)]
pub(crate) struct Lora {
    pub(crate) config: LoraConfig,
    /// By the index of the adapted weight; as many as the model has parameters without adapters.
    pub(crate) adapters: Vec<Option<Adapter>>,
    /// What parameters that are trained whole beside the adapters were before, by their index.
    pub(crate) originals: Vec<(usize, Param)>,
}
