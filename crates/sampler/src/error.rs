//! Why sampling stopped.

/// Why sampling stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model refused its input.
    #[error(transparent)]
    Model(#[from] percept_model::Error),
    /// Sampling parameters that mean nothing.
    #[error("sampling: {field} is {found}; expected {expected}")]
    Params {
        /// The parameter.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Two models that cannot be decoded in step.
    #[error(
        "the two models cannot be decoded in step: {what}\n  help: both must come from one family with one tokenizer, like a checkpoint and the model it was trained from"
    )]
    Pair {
        /// What differs.
        what: String,
    },
    /// Two models were asked for and there is one.
    #[error(
        "extrapolation needs a second model\n  help: give the sampler the model before training with LocalSampler::with_base"
    )]
    NoBase,
    /// A sequence that does not fit into the memory for keys and values.
    #[error(
        "prompt {prompt}: its {tokens} tokens and a response of up to {max_tokens} take {} of keys and values; kv_cache_memory_bytes allows {}\n  help: raise kv_cache_memory_bytes to {needed}, or shorten the longest response",
        mebibytes(*needed), mebibytes(*limit)
    )]
    KvCache {
        /// Index of the prompt in the call.
        prompt: usize,
        /// Its tokens.
        tokens: usize,
        /// Those of the longest response.
        max_tokens: usize,
        /// Bytes that they take.
        needed: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// Weights that give no distribution.
    #[error(
        "prompt {prompt}, sample {sample}, token {position}: the model's logits are not finite\n  help: the weights hold NaN or infinity, or training diverged; go back to an earlier checkpoint"
    )]
    NonFinite {
        /// Index of the prompt in the call.
        prompt: usize,
        /// Index of its sample.
        sample: usize,
        /// Index of the token in the response.
        position: usize,
    },
}

impl Error {
    /// [`Error::Params`].
    pub(crate) fn params<T>(
        field: &'static str,
        found: String,
        expected: &'static str,
    ) -> Result<T, Self> {
        Err(Self::Params {
            field,
            found,
            expected,
        })
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / (1u64 << 20) as f64)
}
