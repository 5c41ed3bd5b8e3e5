//! How many blocks of keys and values fit.

use percept_model::BLOCK_SIZE;

use super::config::EngineConfig;
use super::runner::{ModelRunner, PerModel};
use crate::Error;

/// The bound on keys and values of one call.
pub(crate) struct Memory {
    /// Bytes; none: no bound.
    limit: Option<usize>,
    /// Bytes of a block, of both models where there are two.
    pub block: usize,
}

impl Memory {
    pub fn new(config: &EngineConfig, models: &PerModel<&ModelRunner<'_>>) -> Self {
        Self {
            limit: (config.kv_cache_memory_bytes > 0).then_some(config.kv_cache_memory_bytes),
            block: models.iter().map(|model| model.decoder.block_bytes()).sum(),
        }
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Bytes in use.
    pub fn used(&self, models: &PerModel<&ModelRunner<'_>>) -> usize {
        let decoders = models.iter().map(|model| &model.decoder);
        decoders.map(|d| d.blocks() * d.block_bytes()).sum()
    }

    /// Whether `blocks` more fit.
    pub fn fits(&self, blocks: usize, models: &PerModel<&ModelRunner<'_>>) -> bool {
        self.limit
            .is_none_or(|limit| self.used(models) + blocks * self.block <= limit)
    }

    /// Refuses a prompt whose longest response does not fit even alone.
    pub fn check(&self, prompt: usize, tokens: usize, max_tokens: usize) -> Result<(), Error> {
        match self.limit {
            Some(limit) if self.needed(tokens, max_tokens) > limit => {
                Err(self.refuse(prompt, tokens, max_tokens))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of one sequence. The prompt's last block is there twice: as the prompt left it, and as the sequence goes
    /// on.
    fn needed(&self, tokens: usize, max_tokens: usize) -> usize {
        (blocks(tokens + max_tokens) + 1) * self.block
    }

    pub fn refuse(&self, prompt: usize, tokens: usize, max_tokens: usize) -> Error {
        Error::KvCache {
            prompt,
            tokens,
            max_tokens,
            needed: self.needed(tokens, max_tokens),
            limit: self.limit.unwrap_or(usize::MAX),
        }
    }
}

/// Blocks of so many tokens.
pub(crate) fn blocks(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_SIZE)
}

/// Blocks that only one sequence holds after its prompt, with room for its next token; `sampled` tokens are sampled.
pub(crate) fn own_blocks(prompt: usize, sampled: usize) -> usize {
    blocks(prompt + sampled.max(1)) - prompt / BLOCK_SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_holds_a_copy_of_its_prompts_unfinished_block() {
        // 37 tokens: two whole blocks and five tokens of a third.
        assert_eq!(own_blocks(37, 0), 1);
        assert_eq!(own_blocks(37, 11), 1);
        assert_eq!(own_blocks(37, 12), 2);
        // A whole prompt: the first token takes a block.
        assert_eq!(own_blocks(32, 0), 1);
        assert_eq!(own_blocks(32, 17), 2);
    }
}
