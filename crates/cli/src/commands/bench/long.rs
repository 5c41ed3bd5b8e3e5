//! Attention by length: full, and its sparse kinds.

use std::hint::black_box;
use std::sync::Arc;

use burn::tensor::Tensor;
use percept_kernels::decode::{KvCache, KvShape, attend};
use percept_kernels::sparse::nsa::GATES;
use percept_kernels::sparse::{
    AttentionConfig, InfLlm2, Moba, Nsa, NsaCache, Pattern, Phsa, Sliding, SparseCache,
};
use percept_nn::{self as nn, Layout};
use rayon::prelude::*;

use super::measure::best;
use super::row::{Row, Unit};
use super::subject::{DIM, HEADS, KV_HEADS, leaf};
use crate::shared::Failure;

/// Tokens that are asked together.
const TILE: usize = 64;
/// Values of the queries that share a key-value head.
const GROUP: usize = HEADS / KV_HEADS * DIM;
/// Where the other sparse kinds are measured.
pub const LONGEST: usize = 32_768;
/// Longer texts are measured without a backward pass.
const LONGEST_BACKWARD: usize = 16_384;

/// PHSA, 97.3 % sparse at 32,768 tokens: 128 at the start, 512 before the query, 16 blocks of 16.
pub fn phsa() -> Phsa {
    Phsa {
        top_k: 16,
        ..Phsa::default()
    }
}

/// As [`phsa`], looking into eight of the 128 groups of sixteen blocks.
fn in_two_steps() -> Phsa {
    Phsa {
        coarse_top_k: 8,
        ..phsa()
    }
}

pub fn attention(repeat: usize, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let phsa = pattern(AttentionConfig::Phsa(phsa()))?;
    for length in [1024, 4096, 16_384, LONGEST] {
        // The longest take seconds.
        let few = if length > 4096 { 1 } else { repeat };
        let text = Text::new(length);
        let full = text.full(few, rows);
        text.sparse("phsa", &phsa, (few, full), rows);
        let past = Past::new(length, &phsa);
        past.choose_all("phsa", length, few, rows);
        let full = past.full(repeat, rows);
        past.sparse("phsa", (repeat, full), rows);
        if length < LONGEST {
            continue;
        }
        for (name, config) in [
            ("phsa in two steps", AttentionConfig::Phsa(in_two_steps())),
            ("sliding", AttentionConfig::Sliding(Sliding::default())),
            ("infllm2", AttentionConfig::InfLlm2(InfLlm2::default())),
            ("moba", AttentionConfig::Moba(Moba::default())),
        ] {
            let pattern = pattern(config)?;
            let known = |what: &str| {
                let name = format!("attention/{length} {what}");
                let row = rows.iter().find(|row| row.name == name);
                row.map_or(f64::NAN, |row| row.percept)
            };
            let [forward, decode] = ["forward", "decode"].map(known);
            text.sparse(name, &pattern, (1, [forward, f64::NAN]), rows);
            let past = Past::new(length, &pattern);
            if name.starts_with("phsa") {
                past.choose_all(name, length, few, rows);
            }
            past.sparse(name, (repeat, decode), rows);
        }
        nsa(&text, repeat, rows)?;
    }
    Ok(())
}

