//! Variable-length attention with shared prefixes.
//!
//! `S = scale·q·kᵀ` over a span's prefix and itself, `P = softmax(S)`, `o = P·v`. Backward, with
//! `P` computed again from the stored log-sum-exp: `dP = do·vᵀ`, `dS = P∘(dP − Σ do·o)`,
//! `dq = scale·dS·k`, `dk = scale·dSᵀ·q`, `dv = Pᵀ·do` (arXiv 2205.14135).
//!
//! Work is cut by family and key/value head: a family is a span without a prefix and all spans
//! that see it, so no two tasks write to one row. Long spans go in blocks of queries, so the
//! scores of a task stay in cache.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::gemm::{Mat, Threads, product};
use crate::host::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use crate::host_op::{HostOp, INPUTS, Keep};
use crate::{Layout, Span};

/// Queries that are computed together.
const BLOCK: usize = 128;

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

/// Memory that tasks write to at disjoint places.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: see the tasks' disjointness in the module documentation.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: callers stay inside the array.
        unsafe { self.0.add(offset) }
    }
}

/// A block of queries and the two runs of keys it sees.
struct Block {
    /// First query and how many.
    start: usize,
    len: usize,
    /// Prefix keys: first and how many.
    prefix: (usize, usize),
    /// Own keys: first and how many (with `causal`, up to the last query).
    own: (usize, usize),
    /// Place of the first query within its span.
    offset: usize,
}

impl Block {
    fn keys(&self) -> usize {
        self.prefix.1 + self.own.1
    }
}

impl Attention {
    fn blocks(&self, span: &Span) -> impl Iterator<Item = Block> {
        let (span, causal) = (*span, self.causal);
        (0..span.len).step_by(BLOCK).map(move |offset| {
            let len = BLOCK.min(span.len - offset);
            Block {
                start: span.start + offset,
                len,
                prefix: (span.prefix_start, span.prefix_len),
                own: (span.start, if causal { offset + len } else { span.len }),
                offset,
            }
        })
    }

    /// Runs `task(family, key/value head)` for all of them.
    fn each(&self, task: impl Fn(&[Span], usize) + Sync) {
        let families = self.layout.families();
        let tasks = families.len() * self.kv_heads;
        (0..tasks).into_par_iter().for_each(|index| {
            let members = families[index / self.kv_heads].iter();
            let spans: Vec<Span> = members.map(|&i| self.layout.spans()[i as usize]).collect();
            task(&spans, index % self.kv_heads);
        });
    }

    /// `out[len, keys] = scale·a·bᵀ`, `a` the rows of a block, `b` those of its keys.
    ///
    /// # Safety
    /// `out` has room; the rows exist.
    unsafe fn by_keys(&self, block: &Block, scale: f32, a: Mat, b: Head<'_>, out: *mut f32) {
        let keys = block.keys();
        for ((first, count), column) in [(block.prefix, 0), (block.own, block.prefix.1)] {
            if count > 0 {
                let shape = [block.len, self.dim, count];
                // SAFETY: the caller's promise.
                unsafe {
                    let out = out.add(column);
                    product(
                        shape,
                        scale,
                        a,
                        b.rows(first).t(),
                        0.0,
                        out,
                        keys,
                        Threads::One,
                    );
                }
            }
        }
    }

    /// `scores` become probabilities; returns nothing, but writes the log-sum-exp of each row.
    fn soften(&self, block: &Block, scores: &mut [f32], log_z: &mut [f32]) {
        let keys = block.keys();
        for (row, (scores, z)) in scores.chunks_exact_mut(keys).zip(log_z).enumerate() {
            let seen = self.seen(block, row);
            let (row, hidden) = scores.split_at_mut(seen);
            hidden.fill(0.0);
            *z = dispatch(Isa::detect(), SoftMax { row });
        }
    }

    /// Keys that a row of a block sees: its columns `0..seen`.
    fn seen(&self, block: &Block, row: usize) -> usize {
        if self.causal {
            block.prefix.1 + block.offset + row + 1
        } else {
            block.keys()
        }
    }
}

/// One head of `[tokens, heads, dim]`.
#[derive(Clone, Copy)]
struct Head<'a> {
    data: &'a [f32],
    row: usize,
    offset: usize,
}

impl Head<'_> {
    /// The rows from `first` on.
    fn rows(self, first: usize) -> Mat {
        Mat::rows(&self.data[first * self.row + self.offset..], self.row)
    }
}

