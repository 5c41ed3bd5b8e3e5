//! The parts of the benchmark.

use clap::ValueEnum;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Matrix products and copies: what the machine could do.
    Roofline,
    /// Operators of training, forward and backward, at 2,048 tokens of the decoder's widths.
    Operators,
    /// Log-probability and entropy of 4,096 tokens over a vocabulary of 151,936.
    #[value(name = "log_prob")]
    LogProb,
    /// A training step of a 20-million-parameter decoder on 4 × 512 tokens.
    Sft,
    /// The same step with products in bfloat16, where the processor has them.
    #[value(name = "sft_bf16")]
    SftBf16,
    /// The update of a group of 8 answers of 128 tokens to a prompt of 1,024 with one image.
    Group,
    /// A GRPO step of the quick start's model by phase: 16 prompts with one image, 8 responses each
    /// of at most 48 tokens; beside TRL.
    Grpo,
    /// Sampling 128 tokens after prompts of 16, at batch 1, 16 and 64; at 64 by the rollout engine
    /// too.
    Decode,
    /// Attention alone, by length, of all tokens (forward, and with backward) and of the last one
    /// (decode): full, and PHSA at 97.3 % sparsity (of 32,768 tokens); there sliding window,
    /// InfLLM-V2 and MoBA with their defaults too.
    Attention,
}

impl Suite {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roofline => "roofline",
            Self::Operators => "operators",
            Self::LogProb => "log_prob",
            Self::Sft => "sft",
            Self::SftBf16 => "sft_bf16",
            Self::Group => "group",
            Self::Grpo => "grpo",
            Self::Decode => "decode",
            Self::Attention => "attention",
        }
    }

    /// Whether it measures training, which runs on a device; sampling runs on the processor.
    pub fn uses_device(self) -> bool {
        !matches!(self, Self::Grpo | Self::Decode | Self::Attention)
    }
}
