//! From one advantage per row to one per token.

use rayon::prelude::*;

use super::estimator::Advantage;
use super::graded::Graded;
use crate::Stats;

/// Count, sum and range of the advantages of trained tokens.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    count: usize,
    sum: f64,
    min: f32,
    max: f32,
}

impl Spread {
    const NONE: Self = Self {
        count: 0,
        sum: 0.0,
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
    };

    fn with(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    pub(super) fn stats(self) -> Stats {
        if self.count == 0 {
            return Stats::new();
        }
        Stats::from([
            ("advantage/mean", self.sum / self.count as f64),
            ("advantage/min", f64::from(self.min)),
            ("advantage/max", f64::from(self.max)),
        ])
    }
}

/// The advantage of every token, 0 where it is not trained; one pass over the tokens, row by row.
pub(super) fn spread_out(advantage: &Advantage, batch: &Graded<'_>) -> (Vec<f32>, Spread) {
    let offsets = batch.signals.offsets;
    let mut out = vec![0.0f32; offsets.tokens()];
    let mut rest = out.as_mut_slice();
    let mut rows = Vec::with_capacity(offsets.rows());
    for (row, range) in offsets.iter().enumerate() {
        let (own, later) = rest.split_at_mut(range.len());
        rest = later;
        rows.push((row, range, own));
    }
    let of_row = |(row, range, out): (usize, std::ops::Range<usize>, &mut [f32])| {
        let mask = &batch.mask[range.clone()];
        let mut spread = Spread::NONE;
        let mut add = |value: f32| {
            spread.count += 1;
            spread.sum += f64::from(value);
            spread.min = spread.min.min(value);
            spread.max = spread.max.max(value);
        };
        match advantage {
            Advantage::Tokens(values) => {
                for ((out, &trained), &value) in out.iter_mut().zip(mask).zip(&values[range]) {
                    if trained {
                        *out = value as f32;
                        add(*out);
                    }
                }
            }
            Advantage::Rows(values) => {
                let value = values[row] as f32;
                let mut count = 0usize;
                for (out, &trained) in out.iter_mut().zip(mask) {
                    *out = if trained { value } else { 0.0 };
                    count += usize::from(trained);
                }
                if count > 0 {
                    add(value);
                    spread.count = count;
                    spread.sum *= count as f64;
                }
            }
        }
        spread
    };
    let spreads: Vec<Spread> = rows.into_par_iter().with_min_len(64).map(of_row).collect();
    (out, spreads.into_iter().fold(Spread::NONE, Spread::with))
}