/// A layer's forward pass, and its last token.
fn nsa(text: &Text, repeat: usize, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let branches = Nsa::default().branches()?;
    let gates = leaf::<2>(4, [text.length, GATES * HEADS]);
    let known = |what: &str| {
        let name = format!("attention/{} {what}", text.length);
        rows.iter()
            .find(|row| row.name == name)
            .map(|row| row.percept)
    };
    let [forward, decode] = ["forward", "decode"].map(|what| known(what).unwrap_or(f64::NAN));
    let found = text.time(1, |qkv| {
        let gates = match qkv[0].is_tracked() {
            true => gates.clone(),
            false => gates.clone().inner(),
        };
        nn::sparse::nsa::attention(&branches, qkv, gates, &text.layout, scale())
    });
    text.push(", nsa", found, [forward, f64::NAN], rows);
    let past = Past::new(text.length, &branches.selected);
    let mut cache = NsaCache::new(branches, past.cache.shape());
    cache.grow(text.length);
    cache.update(&past.cache, 0, text.length);
    let gates = nn::to_vec(&leaf::<2>(4, [1, GATES * HEADS]).inner());
    let each = gates.len() / KV_HEADS;
    let found = past.time(repeat, |head, out| {
        let asked = [past.queries(head), &gates[head * each..][..each]];
        cache.attend(&past.cache, (0, head), text.length, asked, scale(), out);
    });
    let mut row = Row::new(
        &format!("attention/{} decode, nsa", text.length),
        Unit::Milliseconds,
        found,
    );
    row.without = Some(decode);
    rows.push(row);
    Ok(())
}

fn pattern(config: AttentionConfig) -> Result<Pattern, Failure> {
    let pattern = config.pattern()?;
    pattern.ok_or_else(|| Failure::new(format!("{}: nothing is sparse", config.name())))
}

/// Every tenth token or so ends a clause.
fn marks(length: usize) -> Vec<bool> {
    (0..length).map(|i| i % 11 == 10).collect()
}

fn scale() -> f32 {
    (DIM as f32).powf(-0.5)
}

/// Queries, keys and values of all tokens of one layer.
struct Text {
    length: usize,
    layout: Arc<Layout>,
    marks: Arc<[bool]>,
    leaves: [Tensor<3>; 3],
}

impl Text {
    fn new(length: usize) -> Self {
        let heads = [HEADS, KV_HEADS, KV_HEADS];
        let shape = |i: usize| [length, heads[i], DIM];
        Self {
            length,
            layout: Arc::new(Layout::packed(&[length])),
            marks: marks(length).into(),
            leaves: [0, 1, 2].map(|i| leaf(i + 1, shape(i))),
        }
    }

    /// Milliseconds forward, and forward and backward where that is measured.
    fn time(&self, repeat: usize, work: impl Fn([Tensor<3>; 3]) -> Tensor<3>) -> [f64; 2] {
        let forward = best(repeat, || {
            black_box(work(self.leaves.clone().map(Tensor::inner)));
        });
        let both = match self.length > LONGEST_BACKWARD {
            true => f64::NAN,
            false => best(repeat, || {
                black_box(work(self.leaves.clone()).backward());
            }),
        };
        [forward, both]
    }

    fn full(&self, repeat: usize, rows: &mut Vec<Row>) -> [f64; 2] {
        let found = self.time(repeat, |[q, k, v]| {
            nn::attention(q, k, v, &self.layout, true, scale())
        });
        self.push("", found, [f64::NAN; 2], rows);
        found
    }

    fn sparse(
        &self,
        name: &str,
        pattern: &Pattern,
        (repeat, full): (usize, [f64; 2]),
        rows: &mut Vec<Row>,
    ) {
        let found = self.time(repeat, |[q, k, v]| {
            nn::sparse::attention(pattern, q, k, v, &self.layout, &self.marks, scale())
        });
        self.push(&format!(", {name}"), found, full, rows);
    }

    fn push(&self, kind: &str, found: [f64; 2], full: [f64; 2], rows: &mut Vec<Row>) {
        let passes = ["forward", "forward and backward"];
        for (pass, (found, full)) in passes.iter().zip(found.into_iter().zip(full)) {
            if found.is_nan() {
                continue;
            }
            let name = format!("attention/{} {pass}{kind}", self.length);
            let mut row = Row::new(&name, Unit::Milliseconds, found);
            row.without = Some(full).filter(|full| !full.is_nan());
            rows.push(row);
        }
    }
}

/// Keys and values of one layer, and the queries of its last token.
struct Past {
    length: usize,
    cache: KvCache,
    sparse: SparseCache,
    queries: Vec<f32>,
}

