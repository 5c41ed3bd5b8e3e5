//! The differentiable operator.
//!
//! Forward: each span's keys and values (its prefix first) go into a cache like that of the
//! sampler; queries choose and attend there. Backward, at the choice of the forward pass: see
//! `back`.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::back::{BySpans, Step, by_families, span_cache};
use super::cache::SparseCache;
use super::pattern::Pattern;
use crate::decode::KvCache;
use crate::decode::attention::Attention;
use crate::decode::blocks::Chosen;
use crate::decode::kv::{BLOCK, Block};
use crate::layout::{Layout, Span};
use crate::op::{HostOp, INPUTS, Keep};
use crate::shared::Shared;
use crate::simd::{Isa, Kernel, Lanes, dispatch};

/// Queries of one task of the forward pass.
const QUERIES: usize = 64;
/// Stands for no block.
const NONE: u32 = u32::MAX;

/// Block-sparse causal attention. Inputs: q `[tokens, heads, dim]`, k and v `[tokens, kv_heads, dim]`.
#[derive(Debug)]
pub struct Sparse {
    pattern: Pattern,
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    scale: f32,
    layout: Arc<Layout>,
    marks: Arc<[bool]>,
    /// `[tokens, choosers, top_k]` chosen blocks, ascending, filled up with [`NONE`]; `top_k` as [`Sparse::top_k`].
    chosen: OnceLock<Vec<u32>>,
}

impl Sparse {
    /// For `heads` query heads that share `kv_heads` heads of keys and values of `dim` values each; `layout` covers the
    /// tokens, `marks` says of each whether it is punctuation (may be empty).
    pub fn new(
        pattern: &Pattern,
        [heads, kv_heads, dim]: [usize; 3],
        layout: &Arc<Layout>,
        marks: &Arc<[bool]>,
        scale: f32,
    ) -> Self {
        Self {
            pattern: *pattern,
            tokens: layout.len(),
            heads,
            kv_heads,
            dim,
            scale,
            layout: Arc::clone(layout),
            marks: Arc::clone(marks),
            chosen: OnceLock::new(),
        }
    }

    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// How often a token chooses.
    fn choosers(&self) -> usize {
        match self.pattern.per_head() {
            true => self.heads,
            false => self.kv_heads,
        }
    }

    /// Blocks that the rows of `chosen` have room for: what the pattern asks for, but no more than the longest text has to
    /// choose from. An option may ask for more blocks than memory has bytes.
    fn top_k(&self) -> usize {
        let spans = self.layout.spans().iter();
        let most = spans.map(|span| self.pattern.most_chosen(span.prefix_len + span.len));
        most.max().unwrap_or(0)
    }

    /// Rows of no block for every chooser of every token.
    ///
    /// # Panics
    /// When the choices are more than memory can number.
    fn no_choices(&self, top_k: usize) -> Vec<u32> {
        let rows = self.tokens.checked_mul(self.choosers());
        let all = rows.and_then(|rows| rows.checked_mul(top_k));
        vec![NONE; all.expect("fewer choices than memory has addresses")]
    }

    /// For each token and query head, `[tokens · heads]`, the chosen blocks, ascending.
    pub fn choices(&self, q: &[f32], k: &[f32]) -> Vec<Vec<u32>> {
        let top_k = self.top_k();
        let mut kept = self.no_choices(top_k);
        let to = Shared::new(&mut kept);
        self.layout.spans().par_iter().for_each(|span| {
            let (_, keys) = self.caches(span, k, k);
            let tiles = span.len.div_ceil(QUERIES);
            (0..tiles * self.kv_heads).into_par_iter().for_each(|task| {
                let (tile, head) = (task / self.kv_heads, task % self.kv_heads);
                let places = tile * QUERIES..((tile + 1) * QUERIES).min(span.len);
                let (first, seen) = (
                    span.start + places.start,
                    span.prefix_len + places.start + 1,
                );
                let rows = self.queries(q, first, places.len(), head);
                let mut keep = |token: usize, chooser: usize, chosen: &[u32]| {
                    // SAFETY: the rows of this token and head belong to this task.
                    unsafe { self.keep(to, top_k, (first + token, head, chooser), chosen) };
                };
                let width = self.group() * self.dim;
                keys.choose((0, head), seen, width, &rows, self.scale, &mut keep);
            });
        });
        let together = self.heads / self.choosers();
        (0..self.tokens * self.heads)
            .map(|row| {
                let (token, head) = (row / self.heads, row % self.heads);
                let chooser = token * self.choosers() + head / together;
                let kept = &kept[chooser * top_k..][..top_k];
                kept.iter()
                    .copied()
                    .take_while(|&block| block != NONE)
                    .collect()
            })
            .collect()
    }

