//! A small model of the Qwen2.5-VL architecture that learns on two cores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, ModelConfig, VisionTokens};

/// Shapes of the built-in small model; a genuine Qwen2.5-VL that `transformers` loads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TinyConfig {
    /// Width of the residual stream. Default 128.
    pub hidden_size: usize,
    /// Decoder layers. Default 4.
    pub num_hidden_layers: usize,
    /// Query heads; divides `hidden_size`. Default 4.
    pub num_attention_heads: usize,
    /// Key/value heads; divides `num_attention_heads`. Default 2.
    pub num_key_value_heads: usize,
    /// Width inside the decoder's MLP. Default 384.
    pub intermediate_size: usize,
    /// Longest text in tokens, as `config.json` announces it. Default 2048.
    pub max_position_embeddings: usize,
    /// Base of the rotary wavelengths. Default 10000: texts are short.
    pub rope_theta: f64,
    /// Use the embedding table as output head. Default false.
    pub tie_word_embeddings: bool,
    /// Standard deviation of fresh weights. Default 0.08, about 1 / √`hidden_size`; Qwen's 0.02
    /// fits widths of thousands. On two prompts that differ in their image alone, 40 AdamW steps
    /// (1e-3) end at a loss of 0.001 with 0.08 and 0.04 with 0.02.
    pub initializer_range: f64,
    /// Whose words the tokenizer knows. Default `digit_sum`.
    pub corpus: TinyCorpus,
    /// The vision tower.
    pub vision: TinyVisionConfig,
}

/// A built-in task whose words the small model's tokenizer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TinyCorpus {
    /// Questions about handwritten digits.
    #[default]
    DigitSum,
    /// Questions whether a shape is there.
    Scenes,
    /// Judgements of frames in which small creatures walk.
    Crawlers,
}

/// Shapes of the small model's vision tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TinyVisionConfig {
    /// Blocks. Default 3.
    pub depth: usize,
    /// Width; a multiple of 4 × `num_heads`. Default 96.
    pub hidden_size: usize,
    /// Attention heads. Default 4.
    pub num_heads: usize,
    /// Width inside the MLP. Default 256.
    pub intermediate_size: usize,
    /// Pixels along a side of a patch. Default 7: with `spatial_merge_size` 2 a 112 × 56 image
    /// becomes 8 × 4 tokens.
    pub patch_size: usize,
    /// Patches along a side of a merged token. Default 2.
    pub spatial_merge_size: usize,
    /// Frames in a patch. Default 2, Qwen's.
    pub temporal_patch_size: usize,
    /// Pixels along a side of an attention window. Default 28: 2 × 2 merged tokens.
    pub window_size: usize,
    /// Blocks whose attention spans the whole image. Default `[2]`, the last.
    pub fullatt_block_indexes: Vec<usize>,
}

impl Default for TinyConfig {
    fn default() -> Self {
        Self {
            hidden_size: 128,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            intermediate_size: 384,
            max_position_embeddings: 2048,
            rope_theta: 10000.0,
            tie_word_embeddings: false,
            initializer_range: 0.08,
            corpus: TinyCorpus::default(),
            vision: TinyVisionConfig::default(),
        }
    }
}

impl Default for TinyVisionConfig {
    fn default() -> Self {
        Self {
            depth: 3,
            hidden_size: 96,
            num_heads: 4,
            intermediate_size: 256,
            patch_size: 7,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            window_size: 28,
            fullatt_block_indexes: vec![2],
        }
    }
}

impl TinyConfig {
    /// The configuration for a tokenizer of `vocab_size` tokens, with its vision tokens and the
    /// tokens that end a response.
    ///
    /// # Errors
    /// [`Error::Config`] when the shapes do not fit each other.
    pub fn config(
        &self,
        vocab_size: usize,
        tokens: VisionTokens,
        eos_token_id: u32,
        pad_token_id: u32,
    ) -> Result<ModelConfig, Error> {
        let heads = self.num_attention_heads.max(1);
        // Qwen2.5-VL gives time a quarter of the frequencies, height and width three eighths each.
        let half = self.hidden_size / heads / 2;
        let side = half * 3 / 8;
        let vision = &self.vision;
        let vision_config = json!({
            "model_type": "qwen2_5_vl",
            "depth": vision.depth,
            "hidden_size": vision.hidden_size,
            "hidden_act": "silu",
            "intermediate_size": vision.intermediate_size,
            "num_heads": vision.num_heads,
            "in_channels": 3,
            "in_chans": 3,
            "patch_size": vision.patch_size,
            "spatial_patch_size": vision.patch_size,
            "spatial_merge_size": vision.spatial_merge_size,
            "temporal_patch_size": vision.temporal_patch_size,
            "tokens_per_second": 4,
            "window_size": vision.window_size,
            "fullatt_block_indexes": vision.fullatt_block_indexes,
            "out_hidden_size": self.hidden_size,
            "initializer_range": self.initializer_range,
        });
        // The hub's flat style: transformers 4 and 5 and vLLM read it.
        let json = json!({
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "model_type": "qwen2_5_vl",
            "vocab_size": vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "hidden_act": "silu",
            "max_position_embeddings": self.max_position_embeddings,
            "initializer_range": self.initializer_range,
            "rms_norm_eps": 1e-6,
            "use_cache": true,
            "use_sliding_window": false,
            "max_window_layers": self.num_hidden_layers,
            "attention_dropout": 0.0,
            "tie_word_embeddings": self.tie_word_embeddings,
            "rope_theta": self.rope_theta,
            "rope_scaling": { "type": "mrope", "mrope_section": [half - 2 * side, side, side] },
            "bos_token_id": null,
            "eos_token_id": eos_token_id,
            "pad_token_id": pad_token_id,
            "image_token_id": tokens.image,
            "video_token_id": tokens.video,
            "vision_start_token_id": tokens.start,
            "vision_end_token_id": tokens.end,
            "torch_dtype": "float32",
            "vision_config": vision_config,
        });
        ModelConfig::from_json(json, "model.tiny")
    }
}