impl Past {
    fn new(length: usize, pattern: &Pattern) -> Self {
        let shape = KvShape {
            layers: 1,
            heads: KV_HEADS,
            head_dim: DIM,
        };
        let mut cache = KvCache::new(shape);
        let mut sparse = SparseCache::new(*pattern, shape);
        cache.grow(length);
        sparse.grow(&marks(length));
        let [keys, values] =
            [2, 3].map(|seed| nn::to_vec(&leaf(seed, [length, KV_HEADS * DIM]).inner()));
        let width = KV_HEADS * DIM;
        for (token, (k, v)) in keys.chunks(width).zip(values.chunks(width)).enumerate() {
            cache.write(0, token, k, v);
        }
        sparse.update(&cache, 0, length);
        Self {
            length,
            cache,
            sparse,
            queries: nn::to_vec(&leaf(1, [1, HEADS * DIM]).inner()),
        }
    }

    fn queries(&self, head: usize) -> &[f32] {
        &self.queries[head * GROUP..][..GROUP]
    }

    /// Milliseconds of one token; both key-value heads at the same time, without the hand-over between threads.
    fn time(&self, repeat: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> f64 {
        /// One takes microseconds, and a hand-over as many.
        const TIMES: usize = 200;
        let mut out = vec![0.0; HEADS * DIM];
        let all = best(repeat, || {
            let heads = out.par_chunks_mut(GROUP).enumerate();
            heads.for_each(|(head, out)| (0..TIMES).for_each(|_| work(head, out)));
        });
        all / TIMES as f64
    }

    /// The last of all tokens sees all of them.
    fn full(&self, repeat: usize, rows: &mut Vec<Row>) -> f64 {
        let length = self.length;
        let found = self.time(repeat, |head, out| {
            let q = self.queries(head);
            attend(&self.cache, 0, head, length, q, scale(), out);
        });
        let name = format!("attention/{length} decode");
        rows.push(Row::new(&name, Unit::Milliseconds, found));
        found
    }

    fn sparse(&self, name: &str, (repeat, full): (usize, f64), rows: &mut Vec<Row>) {
        let length = self.length;
        let found = self.time(repeat, |head, out| {
            let q = self.queries(head);
            self.sparse
                .attend(&self.cache, 0, head, length, q, scale(), out);
        });
        let name = format!("attention/{length} decode, {name}");
        let mut row = Row::new(&name, Unit::Milliseconds, found);
        row.without = Some(full);
        rows.push(row);
        if !name.contains("phsa") {
            return;
        }
        let choice = self.time(repeat, |head, _| {
            self.choose(head, length, self.queries(head));
        });
        let name = format!("{name}, the choice alone");
        rows.push(Row::new(&name, Unit::Milliseconds, choice));
    }

    /// What every token of a text chooses.
    fn choose_all(&self, kind: &str, length: usize, repeat: usize, rows: &mut Vec<Row>) {
        let queries = nn::to_vec(&leaf(1, [length, HEADS, DIM]).inner());
        let choice = best(repeat, || {
            let tiles = queries.par_chunks(TILE * HEADS * DIM).enumerate();
            tiles.for_each(|(tile, q)| {
                for head in 0..KV_HEADS {
                    let rows = q.chunks(HEADS * DIM);
                    let q: Vec<f32> = rows
                        .flat_map(|row| &row[head * GROUP..(head + 1) * GROUP])
                        .copied()
                        .collect();
                    self.choose(head, tile * TILE + 1, &q);
                }
            });
        });
        let name = format!("attention/{length} forward, {kind}, the choice alone");
        rows.push(Row::new(&name, Unit::Milliseconds, choice));
    }

    /// The choices of neighbouring tokens, the first of which sees `seen`.
    fn choose(&self, head: usize, seen: usize, q: &[f32]) {
        let mut keep = |_: usize, _: usize, blocks: &[u32]| {
            black_box(blocks);
        };
        self.sparse
            .choose((0, head), seen, GROUP, q, scale(), &mut keep);
    }
}
