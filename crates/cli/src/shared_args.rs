//! Options that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use percept_nn::host::WeightDtype;
use percept_sampler::SamplingParams;

use crate::attention_arg::AttentionArg;

const GLOBAL: &str = "Options of every command";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print only errors, warnings and results.
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// Machine-readable output: one JSON object per line on standard output.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// When to use colours.
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

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

/// Sampling options (names of vLLM and Hugging Face).
#[derive(Debug, Clone, Args)]
pub struct SamplingArgs {
    /// Sampling temperature; 0 is greedy decoding [default: 0].
    #[arg(long)]
    pub temperature: Option<f32>,
    /// Nucleus sampling: keep the likeliest tokens whose probabilities sum to this [default: 1, off].
    #[arg(long)]
    pub top_p: Option<f32>,
    /// Top-k sampling: keep the k likeliest tokens [default: 0, off].
    #[arg(long)]
    pub top_k: Option<usize>,
    /// Only tokens with at least this share of the likeliest one's probability [default: 0, off].
    #[arg(long)]
    pub min_p: Option<f32>,
    /// Above 1, tokens of the prompt and of the response become less likely [default: 1, off].
    #[arg(long)]
    pub repetition_penalty: Option<f32>,
    /// Subtracted from the logits of tokens that the response already contains, -2 to 2.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub presence_penalty: f32,
    /// Subtracted from the logit of a token once per time that the response contains it, -2 to 2.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub frequency_penalty: f32,
    /// Whether options that are not given come from the model's generation_config.json (auto) or are percept's
    /// (none); what the file recommends and is not used is said.
    #[arg(long, value_enum, default_value_t = GenerationSource::None)]
    pub generation_config: GenerationSource,
    /// Maximum length of a response, in tokens [default: 512].
    #[arg(long)]
    pub max_tokens: Option<usize>,
    /// Number of responses per prompt.
    #[arg(long, short, default_value_t = 1)]
    pub n: usize,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Text that ends a response (may be repeated).
    #[arg(long)]
    pub stop: Vec<String>,
    /// Maximum number of sequences decoded at once.
    #[arg(long, default_value_t = 64)]
    pub max_num_seqs: usize,
    /// Memory of keys and values.
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// Where sampling options that are not given come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GenerationSource {
    /// generation_config.json.
    Auto,
    /// percept's defaults: greedy, nothing penalised.
    None,
}

/// Memory of keys and values (names of vLLM).
#[derive(Debug, Clone, Args)]
pub struct MemoryArgs {
    /// Limit on the memory of the KV cache: bytes, or 512M, 1.5G (powers of 1,024); 0: no limit.
    /// Sequences wait until they fit; if memory runs out, the youngest are preempted and computed
    /// again. The result does not change.
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size)]
    pub kv_cache_memory_bytes: usize,
    /// Turn off prefix caching: compute every prompt from its start, even if another prompt begins
    /// with the same tokens and images.
    #[arg(long)]
    pub no_enable_prefix_caching: bool,
}

impl MemoryArgs {
    /// Puts them into sampling parameters.
    pub fn apply(&self, params: SamplingParams) -> SamplingParams {
        SamplingParams {
            kv_cache_memory_bytes: self.kv_cache_memory_bytes,
            enable_prefix_caching: !self.no_enable_prefix_caching,
            ..params
        }
    }
}

/// Bytes: a number, or one with K, M, G or T (powers of 1,024).
pub fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err("expected bytes, or a number with K, M, G or T".to_owned()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "expected bytes, or a number with K, M, G or T".to_owned())?;
    if !(number >= 0.0 && number.is_finite()) {
        return Err("expected 0 or more".to_owned());
    }
    Ok((number * unit as f64) as usize)
}

/// Decoding together with the model before training (arXiv 2603.22117).
#[derive(Debug, Clone, Args)]
pub struct ExtrapolateArgs {
    /// The model before training: decode with both models and extrapolate the change that training
    /// made, log p = (1 + gamma) log p(model) - gamma log p(BASE).
    #[arg(long, value_name = "BASE")]
    pub extrapolate: Option<PathBuf>,
    /// Strength of the extrapolation: 0 is --model, -1 is BASE; published runs use 0.05 to 0.1.
    #[arg(
        long,
        default_value_t = 0.1,
        requires = "extrapolate",
        allow_negative_numbers = true
    )]
    pub gamma: f32,
    /// At which tokens to extrapolate: always; by the change of the drafted token's log-probability
    /// through training, logp:-0.3 (at most), raised:0.3 (at least), abs:0.3 (in size); by
    /// entropy:1 or kl:0.1 (at least, in nats); random:0.1 (with this probability).
    #[arg(long, default_value = "always", requires = "extrapolate")]
    pub gate: percept_sampler::Gate,
    /// Which model drafts tokens; drafts at which --gate does not extrapolate are kept.
    #[arg(long, value_enum, default_value_t = Drafting::Model, requires = "extrapolate")]
    pub draft: Drafting,
    /// Where extrapolating, sample only among this many of the drafting model's likeliest tokens
    /// (0: all).
    #[arg(long, default_value_t = 50, requires = "extrapolate")]
    pub candidates: usize,
}

/// Which of two models drafts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drafting {
    /// --model.
    Model,
    /// --extrapolate.
    Base,
}
