//! The products of attention between a block of queries and a chunk of keys.

use super::heads::{Head, HeadMut};
use super::plan::{Block, Chunk, Piece, QUERIES};
use super::tile::{PANEL, Product};
use crate::simd::LANES;

/// Rows of a tile; what a causal mask hides is left out in these steps.
const TILE: usize = 12;

/// Keys (or values) of a chunk, transposed piece by piece, in panels `[dim, 32]`: what one tile of products reads is
/// one run of memory, which the first-level cache holds.
#[derive(Default)]
pub(super) struct Packed {
    data: Vec<f32>,
    /// The pieces in `data`. Heads of a group share all, responses to one prompt the first.
    pub pieces: Vec<Piece>,
}

/// Values of a packed piece.
fn packed_len(piece: &Piece, dim: usize) -> usize {
    piece.width.next_multiple_of(PANEL) * dim
}

impl Packed {
    /// # Safety
    /// The pieces' tokens exist in `head`, with `dim` values each.
    pub(super) unsafe fn pack(&mut self, head: Head<'_>, dim: usize, chunk: &Chunk) {
        let size = chunk
            .pieces
            .iter()
            .map(|piece| packed_len(piece, dim))
            .sum();
        if self.data.len() < size {
            self.data.resize(size, 0.0);
        }
        self.pieces.truncate(chunk.pieces.len());
        let mut start = 0;
        for (index, piece) in chunk.pieces.iter().enumerate() {
            let place = start..start + packed_len(piece, dim);
            start = place.end;
            if self.pieces.get(index) == Some(piece) {
                continue;
            }
            // What follows may have been overwritten.
            self.pieces.truncate(index);
            self.pieces.push(*piece);
            let panels = self.data[place].chunks_exact_mut(PANEL * dim);
            for (panel, out) in panels.enumerate() {
                let first = panel * PANEL;
                let there = (piece.len - first).min(PANEL);
                if there < PANEL {
                    out.fill(0.0);
                }
                for column in 0..there {
                    // SAFETY: `Chunk` names tokens of the layout, which `attention` found to have the length of the arrays.
                    let row = unsafe {
                        let token = head.token(piece.start + first + column);
                        std::slice::from_raw_parts(token, dim)
                    };
                    for (line, &value) in out.chunks_exact_mut(PANEL).zip(row) {
                        line[column] = value;
                    }
                }
            }
        }
    }

    /// The panels of the pieces, in order.
    fn panels(&self, dim: usize) -> impl Iterator<Item = (&Piece, *const f32)> {
        let mut start = 0;
        self.pieces.iter().map(move |piece| {
            let panels = self.data[start..].as_ptr();
            start += packed_len(piece, dim);
            (piece, panels)
        })
    }
}

/// Row tiles of a block for a piece: first row, rows, and keys that the last of them sees.
fn tiles(block: Block, piece: Piece) -> impl Iterator<Item = (usize, usize, usize)> {
    let step = if piece.causal.is_some() {
        TILE
    } else {
        QUERIES
    };
    (0..block.len)
        .step_by(step)
        .map(move |row| {
            let rows = step.min(block.len - row);
            (row, rows, piece.seen(block.offset + row + rows - 1))
        })
        .filter(|&(_, _, seen)| seen > 0)
}

/// `out[rows of block, columns of chunk] = scale·a·packedᵀ`, up to the keys that are seen.
///
/// # Safety
/// `out` has the block's rows of `chunk.stride`; `a` has the block's tokens.
pub(super) unsafe fn by_keys(
    (block, chunk): (Block, &Chunk),
    dim: usize,
    scale: f32,
    a: Head<'_>,
    packed: &Packed,
    out: &mut [f32],
) {
    for (piece, panels) in packed.panels(dim) {
        for (row, rows, seen) in tiles(block, *piece) {
            let product = Product {
                m: rows,
                k: dim,
                n: seen.next_multiple_of(LANES),
                scale,
                a: a.token(block.start + row),
                a_row: a.row,
                a_column: 1,
                b: panels,
                b_row: PANEL,
                b_panel: PANEL * dim,
                out: out[row * chunk.stride + piece.column..].as_mut_ptr(),
                out_row: chunk.stride,
                add: false,
            };
            // SAFETY: `forward_block` and `backward_block` size the block; a piece's width is a multiple of the lanes.
            unsafe { product.run() };
        }
    }
}

/// Adds `scale·p·b` to the block's rows of `out`, with `b` the rows of the chunk's keys; the first
/// time, overwrites them (`fresh`).
///
/// # Safety
/// `p` has the block's rows of `chunk.stride`; tokens exist; `out` is this part's.
pub(super) unsafe fn over_keys(
    (block, chunk): (Block, &Chunk),
    dim: usize,
    scale: f32,
    p: &[f32],
    b: Head<'_>,
    fresh: bool,
    out: HeadMut<'_>,
) {
    for (index, piece) in chunk.pieces.iter().enumerate() {
        for (row, rows, seen) in tiles(block, *piece) {
            let product = Product {
                m: rows,
                k: seen,
                n: dim,
                scale,
                a: p[row * chunk.stride + piece.column..].as_ptr(),
                a_row: chunk.stride,
                a_column: 1,
                b: b.token(piece.start),
                b_row: b.row,
                b_panel: PANEL,
                out: out.token(block.start + row),
                out_row: out.row,
                add: !(fresh && index == 0),
            };
            // SAFETY: as in `by_keys`; `out` is the part's, as the layout cuts it.
            unsafe { product.run() };
        }
    }
}

/// Adds `scale·pᵀ·a` to the rows of the chunk's keys, `a` being the rows of the block's queries.
///
/// # Safety
/// As [`over_keys`].
pub(super) unsafe fn to_keys(
    (block, chunk): (Block, &Chunk),
    dim: usize,
    scale: f32,
    p: &[f32],
    a: Head<'_>,
    out: HeadMut<'_>,
) {
    for piece in &chunk.pieces {
        let seen = piece.seen(block.offset + block.len - 1);
        let step = if piece.causal.is_some() {
            TILE
        } else {
            seen.max(1)
        };
        for key in (0..seen).step_by(step) {
            let row = piece.first_place(key).saturating_sub(block.offset);
            let product = Product {
                m: step.min(seen - key),
                k: block.len - row,
                n: dim,
                scale,
                a: p[row * chunk.stride + piece.column + key..].as_ptr(),
                a_row: 1,
                a_column: chunk.stride,
                b: a.token(block.start + row),
                b_row: a.row,
                b_panel: PANEL,
                out: out.token(piece.start + key),
                out_row: out.row,
                add: true,
            };
            // SAFETY: as in `over_keys`.
            unsafe { product.run() };
        }
    }
}
