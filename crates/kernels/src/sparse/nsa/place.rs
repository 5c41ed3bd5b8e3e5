//! The rows that a branch sees, and where they lie in a cache.

use std::ops::Range;
use std::sync::Arc;

use crate::decode::KvCache;
use crate::decode::attention::Attention;
use crate::decode::blocks::Blocks;
use crate::decode::kv::{BLOCK, Block};

/// The rows of a branch.
#[derive(Debug, Clone, Copy)]
pub enum Rows {
    /// This many last tokens.
    Window(usize),
    /// Means of the complete blocks of this many tokens.
    Means(usize),
}

impl Rows {
    /// Rows that a query sees when it sees `tokens` tokens; none while no block is complete.
    pub(super) fn seen(self, tokens: usize) -> Range<usize> {
        match self {
            Self::Window(len) => tokens.saturating_sub(len)..tokens,
            Self::Means(block) => 0..tokens / block,
        }
    }
}

/// Where the rows that are seen lie in a cache.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub blocks: &'a [Arc<Block>],
    /// Row of the cache that is the first of `blocks`.
    pub first: usize,
    /// Rows of the first block that are not seen.
    pub skip: usize,
    /// Rows up to the last that is seen, skipped ones included.
    pub rows: usize,
}

impl<'a> Place<'a> {
    pub(super) fn new(cache: &'a KvCache, seen: &Range<usize>) -> Self {
        let (first, end) = (seen.start / BLOCK, seen.end.div_ceil(BLOCK));
        Self {
            blocks: &cache.blocks()[first..end],
            first: first * BLOCK,
            skip: seen.start % BLOCK,
            rows: seen.end - first * BLOCK,
        }
    }

    /// Scores of one query.
    pub(super) fn width(&self) -> usize {
        self.blocks.len() * BLOCK
    }
}

/// Takes the first `skip` rows from the sight of a query.
#[inline(always)]
pub(super) fn hide<L: Blocks>(attention: &mut Attention<'_, L>, query: usize, skip: usize) {
    let row = attention.blocks.len() * BLOCK;
    attention.scores[query * row..][..skip].fill(f32::NEG_INFINITY);
}