    /// Queries `[len, heads of the group · dim]` of some tokens.
    fn queries(&self, q: &[f32], first: usize, len: usize, head: usize) -> Vec<f32> {
        let (row, width) = (self.heads * self.dim, self.group() * self.dim);
        (first..first + len)
            .flat_map(|token| &q[token * row + head * width..][..width])
            .copied()
            .collect()
    }

    /// Stores what a token's chooser among those of a key-value head chose.
    ///
    /// # Safety
    /// Its row belongs to the task.
    unsafe fn keep(
        &self,
        kept: Shared<'_, u32>,
        top_k: usize,
        (token, head, chooser): (usize, usize, usize),
        chosen: &[u32],
    ) {
        let together = self.choosers() / self.kv_heads;
        let at = token * self.choosers() + head * together + chooser;
        // SAFETY: the token and head are the task's alone, as `choices` and `forward_tokens` cut them.
        let row = unsafe { kept.rows(at * top_k, top_k) };
        row.fill(NONE);
        row[..chosen.len()].copy_from_slice(chosen);
    }

    /// The keys and values that a span sees, and its block keys.
    fn caches(&self, span: &Span, k: &[f32], v: &[f32]) -> (KvCache, SparseCache) {
        let cache = self.cache(span, k, v);
        let mut keys = SparseCache::new(self.pattern, cache.shape());
        let marks: Vec<bool> = match self.marks.is_empty() {
            true => vec![false; cache.len()],
            false => span.text().map(|token| self.marks[token]).collect(),
        };
        keys.grow(&marks);
        keys.update(&cache, 0, marks.len());
        (cache, keys)
    }

    fn forward_span(
        &self,
        span: &Span,
        [q, k, v]: [&[f32]; 3],
        out: Shared<'_, f32>,
        (kept, top_k): (Shared<'_, u32>, usize),
    ) {
        let (cache, keys) = self.caches(span, k, v);
        let tiles = span.len.div_ceil(QUERIES);
        (0..tiles * self.kv_heads).into_par_iter().for_each(|task| {
            let (tile, head) = (task / self.kv_heads, task % self.kv_heads);
            let places = tile * QUERIES..((tile + 1) * QUERIES).min(span.len);
            self.forward_tokens(&cache, &keys, (span, places, head), q, out, (kept, top_k));
        });
    }

    fn forward_tokens(
        &self,
        cache: &KvCache,
        keys: &SparseCache,
        (span, places, head): (&Span, Range<usize>, usize),
        q: &[f32],
        out: Shared<'_, f32>,
        (kept, top_k): (Shared<'_, u32>, usize),
    ) {
        let (first, seen) = (
            span.start + places.start,
            span.prefix_len + places.start + 1,
        );
        let width = self.group() * self.dim;
        let row = self.heads * self.dim;
        let column = head * width;
        let rows = self.queries(q, first, places.len(), head);
        let mut results = vec![0.0; rows.len()];
        let mut keep = |token: usize, chooser: usize, chosen: &[u32]| {
            // SAFETY: the rows of this token and head belong to this task.
            unsafe { self.keep(kept, top_k, (first + token, head, chooser), chosen) };
        };
        keys.attend_tokens(
            cache,
            (0, head),
            seen,
            width,
            &rows,
            self.scale,
            &mut results,
            &mut keep,
        );
        for (token, result) in results.chunks_exact(width).enumerate() {
            // SAFETY: a token and the columns of a head that are this task's alone.
            let out = unsafe { out.rows((first + token) * row + column, width) };
            out.copy_from_slice(result);
        }
    }
}

impl BySpans for Sparse {
    fn cache(&self, span: &Span, k: &[f32], v: &[f32]) -> KvCache {
        span_cache(span, [self.kv_heads, self.dim], k, v)
    }

    unsafe fn backward_span(
        &self,
        span: &Span,
        head: usize,
        [keys, values]: [&KvCache; 2],
        [q, grad]: [&[f32]; 2],
        [dq, dk, dv]: [Shared<'_, f32>; 3],
    ) {
        let width = self.group() * self.dim;
        let part = if self.pattern.per_head() {
            self.dim
        } else {
            width
        };
        let choosers = self.choosers();
        let kept = self
            .chosen
            .get()
            .expect("the forward pass of this call kept it");
        let top_k = kept.len() / (self.tokens * choosers);
        let (shape, queries) = (keys.shape(), part / self.dim);
        let (offset, rows) = shape.offsets(0, head);
        let (mut pieces, mut p, mut ds) = (Vec::new(), Vec::new(), Vec::new());
        for place in 0..span.len {
            let (token, seen) = (span.start + place, span.prefix_len + place + 1);
            let start = token * self.heads * self.dim + head * width;
            for (index, at) in (start..start + width).step_by(part).enumerate() {
                let chooser = head * (width / part) + index;
                let chosen = &kept[(token * choosers + chooser) * top_k..][..top_k];
                let count = chosen.iter().take_while(|&&block| block != NONE).count();
                self.pattern.pieces(seen, &chosen[..count], &mut pieces);
                let row = pieces.len() * BLOCK;
                p.resize(queries * row, 0.0);
                ds.resize(queries * row, 0.0);
                let make = |cache| Attention {
                    blocks: Chosen {
                        blocks: KvCache::blocks(cache),
                        index: &pieces,
                    },
                    keys: offset,
                    values: rows,
                    head_dim: self.dim,
                    padded: shape.padded(),
                    tokens: row - (seen.next_multiple_of(BLOCK) - seen),
                    q: &q[at..at + part],
                    queries,
                    scale: self.scale,
                    scores: &mut [],
                    out: &mut [],
                };
                let scores = Attention {
                    scores: &mut p,
                    ..make(keys)
                };
                // SAFETY: `by_families` runs a family in one task for each head: these columns are its own.
                let out = unsafe { dq.rows(at, part) };
                let slopes = Attention {
                    q: &grad[at..at + part],
                    scale: 1.0,
                    scores: &mut ds,
                    out,
                    ..make(values)
                };
                let back = Back {
                    step: Step { scores, slopes },
                    pieces: &pieces,
                    span,
                    heads: (head, self.kv_heads),
                    to: [dk, dv],
                };
                dispatch(Isa::detect(), back);
            }
        }
    }
}

/// The backward pass of queries that chose together.
struct Back<'a> {
    step: Step<'a, Chosen<'a, Block>>,
    pieces: &'a [u32],
    span: &'a Span,
    /// Key/value head, of all.
    heads: (usize, usize),
    /// Gradients `[tokens, heads, head_dim]` of keys and of values.
    to: [Shared<'a, f32>; 2],
}

impl Kernel for Back<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        let ((head, heads), dim) = (self.heads, self.step.scores.head_dim);
        // Once for all rows of the loop below: the text of a span ends with the span, and prefixes stand before it.
        let end = self.span.end() * heads * dim;
        assert!(self.to.iter().all(|to| end <= to.len()));
        // SAFETY: both have rows of whole vectors; the tokens' rows of this head belong to the task, and lie before `end`.
        unsafe {
            self.step.products::<S>();
            for query in 0..self.step.scores.queries {
                self.step.query::<S>(query);
            }
            for place in 0..self.step.scores.tokens {
                let text = self.pieces[place / BLOCK] as usize * BLOCK + place % BLOCK;
                let token = match text.checked_sub(self.span.prefix_len) {
                    None => self.span.prefix_start + text,
                    Some(own) => self.span.start + own,
                };
                let to = self.to.map(|to| to.at((token * heads + head) * dim));
                self.step.add_to_row::<S>(place, to);
            }
        }
    }
}

impl HostOp for Sparse {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::INPUTS
    }

