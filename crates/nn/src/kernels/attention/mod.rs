//! Variable-length attention with shared prefixes.
//!
//! `S = scale·q·kᵀ` over a span's prefix and itself, `P = softmax(S)`, `o = P·v`. Backward, with
//! `P` computed again from the stored log-sum-exp: `dP = do·vᵀ`, `dS = P∘(dP − Σ do·o)`,
//! `dq = scale·dS·k`, `dk = scale·dSᵀ·q`, `dv = Pᵀ·do` (arXiv 2205.14135).
//!
//! Work is cut by family and key/value head: no key of one family of spans is seen by another, so
//! no two tasks write to one row, and the order of all sums is fixed. Long spans go in blocks of
//! queries and chunks of keys, so the scores of a task stay in cache; what a causal mask hides is
//! left out by tiles of rows.

mod plan;
mod products;
mod soften;
mod tile;

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use self::plan::{Block, Chunk, QUERIES, blocks, chunks};
use self::products::{Head, Packed, by_keys, over_keys, to_keys};
use self::soften::{Dots, Scale, Slopes, SoftMax, State};
use crate::Layout;
use crate::host::grid::room;
use crate::host::simd::{Isa, dispatch};
use crate::host_op::{HostOp, INPUTS, Keep};

/// Inputs: q `[tokens, heads, dim]`, k and v `[tokens, kv_heads, dim]`.
#[derive(Debug)]
pub(crate) struct Attention {
    pub tokens: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub dim: usize,
    pub causal: bool,
    pub scale: f32,
    pub layout: Arc<Layout>,
    /// `[heads, tokens]` log-sum-exp of the scores, from the forward pass.
    pub log_z: OnceLock<Vec<f32>>,
}

/// Memory of a task, reused from span to span.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    slopes: Vec<f32>,
    /// Chunk by chunk, packed once for all blocks of queries and heads of a group.
    keys: Vec<Packed>,
    values: Vec<Packed>,
}

impl Attention {
    /// Runs `task(family, key/value head, scratch)` for all of them.
    fn each(&self, task: impl Fn(&[u32], usize, &mut Scratch) + Sync) {
        let families = self.layout.families();
        let tasks = families.len() * self.kv_heads;
        (0..tasks)
            .into_par_iter()
            .for_each_init(Scratch::default, |scratch, index| {
                // What was packed belongs to another family or head.
                for packed in scratch.keys.iter_mut().chain(&mut scratch.values) {
                    packed.pieces.clear();
                }
                task(
                    &families[index / self.kv_heads],
                    index % self.kv_heads,
                    scratch,
                );
            });
    }

    fn query_heads(&self, kv_head: usize) -> std::ops::Range<usize> {
        let group = self.heads / self.kv_heads;
        kv_head * group..(kv_head + 1) * group
    }

    /// One block of queries of one head.
    ///
    /// # Safety
    /// `out` and `log_z` belong to this task.
    unsafe fn forward_block(
        &self,
        block: Block,
        chunks: &[Chunk],
        [q, k, v, out]: [Head; 4],
        log_z: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let isa = Isa::detect();
        let mut states = [State::START; QUERIES];
        let states = &mut states[..block.len];
        let (dim, out_row) = (self.dim, out.row);
        for (index, chunk) in chunks.iter().enumerate() {
            let part = (block, chunk);
            if chunk
                .pieces
                .iter()
                .all(|piece| piece.seen(block.offset + block.len - 1) == 0)
            {
                break;
            }
            let size = block.len * chunk.stride;
            // SAFETY: the caller's promise; the scores have the size of the block.
            unsafe {
                let keys = packed(&mut scratch.keys, index);
                keys.pack(k, dim, chunk);
                let scores = room(&mut scratch.scores, size);
                by_keys(part, dim, self.scale, q, keys, scores);
                dispatch(
                    isa,
                    SoftMax {
                        block,
                        chunk,
                        scores,
                        states,
                    },
                );
                if index > 0 {
                    let out = out.token(block.start);
                    dispatch(
                        isa,
                        Scale {
                            out,
                            out_row,
                            dim,
                            states,
                            finish: false,
                        },
                    );
                }
                over_keys(part, dim, 1.0, scores, v, index == 0, out);
            }
        }
        let out = out.token(block.start);
        dispatch(
            isa,
            Scale {
                out,
                out_row,
                dim,
                states,
                finish: true,
            },
        );
        for (z, state) in log_z.iter_mut().zip(states) {
            *z = state.max + state.sum.ln();
        }
    }