impl HostOp for Attention {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::ALL
    }

    fn forward(&self, [q, k, v]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut output = vec![0.0; q.len()];
        let mut log_z = vec![0.0; self.heads * self.tokens];
        let (out, z) = (Shared(output.as_mut_ptr()), Shared(log_z.as_mut_ptr()));
        let group = self.heads / self.kv_heads;
        let (q_row, kv_row) = (self.heads * self.dim, self.kv_heads * self.dim);
        self.each(|spans, kv_head| {
            let kv = |data| Head {
                data,
                row: kv_row,
                offset: kv_head * self.dim,
            };
            let mut scores = Vec::new();
            for block in spans.iter().flat_map(|span| self.blocks(span)) {
                scores.resize(block.len * block.keys(), 0.0);
                for head in kv_head * group..(kv_head + 1) * group {
                    let q = Head {
                        data: q,
                        row: q_row,
                        offset: head * self.dim,
                    };
                    // SAFETY: rows of this block and columns of this head belong to this task;
                    // `scores` was sized for the block.
                    unsafe {
                        let s = scores.as_mut_ptr();
                        self.by_keys(&block, self.scale, q.rows(block.start), kv(k), s);
                        let z = z.at(head * self.tokens + block.start);
                        let z = std::slice::from_raw_parts_mut(z, block.len);
                        self.soften(&block, &mut scores, z);
                        let out = out.at(block.start * q_row + head * self.dim);
                        let p = Mat::rows(&scores, block.keys());
                        over_keys(&block, self.dim, 1.0, p, kv(v), 0.0, out, q_row);
                    }
                }
            }
        });
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
        let log_z = self
            .log_z
            .get()
            .expect("the forward pass of this call kept it");
        let (mut dq, mut dk, mut dv) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let out = [&mut dq, &mut dk, &mut dv].map(|array| Shared(array.as_mut_ptr()));
        let group = self.heads / self.kv_heads;
        let (q_row, kv_row) = (self.heads * self.dim, self.kv_heads * self.dim);
        self.each(|spans, kv_head| {
            let [dq, dk, dv] = out;
            let kv = |data| Head {
                data,
                row: kv_row,
                offset: kv_head * self.dim,
            };
            let (mut p, mut ds) = (Vec::new(), Vec::new());
            for block in spans.iter().flat_map(|span| self.blocks(span)) {
                let keys = block.keys();
                p.resize(block.len * keys, 0.0);
                ds.resize(block.len * keys, 0.0);
                for head in kv_head * group..(kv_head + 1) * group {
                    let of = |data| Head {
                        data,
                        row: q_row,
                        offset: head * self.dim,
                    };
                    let rows = |data| of(data).rows(block.start);
                    // SAFETY: the queries' rows, and the keys' rows of the family in this
                    // key/value head, belong to this task; `p` and `ds` fit the block.
                    unsafe {
                        self.by_keys(&block, self.scale, rows(q), kv(k), p.as_mut_ptr());
                        self.by_keys(&block, 1.0, rows(grad), kv(v), ds.as_mut_ptr());
                        for row in 0..block.len {
                            let token = block.start + row;
                            let at = token * q_row + head * self.dim;
                            let kernel = Slopes {
                                p: &mut p[row * keys..(row + 1) * keys],
                                ds: &mut ds[row * keys..(row + 1) * keys],
                                seen: self.seen(&block, row),
                                log_z: log_z[head * self.tokens + token],
                                o: &output[at..at + self.dim],
                                d_o: &grad[at..at + self.dim],
                            };
                            dispatch(Isa::detect(), kernel);
                        }
                        let (p, ds) = (Mat::rows(&p, keys), Mat::rows(&ds, keys));
                        let to_q = dq.at(block.start * q_row + head * self.dim);
                        over_keys(&block, self.dim, self.scale, ds, kv(k), 0.0, to_q, q_row);
                        let offset = kv_head * self.dim;
                        to_keys(
                            &block,
                            self.dim,
                            self.scale,
                            ds,
                            rows(q),
                            dk,
                            offset,
                            kv_row,
                        );
                        to_keys(&block, self.dim, 1.0, p, rows(grad), dv, offset, kv_row);
                    }
                }
            }
        });
        [dq, dk, dv]
    }
}

