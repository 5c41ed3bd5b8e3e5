//! What the model reads: one prompt, or many packed on one token axis.

use std::sync::Arc;

use percept_data::Patches;
use percept_nn::Layout;

/// One prompt, ready for the model: media placeholders expanded, positions assigned, pixels
/// preprocessed.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// Token ids; a placeholder stands once for each merged vision token.
    pub tokens: Vec<u32>,
    /// `[tokens]`: temporal, height and width position (M-RoPE); equal for text.
    pub positions: Vec<[u32; 3]>,
    /// Position of the first generated token.
    pub next_position: u32,
    /// Images and videos in order of appearance.
    pub vision: Vec<Arc<Patches>>,
    /// Token rows that the merged vision embeddings replace, in the order of `vision`.
    pub vision_index: Vec<u32>,
    /// The prompt as rendered by the chat template, before placeholders were expanded.
    pub text: String,
}

/// Prompts and responses on one flat token axis, without padding.
#[derive(Debug, Clone)]
pub struct PackedBatch {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// `[tokens]`: temporal, height and width position (M-RoPE); equal for text.
    pub positions: Vec<[u32; 3]>,
    /// Which tokens see which.
    pub layout: Arc<Layout>,
    /// Images and videos in order of appearance. The same `Arc` twice is encoded once.
    pub images: Vec<Arc<Patches>>,
    /// Token rows that the merged vision embeddings replace, in the order of `images`.
    pub vision_index: Vec<u32>,
}

impl Default for PackedBatch {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            positions: Vec::new(),
            layout: Arc::new(Layout::default()),
            images: Vec::new(),
            vision_index: Vec::new(),
        }
    }
}
