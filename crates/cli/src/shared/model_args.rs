//! Options that name a model.

use std::path::PathBuf;

use clap::Args;
use percept_kernels::decode::WeightDtype;

use super::attention_arg::AttentionArg;

/// Which model.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Model: a Hugging Face folder, a run folder (its newest checkpoint), or an id of the Hugging Face Hub
    /// in the local cache: org/name, org/name@revision.
    #[arg(long)]
    pub model: PathBuf,
    /// LoRA adapter (PEFT format) on top of it: a folder, a run folder, or an id.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// Device: cpu, or vulkan:0, cuda:0, … when the build has it.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Attention pattern to use instead of the checkpoint's: full, sliding, phsa, infllm2, moba, nsa,
    /// or a table with options, '{ name = "phsa", top_k = 4 }'. A table without a name changes
    /// options of the checkpoint's own pattern: '{ top_k = 4 }'. Applies to both models with
    /// --extrapolate.
    #[arg(long, value_name = "NAME")]
    pub attention: Option<AttentionArg>,
    /// Data type of the sampler's weights: float32, bfloat16 (on processors with AMX or AVX-512 BF16)
    /// or int8 (a quarter of the memory traffic of float32).
    #[arg(long, default_value = "float32", value_parser = dtype)]
    pub dtype: WeightDtype,
}

/// As vLLM names them.
pub fn dtype(text: &str) -> Result<WeightDtype, String> {
    let named = serde_json::from_value::<WeightDtype>(text.into());
    let dtype = named.map_err(|_| "expected float32, bfloat16 or int8".to_owned())?;
    dtype.checked().map_err(|e| e.to_string())
}
