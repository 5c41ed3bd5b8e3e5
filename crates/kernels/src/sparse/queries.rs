//! What a choice of blocks looks at, and the memory that it uses.

use std::sync::Arc;

use crate::lines::Lines;

/// Memory of a choice, reused from query to query.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[tokens, keys]` of one head, or `[heads, keys]` of one token.
    pub scores: Lines,
    /// `[tokens, keys]`, summed over the heads.
    pub shared: Lines,
    /// `[heads, groups]`
    pub coarse: Lines,
    /// The largest score of a group, `[heads]`.
    pub most: Vec<f32>,
    /// Tiles that are looked into.
    pub visited: Vec<u32>,
    /// `[blocks]`
    pub pooled: Vec<f32>,
    pub best: Vec<(f32, u32)>,
}

/// Block keys of one layer and key-value head, sixteen to a tile `[head_dim][16]`.
#[derive(Clone, Copy)]
pub(super) struct BlockKeys<'a> {
    pub tiles: &'a [Arc<Lines>],
    /// Means of the keys of complete tiles, in tiles again.
    pub coarse: &'a [Arc<Lines>],
    /// Where the head begins in each tile.
    pub offset: usize,
}

/// Queries of neighbouring tokens of one block of sixteen; the heads of a token choose together.
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    /// `[tokens, heads, head_dim]`
    pub q: &'a [f32],
    pub heads: usize,
    pub head_dim: usize,
    pub scale: f32,
    /// Tokens that the first one sees, itself included.
    pub seen: usize,
}

impl Queries<'_> {
    pub(super) fn tokens(&self) -> usize {
        self.q.len() / (self.heads * self.head_dim)
    }

    /// Those of one token.
    pub(super) fn one(&self, token: usize) -> Self {
        let width = self.heads * self.head_dim;
        Self {
            q: &self.q[token * width..(token + 1) * width],
            seen: self.seen + token,
            ..*self
        }
    }
}
