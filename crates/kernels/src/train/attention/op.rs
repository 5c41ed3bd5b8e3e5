//! Variable-length attention with shared prefixes.
//!
//! `S = scale·q·kᵀ` over a span's prefix and itself, `P = softmax(S)`, `o = P·v`. Backward, with
//! `P` computed again from the stored log-sum-exp: `dP = do·vᵀ`, `dS = P∘(dP − Σ do·o)`,
//! `dq = scale·dS·k`, `dk = scale·dSᵀ·q`, `dv = Pᵀ·do` (arXiv 2205.14135).
//!
//! Work is cut by family and key/value head: no key of one family of spans is seen by another. Where
//! these are too few or too unequal for the threads, a task is cut by blocks of queries, and in the
//! backward pass by blocks of queries for `dq` and by ranges of keys for `dk` and `dv` (`tasks`).
//! No two parts write to one row, and the order of all sums is the same however the work is cut, so
//! the bits do not depend on the number of threads. Long spans go in blocks of queries and chunks of
//! keys, so the scores stay in cache; what a causal mask hides is left out by tiles of rows.

use std::sync::{Arc, OnceLock};

use super::heads::{Head, HeadMut};
use super::plan::{Block, Chunk, QUERIES, blocks, chunks};
use super::products::{Packed, by_keys, over_keys, to_keys};
use super::soften::{Dots, Scale, Slopes, SoftMax, State};
use super::tasks::{Cutter, Makes, Part, each};
use crate::layout::Layout;
use crate::lines::room;
use crate::op::{HostOp, INPUTS, Keep};
use crate::simd::{Isa, dispatch};
use crate::unwritten::{Unwritten, slots};

/// Inputs: q `[tokens, heads, dim]`, k and v `[tokens, kv_heads, dim]`.
#[derive(Debug)]
pub struct Attention {
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) dim: usize,
    causal: bool,
    scale: f32,
    pub(super) layout: Arc<Layout>,
    /// `[heads, tokens]` log-sum-exp of the scores, from the forward pass.
    pub(super) log_z: OnceLock<Vec<f32>>,
}

impl Attention {
    /// For `heads` query heads that share `kv_heads` heads of keys and values of `dim` values each; `layout` covers the
    /// tokens.
    pub fn new(
        [heads, kv_heads, dim]: [usize; 3],
        layout: Arc<Layout>,
        causal: bool,
        scale: f32,
    ) -> Self {
        Self {
            tokens: layout.len(),
            heads,
            kv_heads,
            dim,
            causal,
            scale,
            layout,
            log_z: OnceLock::new(),
        }
    }
}

/// Memory of a thread, reused from part to part.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    slopes: Vec<f32>,
    /// Chunk by chunk, packed once for all blocks of queries and heads of a group.
    keys: Vec<Packed>,
    values: Vec<Packed>,
    /// Family and key/value head of what is packed.
    task: Option<(usize, usize)>,
}

impl Scratch {
    /// Forgets what was packed for another task.
    fn turn_to(&mut self, part: &Part) {
        let task = Some((part.family, part.kv_head));
        if self.task != task {
            for packed in self.keys.iter_mut().chain(&mut self.values) {
                packed.pieces.clear();
            }
            self.task = task;
        }
    }
}

