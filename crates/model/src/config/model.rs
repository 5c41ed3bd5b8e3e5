//! What a model is: the fields of `config.json` that decide shapes and arithmetic.

use serde_json::{Map, Value};

use crate::{Attention, VisionConfig, VisionTokens};

/// The architectures percept runs, named as `config.json` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `LlamaForCausalLM`.
    Llama,
    /// `Qwen2ForCausalLM` (Qwen2 and Qwen2.5).
    Qwen2,
    /// `Qwen3ForCausalLM`.
    Qwen3,
    /// `Qwen2VLForConditionalGeneration`.
    Qwen2Vl,
    /// `Qwen2_5_VLForConditionalGeneration`.
    Qwen25Vl,
    /// `LlavaForConditionalGeneration` (LLaVA-1.5): CLIP's tower, a projector, Llama.
    Llava,
}

impl Family {
    /// Every family, in the order of the list that errors print.
    pub const ALL: [Family; 6] = [
        Family::Llama,
        Family::Qwen2,
        Family::Qwen3,
        Family::Qwen2Vl,
        Family::Qwen25Vl,
        Family::Llava,
    ];

    /// The entry of `architectures` in `config.json`.
    pub fn architecture(self) -> &'static str {
        match self {
            Family::Llama => "LlamaForCausalLM",
            Family::Qwen2 => "Qwen2ForCausalLM",
            Family::Qwen3 => "Qwen3ForCausalLM",
            Family::Qwen2Vl => "Qwen2VLForConditionalGeneration",
            Family::Qwen25Vl => "Qwen2_5_VLForConditionalGeneration",
            Family::Llava => "LlavaForConditionalGeneration",
        }
    }

    /// `model_type` in `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Family::Llama => "llama",
            Family::Qwen2 => "qwen2",
            Family::Qwen3 => "qwen3",
            Family::Qwen2Vl => "qwen2_vl",
            Family::Qwen25Vl => "qwen2_5_vl",
            Family::Llava => "llava",
        }
    }

    /// Whether the family has a vision tower.
    pub fn is_vision(self) -> bool {
        self.has_mrope() || self == Family::Llava
    }

    /// Whether positions of images have time, height and width; in the other families every token is one further.
    pub fn has_mrope(self) -> bool {
        matches!(self, Family::Qwen2Vl | Family::Qwen25Vl)
    }
}

/// A model's configuration, and the JSON it was read from (written back with it).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Which architecture.
    pub family: Family,
    /// The decoder.
    pub text: TextConfig,
    /// The vision tower; present exactly for the vision families.
    pub vision: Option<VisionConfig>,
    /// Placeholder and marker tokens; present exactly for the vision families.
    pub vision_tokens: Option<VisionTokens>,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// First token of a text, where the model uses one.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a response.
    pub eos_token_id: Vec<u32>,
    /// What the decoder's queries see.
    pub attention: Attention,
    pub(crate) json: Map<String, Value>,
}

/// The decoder's shapes and options.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key/value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Rotary positions.
    pub rope: RopeConfig,
    /// Whether the q, k and v projections have a bias.
    pub qkv_bias: bool,
    /// Whether the output projection of the attention has a bias.
    pub o_bias: bool,
    /// Whether q and k are normalised a head at a time (Qwen3).
    pub qk_norm: bool,
    /// Longest text the model was trained for, in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of freshly made weights.
    pub initializer_range: f64,
}

/// Rotary positions of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the wavelengths.
    pub theta: f64,
    /// How frequencies are changed for long texts.
    pub scaling: RopeScaling,
    /// M-RoPE: how many of the `head_dim / 2` frequencies turn with time, height and width.
    pub mrope_section: Option<[usize; 3]>,
}

/// How rotary frequencies are changed for long texts (`rope_type`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// `default`: not at all.
    Default,
    /// `linear`: all divided by `factor`.
    Linear {
        /// Divisor of every frequency.
        factor: f64,
    },
    /// `llama3`: low frequencies divided by `factor`, high ones kept, those between interpolated.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths longer than `original_max_position_embeddings` / this are low frequencies.
        low_freq_factor: f64,
        /// Wavelengths shorter than `original_max_position_embeddings` / this are high frequencies.
        high_freq_factor: f64,
        /// Text length before the model was extended, in tokens.
        original_max_position_embeddings: f64,
    },
}
