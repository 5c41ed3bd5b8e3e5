//! What a model is: the fields of `config.json` that decide shapes and arithmetic.

use serde_json::{Map, Value};

use crate::Attention;

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
}

impl Family {
    /// Every family, in the order of the list that errors print.
    pub const ALL: [Family; 5] = [
        Family::Llama,
        Family::Qwen2,
        Family::Qwen3,
        Family::Qwen2Vl,
        Family::Qwen25Vl,
    ];

    /// The entry of `architectures` in `config.json`.
    pub fn architecture(self) -> &'static str {
        match self {
            Family::Llama => "LlamaForCausalLM",
            Family::Qwen2 => "Qwen2ForCausalLM",
            Family::Qwen3 => "Qwen3ForCausalLM",
            Family::Qwen2Vl => "Qwen2VLForConditionalGeneration",
            Family::Qwen25Vl => "Qwen2_5_VLForConditionalGeneration",
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
        }
    }

    /// Whether the family has a vision tower.
    pub fn is_vision(self) -> bool {
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

/// The vision tower's shapes; `window_size` tells Qwen2.5-VL's tower from Qwen2-VL's.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of a patch's hidden state (`embed_dim` in Qwen2-VL).
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels.
    pub in_channels: usize,
    /// Pixels along a side of a patch.
    pub patch_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Patches along a side of a merged token.
    pub spatial_merge_size: usize,
    /// Width of a merged token; the decoder's `hidden_size`.
    pub out_hidden_size: usize,
    /// Base of the rotary wavelengths.
    pub rope_theta: f64,
    /// Window attention of Qwen2.5-VL; `None` for Qwen2-VL.
    pub windows: Option<WindowConfig>,
    /// Positions an M-RoPE second has (Qwen2.5-VL videos); 1 where it has no meaning.
    pub tokens_per_second: usize,
}

/// Window attention of the Qwen2.5-VL tower.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowConfig {
    /// Pixels along a side of a window.
    pub window_size: usize,
    /// Blocks whose attention spans a whole frame.
    pub fullatt_block_indexes: Vec<usize>,
}

/// Token ids that stand for vision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionTokens {
    /// Stands for one merged token of an image.
    pub image: u32,
    /// Stands for one merged token of a video.
    pub video: u32,
    /// Opens an image or video.
    pub start: u32,
    /// Closes an image or video.
    pub end: u32,
}

impl VisionConfig {
    /// Values of one flattened patch: channels × frames × height × width.
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches of one merged token.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Merged tokens along a side of a window; at least 1.
    pub(crate) fn window_tokens(&self) -> Option<usize> {
        let windows = self.windows.as_ref()?;
        Some((windows.window_size / self.spatial_merge_size / self.patch_size).max(1))
    }
}
