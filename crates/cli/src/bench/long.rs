//! Attention by length: full, and PHSA.

use std::hint::black_box;
use std::sync::Arc;

use percept_nn::host::{KvCache, KvShape, attend};
use percept_nn::sparse::{AttentionConfig, Pattern, Phsa, SparseCache};
use percept_nn::{self as nn, Layout};
use rayon::prelude::*;

use super::measure::best;
use super::subject::{DIM, HEADS, KV_HEADS};
use super::suites::leaf;
use super::{Row, Unit, Work};
use crate::Failure;

/// Tokens that are asked together.
const TILE: usize = 64;
/// Values of the queries that share a key-value head.
const GROUP: usize = HEADS / KV_HEADS * DIM;

pub fn attention(repeat: usize, rows: &mut Vec<Row>) -> Result<(), Failure> {
    // 97.3 % sparse at 32,768 tokens: 128 at the start, 512 before the query, 16 blocks of 16.
    let phsa = AttentionConfig::Phsa(Phsa {
        top_k: 16,
        ..Phsa::default()
    });
    let Some(pattern) = phsa.pattern()? else {
        return Ok(());
    };
    for length in [1024, 4096, 16_384, 32_768] {
        // The longest take seconds.
        let forward_repeat = if length > 4096 { 1 } else { repeat };
        forward(length, &pattern, forward_repeat, rows);
        decode(length, &pattern, repeat, rows);
    }
    Ok(())
}

/// Every tenth token or so ends a clause.
fn marks(length: usize) -> Vec<bool> {
    (0..length).map(|i| i % 11 == 10).collect()
}

fn scale() -> f32 {
    (DIM as f32).powf(-0.5)
}

fn forward(length: usize, pattern: &Pattern, repeat: usize, rows: &mut Vec<Row>) {
    let layout = Arc::new(Layout::packed(&[length]));
    let q = leaf(1, [length, HEADS, DIM]).inner();
    let [k, v] = [2, 3].map(|seed| leaf(seed, [length, KV_HEADS, DIM]).inner());
    let full = best(repeat, || {
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        black_box(nn::attention(q, k, v, &layout, true, scale()));
    });
    let name = format!("attention/{length} forward");
    let mut row = Row::new(&name, Unit::Milliseconds, full);
    // Half of the scores, two products.
    let flops = 2.0 * (length * length) as f64 * (HEADS * DIM) as f64;
    row.work = Some(Work { flops, bytes: 0.0 });
    rows.push(row);
    let marks: Arc<[bool]> = marks(length).into();
    let sparse = best(repeat, || {
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        black_box(nn::sparse::attention(
            pattern,
            q,
            k,
            v,
            &layout,
            &marks,
            scale(),
        ));
    });
    let mut row = Row::new(&format!("{name}, phsa"), Unit::Milliseconds, sparse);
    row.without = Some(full);
    rows.push(row);
    let past = Past::new(length, pattern);
    let queries = nn::to_vec(&q);
    let choice = best(repeat, || {
        let tiles = queries.par_chunks(TILE * HEADS * DIM).enumerate();
        tiles.for_each(|(tile, q)| {
            for head in 0..KV_HEADS {
                let rows = q.chunks(HEADS * DIM);
                let q: Vec<f32> = rows
                    .flat_map(|row| &row[head * GROUP..(head + 1) * GROUP])
                    .copied()
                    .collect();
                past.choose(head, tile * TILE + 1, &q);
            }
        });
    });
    let name = format!("{name}, phsa, the choice alone");
    rows.push(Row::new(&name, Unit::Milliseconds, choice));
}

/// The last of `length` tokens; both key-value heads at the same time.
fn decode(length: usize, pattern: &Pattern, repeat: usize, rows: &mut Vec<Row>) {
    /// One takes microseconds.
    const TIMES: usize = 50;
    let past = Past::new(length, pattern);
    let each = |work: &(dyn Fn(usize, &mut [f32]) + Sync)| {
        let mut out = vec![0.0; HEADS * DIM];
        best(repeat, || {
            for _ in 0..TIMES {
                out.par_chunks_mut(GROUP)
                    .enumerate()
                    .for_each(|(head, out)| work(head, out));
            }
        }) / TIMES as f64
    };
    let full = each(&|head, out| {
        attend(
            &past.cache,
            0,
            head,
            length,
            past.queries(head),
            scale(),
            out,
        );
    });
    let sparse = each(&|head, out| {
        let q = past.queries(head);
        past.sparse
            .attend(&past.cache, 0, head, length, q, scale(), out);
    });
    let choice = each(&|head, _| past.choose(head, length, past.queries(head)));
    let name = format!("attention/{length} decode");
    rows.push(Row::new(&name, Unit::Milliseconds, full));
    let mut row = Row::new(&format!("{name}, phsa"), Unit::Milliseconds, sparse);
    row.without = Some(full);
    rows.push(row);
    let name = format!("{name}, phsa, the choice alone");
    rows.push(Row::new(&name, Unit::Milliseconds, choice));
}

/// Keys and values of one layer, and the queries of its last token.
struct Past {
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
            cache,
            sparse,
            queries: nn::to_vec(&leaf(1, [1, HEADS * DIM]).inner()),
        }
    }

    fn queries(&self, head: usize) -> &[f32] {
        &self.queries[head * GROUP..][..GROUP]
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
