//! Options of sampling, also with two models.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::memory_args::MemoryArgs;

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
    /// (none); recommendations that are not used are reported.
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
