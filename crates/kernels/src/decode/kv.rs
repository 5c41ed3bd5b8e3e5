//! Keys and values of one sequence, in blocks of sixteen tokens.
//!
//! A block holds all layers and key-value heads of sixteen tokens. Copies of a cache share their full blocks; a block
//! that two caches hold is copied before one of them writes to it. So all samples of a prompt share the prompt, and
//! no sequence can change another's past.
//!
//! Within a block, for a layer and a head of `d` values: keys `[d][16]` (a block of scores is one chain of
//! multiply-adds over `d`), then values `[16][d rounded up to 16]`.

use crate::lines::Lines;
use crate::simd::LANES;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tokens of a block.
pub const BLOCK: usize = LANES;

/// Counts the blocks of all caches that it was given to, each once however many caches share it.
#[derive(Clone, Debug, Default)]
pub struct KvCounter(Arc<AtomicUsize>);

impl KvCounter {
    /// Blocks in memory.
    pub fn blocks(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The shape of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Decoder layers.
    pub layers: usize,
    /// Key-value heads of a layer.
    pub heads: usize,
    /// Values of a head.
    pub head_dim: usize,
}

impl KvShape {
    /// Values of a head in a value row.
    pub(crate) fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Floats of one layer and head in a block.
    fn head_len(&self) -> usize {
        (self.head_dim + self.padded()) * BLOCK
    }

    /// Where keys of a layer and head begin in a block, and where its values do.
    pub(crate) fn offsets(&self, layer: usize, head: usize) -> (usize, usize) {
        let keys = (layer * self.heads + head) * self.head_len();
        (keys, keys + self.head_dim * BLOCK)
    }

    fn block_len(&self) -> usize {
        self.layers * self.heads * self.head_len()
    }

    /// Memory of one token, in bytes.
    pub fn token_bytes(&self) -> usize {
        self.block_len() * size_of::<f32>() / BLOCK
    }
}

/// Sixteen tokens of all layers and heads.
#[derive(Debug)]
pub(crate) struct Block {
    lines: Lines,
    counter: KvCounter,
}

impl Block {
    fn new(lines: Lines, counter: &KvCounter) -> Self {
        counter.0.fetch_add(1, Ordering::Relaxed);
        Self {
            lines,
            counter: counter.clone(),
        }
    }
}

impl Deref for Block {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.lines
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Self::new(self.lines.clone(), &self.counter)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.counter.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keys and values of one sequence. Cloning shares the memory; writing copies what is shared.
#[derive(Clone, Debug)]
pub struct KvCache {
    shape: KvShape,
    blocks: Vec<Arc<Block>>,
    len: usize,
    counter: KvCounter,
}

impl KvCache {
    /// An empty cache.
    pub fn new(shape: KvShape) -> Self {
        Self::counted(shape, &KvCounter::default())
    }

    /// An empty cache whose blocks, and those of its copies, are counted.
    pub fn counted(shape: KvShape, counter: &KvCounter) -> Self {
        Self {
            shape,
            blocks: Vec::new(),
            len: 0,
            counter: counter.clone(),
        }
    }

    /// The first `tokens` tokens; the memory is shared.
    ///
    /// # Panics
    /// When fewer are held.
    pub fn cut(&self, tokens: usize) -> Self {
        assert!(tokens <= self.len, "{tokens} tokens of {}", self.len);
        Self {
            shape: self.shape,
            blocks: self.blocks[..tokens.div_ceil(BLOCK)].to_vec(),
            len: tokens,
            counter: self.counter.clone(),
        }
    }

    /// Whether one more token takes a block of its own: a new one, or a copy of an unfinished one that is shared.
    pub fn next_takes_block(&self) -> bool {
        match self.blocks.last() {
            Some(tail) if !self.len.is_multiple_of(BLOCK) => Arc::strong_count(tail) > 1,
            _ => true,
        }
    }

    /// Shape of the cache.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of all blocks this cache sees, shared ones included.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * self.shape.block_len() * size_of::<f32>()
    }

    /// Memory of the blocks that only this cache holds.
    pub fn own_bytes(&self) -> usize {
        let own = self
            .blocks
            .iter()
            .filter(|block| Arc::strong_count(block) == 1)
            .count();
        own * self.shape.block_len() * size_of::<f32>()
    }

    /// Reserves the list of blocks for `tokens` more tokens; the blocks themselves come when they are needed. It is a hint:
    /// a limit that nobody means to reach, such as 10¹⁸ new tokens, reserves no more than the longest contexts.
    pub fn reserve(&mut self, tokens: usize) {
        const LONGEST: usize = 1 << 20;
        self.blocks.reserve(tokens.min(LONGEST).div_ceil(BLOCK) + 1);
    }