/// `out[len, dim] = keep·out + scale·p·b` with `b` the rows of the block's keys.
///
/// # Safety
/// `out` has the rows; nobody else uses them.
#[allow(clippy::too_many_arguments)]
unsafe fn over_keys(
    block: &Block,
    dim: usize,
    scale: f32,
    p: Mat,
    b: Head<'_>,
    keep: f32,
    out: *mut f32,
    out_row: usize,
) {
    let mut keep = keep;
    for ((first, count), column) in [(block.prefix, 0), (block.own, block.prefix.1)] {
        if count > 0 {
            // SAFETY: `column` is inside a row of `p`.
            let p = Mat {
                data: unsafe { p.data.add(column) },
                ..p
            };
            let shape = [block.len, count, dim];
            // SAFETY: the caller's promise.
            unsafe {
                product(
                    shape,
                    scale,
                    p,
                    b.rows(first),
                    keep,
                    out,
                    out_row,
                    Threads::One,
                )
            };
            keep = 1.0;
        }
    }
}

/// Adds `scale·pᵀ·a` to the rows of the block's keys, `a` being the rows of its queries.
///
/// # Safety
/// `out` has the rows; nobody else uses them.
#[allow(clippy::too_many_arguments)]
unsafe fn to_keys(
    block: &Block,
    dim: usize,
    scale: f32,
    p: Mat,
    a: Mat,
    out: Shared,
    offset: usize,
    out_row: usize,
) {
    for ((first, count), column) in [(block.prefix, 0), (block.own, block.prefix.1)] {
        if count > 0 {
            // SAFETY: `column` is inside a row of `p`.
            let p = Mat {
                data: unsafe { p.data.add(column) },
                ..p
            };
            let shape = [count, block.len, dim];
            let out = out.at(first * out_row + offset);
            // SAFETY: the caller's promise.
            unsafe { product(shape, scale, p.t(), a, 1.0, out, out_row, Threads::One) };
        }
    }
}

/// Scores to probabilities, in place; returns the log-sum-exp.
struct SoftMax<'a> {
    row: &'a mut [f32],
}

impl Kernel for SoftMax<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) -> f32 {
        let len = self.row.len();
        let x = self.row.as_mut_ptr();
        let whole = len / LANES * LANES;
        // SAFETY: all offsets are below `len`.
        unsafe {
            let mut top = S::splat(f32::NEG_INFINITY);
            for at in (0..whole).step_by(LANES) {
                top = top.max(S::load(x.add(at)));
            }
            let mut max = top.largest();
            for at in whole..len {
                max = max.max(*x.add(at));
            }
            let mut sums = S::splat(0.0);
            for at in (0..whole).step_by(LANES) {
                let e = S::load(x.add(at)).sub(S::splat(max)).exp();
                e.store(x.add(at));
                sums = sums.add(e);
            }
            let mut sum = sums.sum();
            if whole < len {
                let rest = len - whole;
                S::load_part(x.add(whole), rest)
                    .sub(S::splat(max))
                    .exp()
                    .store_part(x.add(whole), rest);
                for at in whole..len {
                    sum += *x.add(at);
                }
            }
            let scale = S::splat(1.0 / sum);
            for at in (0..len).step_by(LANES) {
                let n = LANES.min(len - at);
                S::load_part(x.add(at), n)
                    .mul(scale)
                    .store_part(x.add(at), n);
            }
            max + sum.ln()
        }
    }
}

/// One row: scores to probabilities `p`, and `dP` to `dS = p∘(dP − Σ do·o)`; 0 beyond `seen`.
struct Slopes<'a> {
    p: &'a mut [f32],
    ds: &'a mut [f32],
    seen: usize,
    log_z: f32,
    o: &'a [f32],
    d_o: &'a [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let dim = self.o.len();
        let (p, ds) = (self.p.as_mut_ptr(), self.ds.as_mut_ptr());
        // SAFETY: both arrays have at least `seen` elements, `o` and `d_o` have `dim`.
        unsafe {
            let mut dots = S::splat(0.0);
            for at in (0..dim).step_by(LANES) {
                let n = LANES.min(dim - at);
                let d_o = S::load_part(self.d_o.as_ptr().add(at), n);
                dots = S::load_part(self.o.as_ptr().add(at), n).fma(d_o, dots);
            }
            let delta = S::splat(dots.sum());
            let z = S::splat(self.log_z);
            for at in (0..self.seen).step_by(LANES) {
                let n = LANES.min(self.seen - at);
                let prob = S::load_part(p.add(at), n).sub(z).exp();
                prob.store_part(p.add(at), n);
                prob.mul(S::load_part(ds.add(at), n).sub(delta))
                    .store_part(ds.add(at), n);
            }
        }
        self.p[self.seen..].fill(0.0);
        self.ds[self.seen..].fill(0.0);
    }
}
