//! Which blocks a query sees, and which it chooses among.

use crate::decode::kv::BLOCK;

/// Which keys stand for blocks when blocks are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keys {
    /// Nothing is chosen.
    None,
    /// `λ·mean + (1 − λ)·mean of the punctuation`; heads of a group choose together.
    Fused {
        /// λ.
        lambda: f32,
    },
    /// Means of overlapping kernels; heads of a group choose together.
    Kernels {
        /// Tokens of a kernel.
        len: usize,
        /// Tokens from one to the next.
        stride: usize,
    },
    /// Means of blocks; each head chooses for itself by the plain product.
    PerHead,
}

/// A resolved [`AttentionConfig`](super::AttentionConfig): the query at token `p` sees the first `init` blocks, its own block
/// up to itself, the `local` blocks before that, and `top_k` of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pattern {
    /// Tokens of a block, a multiple of sixteen.
    pub block: usize,
    /// Blocks.
    pub init: usize,
    /// Blocks before the query's own.
    pub local: usize,
    /// Blocks.
    pub top_k: usize,
    /// Groups of sixteen blocks that the choice looks into; 0 for all.
    pub coarse: usize,
    /// What the choice looks at.
    pub keys: Keys,
}

/// Whether a block can have so many tokens. Below `2^32`, so that products of a block's size and a number of blocks, both
/// [bounded](Pattern::bounded), are numbers of 64 bits.
pub(super) fn is_block_size(tokens: usize) -> bool {
    tokens > 0 && tokens.is_multiple_of(BLOCK) && tokens as u64 <= MANY
}

/// What [`is_block_size`] expects.
pub(super) const BLOCK_SIZE: &str = "a positive multiple of 16, at most 2^31";

/// More tokens, and more blocks, than any text has.
const MANY: u64 = 1 << 31;

impl Pattern {
    /// The same with numbers of blocks that can be multiplied: one that exceeds every text sees all of it, whatever it is.
    pub(super) fn bounded(mut self) -> Self {
        for blocks in [
            &mut self.init,
            &mut self.local,
            &mut self.top_k,
            &mut self.coarse,
        ] {
            *blocks = (*blocks).min(MANY as usize);
        }
        self
    }

    /// Blocks that a query chooses at most when it sees `tokens` tokens: never more than there are to choose from.
    pub(super) fn most_chosen(&self, tokens: usize) -> usize {
        match tokens {
            0 => 0,
            _ => self.top_k.min(self.candidates(tokens).len()),
        }
    }

    /// Block keys that are complete when `tokens` tokens are there.
    pub fn key_count(&self, tokens: usize) -> usize {
        match self.keys {
            Keys::None => 0,
            Keys::Fused { .. } | Keys::PerHead => tokens / self.block,
            Keys::Kernels { len, stride } => match tokens < len {
                true => 0,
                false => (tokens - len) / stride + 1,
            },
        }
    }

    /// First token and tokens of a block key.
    pub fn key_tokens(&self, key: usize) -> (usize, usize) {
        match self.keys {
            Keys::Kernels { len, stride } => (key * stride, len),
            _ => (key * self.block, self.block),
        }
    }

    /// Groups of sixteen block keys that are complete and that the choice looks into only where their mean key says so;
    /// `None` where it looks into all.
    pub fn groups(&self, tokens: usize) -> Option<usize> {
        let groups = self.key_count(tokens) / BLOCK;
        (self.coarse > 0 && groups > self.coarse).then_some(groups)
    }

    /// Blocks among which a query that sees `tokens` tokens chooses.
    pub fn candidates(&self, tokens: usize) -> std::ops::Range<usize> {
        let current = (tokens - 1) / self.block;
        self.init..current.saturating_sub(self.local).max(self.init)
    }

    /// Whether each query head chooses for itself.
    pub fn per_head(&self) -> bool {
        self.keys == Keys::PerHead
    }

    /// Pieces of sixteen tokens at the start that are always seen, of the first `tokens` tokens.
    pub(crate) fn init_pieces(&self, tokens: usize) -> usize {
        let current = (tokens - 1) / self.block;
        let per = self.block / BLOCK;
        (self.init.min(current + 1) * per).min(tokens.div_ceil(BLOCK))
    }

    /// Pieces of sixteen tokens that are seen, ascending; `chosen` are blocks, ascending.
    pub(crate) fn pieces(&self, tokens: usize, chosen: &[u32], pieces: &mut Vec<u32>) {
        pieces.clear();
        let (per, all) = (self.block / BLOCK, tokens.div_ceil(BLOCK));
        let candidates = self.candidates(tokens);
        let mut add = |blocks: std::ops::Range<usize>| {
            let (first, end) = (blocks.start * per, (blocks.end * per).min(all));
            pieces.extend((first..end).map(|piece| piece as u32));
        };
        let current = (tokens - 1) / self.block;
        add(0..self.init.min(current + 1));
        for &block in chosen {
            add(block as usize..block as usize + 1);
        }
        add(candidates.end..(current + 1).max(candidates.end));
    }
}
