//! Options of NSA.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sparse::pattern::{BLOCK_SIZE, Keys, Pattern, is_block_size};

/// Options of NSA; defaults of its paper, with compression and selection in the same blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nsa {
    /// Tokens of a block, which is compressed into one key and value, and chosen as a whole (64).
    pub block_size: usize,
    /// Blocks that the selected branch sees, those of the next two options included (16).
    pub top_k: usize,
    /// Blocks at the start that it always sees (1; 0 in the first version of fla's code).
    pub init_blocks: usize,
    /// Blocks that it always sees, the query's own and those before it (2; 1 in the first version
    /// of fla's code).
    pub local_blocks: usize,
    /// Tokens that the window branch sees, the query's own included (512).
    pub window: usize,
}

impl Default for Nsa {
    fn default() -> Self {
        Self {
            block_size: 64,
            top_k: 16,
            init_blocks: 1,
            local_blocks: 2,
            window: 512,
        }
    }
}

/// Resolved options of [`Nsa`]: what its three branches see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Branches {
    /// The selected branch. Its blocks are also those that the compressed branch sees as means,
    /// and the soft-max over these is what it chooses by.
    pub selected: Pattern,
    /// Tokens of the window branch, the query's own included.
    pub window: usize,
}

impl Nsa {
    /// The branches.
    ///
    /// # Errors
    /// [`Error::Sparse`] when an option is out of its range.
    pub fn branches(&self) -> Result<Branches, Error> {
        let error = |option, found: usize, expected| {
            Err(Error::Sparse {
                name: "nsa",
                option,
                found: found.to_string(),
                expected,
            })
        };
        let block = self.block_size;
        if !is_block_size(block) {
            return error("block_size", block, BLOCK_SIZE);
        }
        if self.local_blocks == 0 {
            return error("local_blocks", 0, "at least 1, the query's block");
        }
        let always = self.init_blocks.saturating_add(self.local_blocks);
        if self.top_k < always {
            return error("top_k", self.top_k, "at least init_blocks + local_blocks");
        }
        if self.window == 0 {
            return error("window", 0, "at least 1, the query's token");
        }
        Ok(Branches {
            selected: Pattern {
                block,
                init: self.init_blocks,
                local: self.local_blocks - 1,
                top_k: self.top_k - always,
                coarse: 0,
                // The plain mean of a block.
                keys: Keys::Fused { lambda: 1.0 },
            }
            .bounded(),
            window: self.window,
        })
    }
}
