//! Attention of a few queries to one run of rows, and the means that are such rows.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use super::place::{Place, hide};
use crate::decode::KvCache;
use crate::decode::attention::Attention;
use crate::decode::kv::Block;
use crate::simd::{Isa, Kernel, Lanes, dispatch};

thread_local! {
    static SCORES: RefCell<Vec<f32>> = RefCell::default();
}

/// `out [queries, head_dim] = softmax(scale · q·Kᵀ)·V` over the rows `seen` of one key/value head;
/// zeros where there are none.
///
/// # Panics
/// When the cache has not these rows, or `q` and `out` are not the same whole heads.
pub(super) fn attend(
    cache: &KvCache,
    (layer, head): (usize, usize),
    seen: Range<usize>,
    q: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    assert!(seen.end <= cache.len(), "rows {seen:?} of {}", cache.len());
    let shape = cache.shape();
    let queries = q.len() / shape.head_dim;
    assert_eq!(
        (q.len(), out.len()),
        (queries * shape.head_dim, queries * shape.head_dim),
        "whole heads of {}",
        shape.head_dim
    );
    if seen.is_empty() {
        return out.fill(0.0);
    }
    let place = Place::new(cache, &seen);
    let (keys, values) = shape.offsets(layer, head);
    SCORES.with_borrow_mut(|scores| {
        let needed = queries * place.width();
        if scores.len() < needed {
            scores.resize(needed.next_power_of_two(), 0.0);
        }
        let attention = Attention {
            blocks: place.blocks,
            keys,
            values,
            head_dim: shape.head_dim,
            padded: shape.padded(),
            tokens: place.rows,
            q,
            queries,
            scale,
            scores: &mut scores[..needed],
            out,
        };
        let skip = place.skip;
        dispatch(Isa::detect(), Forward { attention, skip });
    });
}

struct Forward<'a> {
    attention: Attention<'a, &'a [Arc<Block>]>,
    skip: usize,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(mut self) {
        let attention = &mut self.attention;
        // SAFETY: `attend` checked the shapes.
        unsafe {
            attention.all_scores::<S>();
            let mut query = 0;
            while query < attention.queries {
                hide(attention, query, self.skip);
                let total = attention.softmax::<S>(query);
                if query + 1 < attention.queries {
                    hide(attention, query + 1, self.skip);
                    let next = attention.softmax::<S>(query + 1);
                    attention.values::<S, 2>(query, [total, next]);
                    query += 2;
                } else {
                    attention.values::<S, 1>(query, [total]);
                    query += 1;
                }
            }
        }
    }
}

/// A cache of the means of the complete blocks of `block` tokens of another one, which has one
/// layer.
pub(super) fn means(tokens: &KvCache, block: usize) -> KvCache {
    let shape = tokens.shape();
    let mut means = KvCache::new(shape);
    means.grow(tokens.len() / block);
    add_means(&mut means, tokens, 0, block, 0..tokens.len() / block);
    means
}

/// Writes the means of the blocks `which` of `layer`. Sums run over the tokens in order.
pub(super) fn add_means(
    means: &mut KvCache,
    tokens: &KvCache,
    layer: usize,
    block: usize,
    which: Range<usize>,
) {
    let shape = tokens.shape();
    let width = shape.heads * shape.head_dim;
    let (mut keys, mut values) = (vec![0.0; width], vec![0.0; width]);
    let share = 1.0 / block as f32;
    for index in which {
        keys.fill(0.0);
        values.fill(0.0);
        for token in index * block..(index + 1) * block {
            tokens.add_to(layer, token, [&mut keys, &mut values]);
        }
        let sums = keys.iter_mut().chain(&mut values);
        sums.for_each(|sum| *sum *= share);
        means.write(layer, index, &keys, &values);
    }
}
