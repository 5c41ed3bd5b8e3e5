//! What belongs to the engine in this process.

use serde::Serialize;

use crate::Error;

/// How the local engine decodes; what is sampled does not depend on it. Names are those of vLLM's engine arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineConfig {
    /// Sequences decoded at once.
    pub max_num_seqs: usize,
    /// Bound on the memory of keys and values, in bytes (0: none). Sequences wait until they fit; the
    /// youngest make room for the others and are computed again.
    pub kv_cache_memory_bytes: usize,
    /// Compute the start that prompts have in common once: the same tokens and images.
    pub enable_prefix_caching: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_num_seqs: 256,
            kv_cache_memory_bytes: 0,
            enable_prefix_caching: true,
        }
    }
}

impl EngineConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.max_num_seqs {
            0 => Error::params("max_num_seqs", "0".into(), "1 or more"),
            _ => Ok(()),
        }
    }
}