impl Attention {
    pub(super) fn cutter(&self) -> Cutter<'_> {
        let sizes = [self.heads, self.kv_heads, self.dim];
        Cutter::new(&self.layout, self.causal, sizes)
    }

    /// Runs `unit(block, chunks of keys, head)` for all of a part, in order.
    fn units(&self, part: &Part, mut unit: impl FnMut(Block, &[Chunk], usize)) {
        let group = self.heads / self.kv_heads;
        // Units of the spans before.
        let mut first = 0;
        for &index in &self.layout.families()[part.family] {
            let span = &self.layout.spans()[index as usize];
            let units = first..first + span.len.div_ceil(QUERIES) * group;
            first = units.end;
            if units.end <= part.units.start || part.units.end <= units.start {
                continue;
            }
            let chunks = chunks(span, self.causal, &part.keys);
            let Some(nearest) = chunks.first() else {
                continue;
            };
            let heads = part.kv_head * group..(part.kv_head + 1) * group;
            let all = blocks(span).flat_map(|block| heads.clone().map(move |head| (block, head)));
            for ((block, head), _) in all
                .zip(units)
                .filter(|((block, _), unit)| part.units.contains(unit) && !nearest.hidden(*block))
            {
                unit(block, &chunks, head);
            }
        }
    }

    /// One block of queries of one head.
    ///
    /// # Safety
    /// `out` and `log_z` belong to this part.
    unsafe fn forward_block(
        &self,
        block: Block,
        chunks: &[Chunk],
        [q, k, v]: [Head<'_>; 3],
        out: HeadMut<'_>,
        log_z: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let isa = Isa::detect();
        let mut states = [State::START; QUERIES];
        let states = &mut states[..block.len];
        let (dim, out_row) = (self.dim, out.row);
        let seen = chunks.iter().take_while(|chunk| !chunk.hidden(block));
        for (index, chunk) in seen.enumerate() {
            let part = (block, chunk);
            let size = block.len * chunk.stride;
            // SAFETY: the layout gives each part rows of its own; the scores have the size of the block.
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

    /// Backward of one block of queries of one head: sets its rows of dq, adds to those of dk, dv; of
    /// these what is there.
    ///
    /// # Safety
    /// The gradients' rows belong to this part.
    unsafe fn backward_block(
        &self,
        block: Block,
        chunks: &[Chunk],
        [q, k, v, out, grad]: [Head<'_>; 5],
        [dq, dk, dv]: [Option<HeadMut<'_>>; 3],
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
        let seen = chunks.iter().take_while(|chunk| !chunk.hidden(block));
        for (index, chunk) in seen.enumerate() {
            let part = (block, chunk);
            let size = block.len * chunk.stride;
            // SAFETY: the layout gives each part rows of its own; scores and slopes have the size of the block.
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
                if let Some(dq) = dq {
                    over_keys(part, dim, scale, ds, k, index == 0, dq);
                }
                if let Some(dk) = dk {
                    to_keys(part, dim, scale, ds, q, dk);
                }
                if let Some(dv) = dv {
                    to_keys(part, dim, 1.0, p, grad, dv);
                }
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

impl Attention {
    pub(super) fn forward_in(&self, parts: &[Part], [q, k, v]: [&[f32]; INPUTS]) -> Vec<f32> {
        let Self {
            tokens,
            heads,
            kv_heads,
            dim,
            ..
        } = *self;
        let len = q.len();
        let mut output = Unwritten::new(len);
        let mut log_z = vec![0.0; heads * tokens];
        let q = Head::new(q, heads, dim);
        let [k, v] = [k, v].map(|x| Head::new(x, kv_heads, dim));
        let o = HeadMut::new(output.slots(), heads, dim);
        let z = HeadMut::new(slots(&mut log_z), 1, tokens);
        each(parts, |part, scratch: &mut Scratch| {
            scratch.turn_to(part);
            let [k, v] = [k, v].map(|x| x.at(part.kv_head * dim));
            self.units(part, |block, chunks, head| {
                let (q, o) = (q.at(head * dim), o.at(head * dim));
                // SAFETY: the block's rows of this head belong to this part.
                unsafe {
                    let z = z.token(head).wrapping_add(block.start);
                    let z = std::slice::from_raw_parts_mut(z, block.len);
                    self.forward_block(block, chunks, [q, k, v], o, z, scratch);
                }
            });
        });
        let _ = self.log_z.set(log_z);
        // SAFETY: spans cover the axis, and the blocks of a span write all of its rows in every head.
        unsafe { output.written() }
    }

    pub(super) fn backward_in(
        &self,
        parts: &[Part],
        [q, k, v]: [&[f32]; INPUTS],
        output: &[f32],
        grad: &[f32],
    ) -> [Vec<f32>; INPUTS] {
        let Self {
            tokens,
            heads,
            kv_heads,
            dim,
            ..
        } = *self;
        let log_z = self
            .log_z
            .get()
            .expect("the forward pass of this call kept it");
        let len = q.len();
        let mut of_q = Unwritten::new(len);
        let [mut of_k, mut of_v] = [k, v].map(|x| vec![0.0; x.len()]);
        let [q, out, grad] = [q, output, grad].map(|x| Head::new(x, heads, dim));
        let [k, v] = [k, v].map(|x| Head::new(x, kv_heads, dim));
        let dq = HeadMut::new(of_q.slots(), heads, dim);
        let [dk, dv] = [&mut of_k, &mut of_v].map(|x| HeadMut::new(slots(x), kv_heads, dim));
        each(parts, |part, scratch: &mut Scratch| {
            scratch.turn_to(part);
            let [k, v] = [k, v].map(|x| x.at(part.kv_head * dim));
            let [dk, dv] = [dk, dv].map(|x| x.at(part.kv_head * dim));
            let [dk, dv] = [dk, dv].map(|x| (part.makes != Makes::Queries).then_some(x));
            self.units(part, |block, chunks, head| {
                let [q, out, grad] = [q, out, grad].map(|x| x.at(head * dim));
                let dq = (part.makes != Makes::Keys).then_some(dq.at(head * dim));
                let z = &log_z[head * tokens + block.start..][..block.len];
                let (inputs, to) = ([q, k, v, out, grad], [dq, dk, dv]);
                // SAFETY: of what the part makes, the queries' rows of its units and the keys' rows
                // of its keys in this key/value head belong to it alone.
                unsafe { self.backward_block(block, chunks, inputs, to, z, scratch) };
            });
        });
        // SAFETY: as in the forward pass.
        [unsafe { of_q.written() }, of_k, of_v]
    }
}

impl HostOp for Attention {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::ALL
    }

    fn forward(&self, inputs: [&[f32]; INPUTS]) -> Vec<f32> {
        self.forward_in(&self.cutter().forward(), inputs)
    }

    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        output: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        self.backward_in(&self.cutter().backward(), inputs, output, grad)
    }
}
