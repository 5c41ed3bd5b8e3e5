//! Shapes of vision towers, by kind.

/// The vision tower of a model, with what makes its output the decoder's.
#[derive(Debug, Clone, PartialEq)]
pub enum VisionConfig {
    /// Qwen2-VL and Qwen2.5-VL.
    Qwen2Vl(Qwen2VlVision),
    /// LLaVA-1.5.
    Llava(LlavaVision),
}

/// The shapes of Qwen2-VL's and Qwen2.5-VL's towers; `windows` tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Qwen2VlVision {
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

/// Token ids that stand for vision. None where a family has no such token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionTokens {
    /// Stands for one merged token of an image.
    pub image: u32,
    /// Stands for one merged token of a video (Qwen).
    pub video: Option<u32>,
    /// Opens an image or video (Qwen).
    pub start: Option<u32>,
    /// Closes an image or video (Qwen).
    pub end: Option<u32>,
}

impl Qwen2VlVision {
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

/// CLIP's tower and LLaVA's projector behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct LlavaVision {
    /// Blocks of the tower, also those whose output nothing reads.
    pub num_hidden_layers: usize,
    /// Blocks that are computed: up to `vision_feature_layer`.
    pub feature_layers: usize,
    /// Width of a patch's hidden state.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Colour channels.
    pub num_channels: usize,
    /// Pixels along a side of a picture: all have one size.
    pub image_size: usize,
    /// Pixels along a side of a patch.
    pub patch_size: usize,
    /// Added to the variance in LayerNorm.
    pub layer_norm_eps: f64,
    /// Whether the decoder sees the class token too (`vision_feature_select_strategy = "full"`).
    pub keeps_class_token: bool,
    /// Whether the projector's layers have biases.
    pub projector_bias: bool,
    /// Width of a projected token; the decoder's `hidden_size`.
    pub out_hidden_size: usize,
}

impl LlavaVision {
    /// Patches along a side of a picture.
    pub fn side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.side() * self.side()
    }

    /// Tokens of a picture in the decoder: 576 in LLaVA-1.5.
    pub fn image_tokens(&self) -> usize {
        self.patches() + usize::from(self.keeps_class_token)
    }

    /// Values of one flattened patch: channels × height × width.
    pub fn patch_values(&self) -> usize {
        self.num_channels * self.patch_size * self.patch_size
    }
}
