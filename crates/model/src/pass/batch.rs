//! What the model reads: one prompt, or many packed on one token axis.

use std::sync::Arc;

use percept_data::Patches;
use percept_nn::Layout;

use crate::Error;

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

impl Prompt {
    /// A text without media.
    pub fn text(tokens: Vec<u32>, text: String) -> Self {
        let mut prompt = Self {
            text,
            ..Self::default()
        };
        prompt.extend(&tokens);
        prompt
    }

    /// Appends text tokens.
    pub fn extend(&mut self, tokens: &[u32]) {
        let end = self.next_position + tokens.len() as u32;
        self.positions
            .extend((self.next_position..end).map(|p| [p; 3]));
        self.tokens.extend(tokens);
        self.next_position = end;
    }

    /// The prompt itself, if it has at most `max_prompt_length` tokens. Prompts are never cut: a
    /// cut could go through an image.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`] naming the sample.
    pub fn within(self, max_prompt_length: usize, sample: &str) -> Result<Self, Error> {
        if self.tokens.len() <= max_prompt_length {
            return Ok(self);
        }
        Err(Error::PromptTooLong {
            sample: sample.to_owned(),
            tokens: self.tokens.len(),
            vision: self.vision_index.len(),
            max_prompt_length,
        })
    }
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
    /// Images and videos in order of appearance. Equal ones are encoded once; between batches,
    /// where a [`SharedVision`](crate::SharedVision) joins them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_at_the_limit_passes_and_one_above_names_its_sample() {
        let prompt = Prompt {
            tokens: vec![0; 9],
            vision_index: vec![1, 2, 3],
            ..Prompt::default()
        };
        assert!(prompt.clone().within(9, "a.jsonl:3").is_ok());
        let error = prompt.within(8, "a.jsonl:3").unwrap_err().to_string();
        for part in ["a.jsonl:3", "9 tokens", "3 of images", "8", "max_pixels"] {
            assert!(error.contains(part), "no {part:?} in: {error}");
        }
        let text = Prompt {
            tokens: vec![0; 9],
            ..Prompt::default()
        };
        let error = text.within(8, "a.jsonl:3").unwrap_err().to_string();
        assert!(!error.contains("max_pixels"), "{error}");
    }
}