    fn forward(&self, inputs: [&[f32]; INPUTS]) -> Vec<f32> {
        let top_k = self.top_k();
        let mut output = vec![0.0; inputs[0].len()];
        let mut chosen = self.no_choices(top_k);
        let (out, kept) = (Shared::new(&mut output), Shared::new(&mut chosen));
        let spans = self.layout.spans().par_iter();
        spans.for_each(|span| self.forward_span(span, inputs, out, (kept, top_k)));
        let _ = self.chosen.set(chosen);
        output
    }

    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        by_families(self, &self.layout, self.kv_heads, inputs, grad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::{AttentionConfig, Moba, Phsa};
    use crate::testing::values;

    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn the_choices_for_a_device_are_those_of_the_kernel() {
        let phsa = AttentionConfig::Phsa(Phsa {
            init: 16,
            local: 32,
            ..Phsa::default()
        });
        let moba = AttentionConfig::Moba(Moba {
            block_size: 16,
            top_k: 4,
        });
        for config in [phsa, moba] {
            let (tokens, heads, kv_heads, dim) = (150, 4, 2, 16);
            let op = Sparse {
                pattern: config.pattern().unwrap().unwrap(),
                tokens,
                heads,
                kv_heads,
                dim,
                scale: 0.5,
                layout: Arc::new(Layout::packed(&[110, 40])),
                marks: (0..tokens).map(|token| token % 7 == 3).collect(),
                chosen: OnceLock::new(),
            };
            let q = values(tokens * heads * dim, 1);
            let k = values(tokens * kv_heads * dim, 2);
            let choices = op.choices(&q, &k);
            op.forward([&q, &k, &k]);
            let kept = op.chosen.get().unwrap();
            for (row, chosen) in choices.iter().enumerate() {
                let chooser = row * op.choosers() / heads;
                let kept = &kept[chooser * op.top_k()..][..op.top_k()];
                let kept: Vec<u32> = kept.iter().copied().filter(|&b| b != NONE).collect();
                assert_eq!(chosen, &kept, "{config:?} {row}");
            }
        }
    }

    fn op(config: &AttentionConfig, tokens: usize) -> Sparse {
        Sparse {
            pattern: config.pattern().unwrap().unwrap(),
            tokens,
            heads: 4,
            kv_heads: 2,
            dim: 16,
            scale: 0.5,
            layout: Arc::new(Layout::packed(&[tokens - 40, 40])),
            marks: (0..tokens).map(|token| token % 7 == 3).collect(),
            chosen: OnceLock::new(),
        }
    }

    /// Small enough for Miri: every way of choosing, forward and back.
    #[test]
    fn a_short_text_goes_forward_and_back() {
        let layout = Arc::new(Layout::packed(&[36, 4]));
        let marks = (0..40).map(|token| token % 7 == 3).collect();
        let (q, k) = (values(40 * 8, 1), values(40 * 4, 2));
        let moba = AttentionConfig::Moba(Moba {
            block_size: 16,
            top_k: 2,
        });
        let phsa = AttentionConfig::Phsa(Phsa {
            init: 0,
            local: 0,
            top_k: 1,
            ..Phsa::default()
        });
        for config in [moba, phsa] {
            let pattern = config.pattern().unwrap().unwrap();
            let op = Sparse::new(&pattern, [2, 1, 4], &layout, &marks, 0.5);
            let out = op.forward([&q, &k, &k]);
            let gradients = op.backward([&q, &k, &k], &out, &q, [true; 3]);
            for values in gradients.iter().chain([&out]) {
                assert!(values.iter().all(|x| x.is_finite()), "{config:?}");
            }
        }
    }

    /// H1: an option may hold any number. One that is larger than every text asks for every block, no more.
    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn more_blocks_than_there_are_is_every_block() {
        let tokens = 150;
        let q = values(tokens * 64, 1);
        let k = values(tokens * 32, 2);
        let all = |config: &AttentionConfig| {
            let op = op(config, tokens);
            let out = op.forward([&q, &k, &k]);
            let back = op.backward([&q, &k, &k], &out, &q, [true; 3]);
            (op.choices(&q, &k), out, back)
        };
        let huge = [1 << 30, (1 << 62) + 1, usize::MAX];
        let moba = |top_k| {
            AttentionConfig::Moba(Moba {
                block_size: 16,
                top_k,
            })
        };
        let phsa = |top_k| {
            AttentionConfig::Phsa(Phsa {
                top_k,
                init: 16,
                local: 32,
                ..Phsa::default()
            })
        };
        let nsa = |top_k| {
            AttentionConfig::Nsa(crate::sparse::Nsa {
                block_size: 16,
                top_k,
                ..Default::default()
            })
        };
        for of in [&moba as &dyn Fn(usize) -> AttentionConfig, &phsa, &nsa] {
            let expected = all(&of(64));
            for top_k in huge {
                assert_eq!(all(&of(top_k)), expected, "{:?}", of(top_k));
            }
        }
    }

    /// H1, the other numbers of the options.
    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn every_option_may_be_larger_than_any_text() {
        let tokens = 150;
        let (q, k) = (values(tokens * 64, 1), values(tokens * 32, 2));
        for huge in [(1 << 62) + 1, (1 << 60) + 16, usize::MAX] {
            let configs = [
                AttentionConfig::Phsa(Phsa {
                    init: huge,
                    block_size: 64,
                    ..Phsa::default()
                }),
                AttentionConfig::Phsa(Phsa {
                    local: huge,
                    coarse_top_k: huge,
                    ..Phsa::default()
                }),
                AttentionConfig::InfLlm2(crate::sparse::InfLlm2 {
                    kernel: huge,
                    init_blocks: huge,
                    window: huge,
                    ..Default::default()
                }),
                AttentionConfig::Sliding(crate::sparse::Sliding {
                    init: huge,
                    window: huge,
                }),
            ];
            for config in configs {
                let sees_all = op(&config, tokens).forward([&q, &k, &k]);
                let window = AttentionConfig::Sliding(crate::sparse::Sliding {
                    init: 0,
                    window: tokens,
                });
                assert_eq!(
                    sees_all,
                    op(&window, tokens).forward([&q, &k, &k]),
                    "{config:?}"
                );
            }
        }
        let block_size = usize::MAX - 15;
        let moba = AttentionConfig::Moba(Moba {
            block_size,
            top_k: 3,
        });
        assert!(moba.pattern().unwrap_err().to_string().contains("2^31"));
    }
}