    /// Makes room for `tokens` more tokens and counts them as held; every layer must [`write`](Self::write) them
    /// before it attends to them.
    pub fn grow(&mut self, tokens: usize) {
        if tokens == 0 {
            return;
        }
        if !self.len.is_multiple_of(BLOCK)
            && let Some(tail) = self.blocks.last_mut()
        {
            Arc::make_mut(tail);
        }
        self.len += tokens;
        let len = self.shape.block_len();
        while self.blocks.len() * BLOCK < self.len {
            let lines = Lines::zeros(len);
            self.blocks.push(Arc::new(Block::new(lines, &self.counter)));
        }
    }

    /// Writes keys and values `[heads, head_dim]` of one token of the last [`grow`](Self::grow).
    ///
    /// # Panics
    /// When the token is not held, lies in a block that another cache shares, or the lengths do not fit.
    pub fn write(&mut self, layer: usize, token: usize, keys: &[f32], values: &[f32]) {
        let shape = self.shape;
        assert!(token < self.len, "token {token} of {}", self.len);
        assert_eq!(
            (keys.len(), values.len()),
            (shape.heads * shape.head_dim, shape.heads * shape.head_dim)
        );
        let block = Arc::get_mut(&mut self.blocks[token / BLOCK])
            .expect("grow() made the written blocks unique");
        let block = &mut block.lines;
        let (slot, padded) = (token % BLOCK, shape.padded());
        let heads = keys
            .chunks_exact(shape.head_dim)
            .zip(values.chunks_exact(shape.head_dim));
        for (head, (key, value)) in heads.enumerate() {
            let (k, v) = shape.offsets(layer, head);
            let lines = block[k..v].chunks_exact_mut(BLOCK);
            for (line, &x) in lines.zip(key) {
                line[slot] = x;
            }
            block[v + slot * padded..][..shape.head_dim].copy_from_slice(value);
        }
    }

    /// Adds the keys and values of one token to sums `[heads, head_dim]`.
    pub(crate) fn add_to(&self, layer: usize, token: usize, sums: [&mut [f32]; 2]) {
        let shape = self.shape;
        let (block, slot) = (&self.blocks[token / BLOCK], token % BLOCK);
        let [keys, values] = sums.map(|sum| sum.chunks_exact_mut(shape.head_dim));
        for (head, (keys, values)) in keys.zip(values).enumerate() {
            let (k, v) = shape.offsets(layer, head);
            let column = block[k..v].iter().skip(slot).step_by(BLOCK);
            keys.iter_mut().zip(column).for_each(|(sum, x)| *sum += x);
            let row = &block[v + slot * shape.padded()..][..shape.head_dim];
            values.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    }

    #[inline(always)]
    pub(crate) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    const SHAPE: KvShape = KvShape {
        layers: 2,
        heads: 3,
        head_dim: 12,
    };

    fn filled(tokens: usize) -> KvCache {
        let mut cache = KvCache::new(SHAPE);
        cache.grow(tokens);
        for token in 0..tokens {
            for layer in 0..SHAPE.layers {
                cache.write(
                    layer,
                    token,
                    &values(36, token as u64),
                    &values(36, layer as u64),
                );
            }
        }
        cache
    }

    #[test]
    fn a_copy_shares_full_blocks_and_copies_the_tail_when_it_writes() {
        let prefix = filled(37);
        let before: Vec<Vec<f32>> = prefix.blocks.iter().map(|b| b.lines.to_vec()).collect();
        let mut copy = prefix.clone();
        assert_eq!(copy.own_bytes(), 0);
        copy.grow(1);
        copy.write(1, 37, &[1.0; 36], &[2.0; 36]);
        assert!(Arc::ptr_eq(&prefix.blocks[1], &copy.blocks[1]));
        assert!(!Arc::ptr_eq(&prefix.blocks[2], &copy.blocks[2]));
        assert_eq!(copy.own_bytes(), copy.bytes() / 3);
        for (block, before) in prefix.blocks.iter().zip(&before) {
            assert_eq!(block.lines[..], before[..]);
        }
        assert_eq!(SHAPE.token_bytes(), 2 * 3 * (12 + 16) * 4);
    }

    #[test]
    fn a_block_counts_once_as_long_as_a_cache_holds_it() {
        let counter = KvCounter::default();
        let mut cache = KvCache::counted(SHAPE, &counter);
        cache.grow(37);
        assert_eq!(counter.blocks(), 3);
        let mut start = cache.cut(20);
        assert_eq!((start.len(), counter.blocks()), (20, 3));
        // The second block is shared: the next token takes a copy of it.
        assert!(start.next_takes_block() && !cache.next_takes_block());
        start.grow(1);
        assert_eq!(counter.blocks(), 4);
        assert!(!start.next_takes_block());
        drop(cache);
        assert_eq!(counter.blocks(), 2);
        start.grow(11);
        assert!(start.next_takes_block());
        drop(start);
        assert_eq!(counter.blocks(), 0);
    }
}