    /// Backward of one block of queries of one head: sets its rows of dq, adds to those of dk, dv.
    ///
    /// # Safety
    /// The gradients' rows belong to this task.
    unsafe fn backward_block(
        &self,
        block: Block,
        chunks: &[Chunk],
        [q, k, v, out, grad]: [Head; 5],
        [dq, dk, dv]: [Head; 3],
        log_z: &[f32],
        scratch: &mut Scratch,
    ) {
        let isa = Isa::detect();
        let mut delta = [0.0; QUERIES];
        let delta = &mut delta[..block.len];
        let (dim, scale) = (self.dim, self.scale);
        let (o, d_o) = (out.token(block.start), grad.token(block.start));
        dispatch(
            isa,
            Dots {
                o,
                d_o,
                row: out.row,
                dim,
                delta,
            },
        );
        for (index, chunk) in chunks.iter().enumerate() {
            let part = (block, chunk);
            if chunk
                .pieces
                .iter()
                .all(|piece| piece.seen(block.offset + block.len - 1) == 0)
            {
                break;
            }
            let size = block.len * chunk.stride;
            // SAFETY: the caller's promise; scores and slopes have the size of the block.
            unsafe {
                let keys = packed(&mut scratch.keys, index);
                keys.pack(k, dim, chunk);
                let values = packed(&mut scratch.values, index);
                values.pack(v, dim, chunk);
                let p = room(&mut scratch.scores, size);
                let ds = room(&mut scratch.slopes, size);
                by_keys(part, dim, scale, q, keys, p);
                by_keys(part, dim, 1.0, grad, values, ds);
                dispatch(
                    isa,
                    Slopes {
                        block,
                        chunk,
                        p,
                        ds,
                        log_z,
                        delta,
                    },
                );
                over_keys(part, dim, scale, ds, k, index == 0, dq);
                to_keys(part, dim, scale, ds, q, dk);
                to_keys(part, dim, 1.0, p, grad, dv);
            }
        }
    }
}

/// The memory of a chunk.
fn packed(all: &mut Vec<Packed>, chunk: usize) -> &mut Packed {
    if all.len() <= chunk {
        all.resize_with(chunk + 1, Packed::default);
    }
    &mut all[chunk]
}

impl HostOp for Attention {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::ALL
    }

    fn forward(&self, [q, k, v]: [&[f32]; INPUTS]) -> Vec<f32> {
        let Self {
            tokens,
            heads,
            kv_heads,
            dim,
            causal,
            ..
        } = *self;
        let len = q.len();
        let mut output = Vec::with_capacity(len);
        let mut log_z = vec![0.0; heads * tokens];
        let [q, o] = [q.as_ptr(), output.as_mut_ptr()].map(|p| Head::new(p, heads, dim));
        let [k, v] = [k, v].map(|x| Head::new(x.as_ptr(), kv_heads, dim));
        let z = Head {
            data: log_z.as_mut_ptr(),
            row: tokens,
        };
        self.each(|family, kv_head, scratch| {
            for &index in family {
                let span = &self.layout.spans()[index as usize];
                let chunks = chunks(span, causal);
                let [k, v] = [k, v].map(|x| x.at(kv_head * dim));
                for (block, head) in
                    blocks(span).flat_map(|b| self.query_heads(kv_head).map(move |h| (b, h)))
                {
                    let [q, o] = [q, o].map(|x| x.at(head * dim));
                    // SAFETY: the block's rows of this head belong to this task.
                    unsafe {
                        let z = z.token(head).wrapping_add(block.start);
                        let z = std::slice::from_raw_parts_mut(z, block.len);
                        self.forward_block(block, &chunks, [q, k, v, o], z, scratch);
                    }
                }
            }
        });
        // SAFETY: spans cover the axis, and the blocks of a span write all of its rows in every head.
        unsafe { output.set_len(len) };
        let _ = self.log_z.set(log_z);
        output
    }

    fn backward(
        &self,
        [q, k, v]: [&[f32]; INPUTS],
        output: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let Self {
            tokens,
            heads,
            kv_heads,
            dim,
            causal,
            ..
        } = *self;
        let log_z = self
            .log_z
            .get()
            .expect("the forward pass of this call kept it");
        let len = q.len();
        let mut gradients = [
            Vec::with_capacity(len),
            vec![0.0; k.len()],
            vec![0.0; v.len()],
        ];
        let [to_q, to_k, to_v] = gradients.each_mut().map(|gradient| gradient.as_mut_ptr());
        let [q, out, grad, dq] =
            [q.as_ptr(), output.as_ptr(), grad.as_ptr(), to_q].map(|x| Head::new(x, heads, dim));
        let [k, v, dk, dv] =
            [k.as_ptr(), v.as_ptr(), to_k, to_v].map(|x| Head::new(x, kv_heads, dim));
        self.each(|family, kv_head, scratch| {
            let [k, v, dk, dv] = [k, v, dk, dv].map(|x| x.at(kv_head * dim));
            for &index in family {
                let span = &self.layout.spans()[index as usize];
                let chunks = chunks(span, causal);
                for (block, head) in
                    blocks(span).flat_map(|b| self.query_heads(kv_head).map(move |h| (b, h)))
                {
                    let [q, out, grad, dq] = [q, out, grad, dq].map(|x| x.at(head * dim));
                    let z = &log_z[head * tokens + block.start..][..block.len];
                    let (inputs, to) = ([q, k, v, out, grad], [dq, dk, dv]);
                    // SAFETY: the queries' rows, and the keys' rows of the family in this
                    // key/value head, belong to this task.
                    unsafe { self.backward_block(block, &chunks, inputs, to, z, scratch) };
                }
            }
        });
        // SAFETY: as in the forward pass.
        unsafe { gradients[0].set_len(len) };
        gradients
    }
}
