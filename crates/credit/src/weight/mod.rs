//! Token weights: how much of a response's advantage each token gets. Detached, never negative, so
//! that they multiply.
//!
//! One weight, one file. To add one: write `name.rs` with a struct of options that implements
//! [`TokenWeight`], and add its line to the registry below.

mod direction;
mod fipo;
mod rank;
mod tgrl;
mod tor;

pub use direction::{Direction, DirectionForm};
pub use fipo::{Fipo, Participation};
pub use tgrl::{TgrlForm, TgrlWeight};
pub use tor::{TokenSets, Tor};

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::{Credit, Error, LossDefaults, Needs, Signals, Stats, registry::methods};

methods! {
    /// Token weight and its options: `"tor"` or `{ name = "tor", … }`.
    TokenWeightConfig dispatches to TokenWeight:
    "tor" => Tor,
    "direction" => Direction,
    "tgrl" => TgrlWeight,
    "fipo" => Fipo,
}

/// When a weight is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Once per rollout batch, before the first update.
    Rollout,
    /// Anew before each update: it depends on the current policy.
    Update,
}

/// What a weight returns.
#[derive(Clone, Debug, Default)]
pub struct Weighed {
    /// `[tokens]`; 1 where the token is not trained.
    pub weight: Vec<f32>,
    /// `[tokens]` tokens that stay in the loss; none when all do.
    pub mask: Option<Vec<bool>>,
    /// Statistics, `credit/<part>/…`.
    pub stats: Stats,
}

/// A rule that weighs tokens.
pub trait TokenWeight {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// When it is known.
    fn stage(&self) -> Stage {
        Stage::Rollout
    }

    /// Adds the signals that it reads.
    fn needs(&self, needs: &mut Needs);

    /// What its authors set in the loss.
    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults::default()
    }

    /// Takes over the loss's dual clip, where it reads one.
    ///
    /// # Errors
    /// [`Error::Differ`] when it was given another.
    fn share_dual_clip(&mut self, _clip_ratio_c: f64) -> Result<(), Error> {
        Ok(())
    }

    /// One weight per token; `credit` has the mask and the advantage so far.
    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error>;
}

/// `[tokens]` the trained tokens of groups that have an advantage: what a weight can change. A group
/// whose rewards are all equal teaches nothing, however it is weighed.
pub(crate) fn with_advantage(signals: &Signals<'_>, credit: &Credit) -> Result<Vec<bool>, Error> {
    signals.per_row("group", signals.group.len())?;
    signals.per_token("credit.advantage", credit.advantage.len())?;
    signals.per_token("credit.mask", credit.mask.len())?;
    let rows = || signals.offsets.iter().zip(signals.group);
    let counts = |token: usize| credit.mask[token] && credit.advantage[token] != 0.0;
    let groups: BTreeSet<usize> = rows()
        .filter(|(range, _)| range.clone().any(counts))
        .map(|(_, &group)| group)
        .collect();
    let mut chosen = vec![false; credit.mask.len()];
    for (range, _) in rows().filter(|(_, group)| groups.contains(group)) {
        chosen[range.clone()].copy_from_slice(&credit.mask[range]);
    }
    Ok(chosen)
}

/// Tokens per task; fixed, so that sums do not depend on the number of threads.
pub(crate) const CHUNK: usize = 1 << 14;

/// Keys of [`spread`].
pub(crate) struct Keys {
    pub mean: &'static str,
    pub min: &'static str,
    pub max: &'static str,
    /// Share of trained tokens whose weight is not 1.
    pub touched: &'static str,
    /// `(Σw)² / (n Σw²)`: the share of tokens that carry the gradient.
    pub effective: &'static str,
}

/// The keys of a part.
macro_rules! keys {
    ($part:literal) => {
        $crate::weight::Keys {
            mean: concat!("credit/", $part, "/weight/mean"),
            min: concat!("credit/", $part, "/weight/min"),
            max: concat!("credit/", $part, "/weight/max"),
            touched: concat!("credit/", $part, "/touched_ratio"),
            effective: concat!("credit/", $part, "/effective_ratio"),
        }
    };
}
pub(crate) use keys;

/// Statistics of the weights of the tokens for which `counts` is true; nothing without one.
pub(crate) fn spread(keys: &Keys, weight: &[f32], counts: &[bool]) -> Stats {
    let of_chunk = |(weight, counts): (&[f32], &[bool])| {
        let mut found = (
            0usize,
            0.0f64,
            0.0f64,
            0usize,
            f32::INFINITY,
            f32::NEG_INFINITY,
        );
        for (&w, _) in weight.iter().zip(counts).filter(|(_, counts)| **counts) {
            found.0 += 1;
            found.1 += f64::from(w);
            found.2 += f64::from(w).powi(2);
            found.3 += usize::from(w != 1.0);
            found.4 = found.4.min(w);
            found.5 = found.5.max(w);
        }
        found
    };
    let chunks = weight.par_chunks(CHUNK).zip(counts.par_chunks(CHUNK));
    let parts: Vec<_> = chunks.map(of_chunk).collect();
    let (mut n, mut sum, mut squares, mut touched) = (0, 0.0, 0.0, 0);
    let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
    for part in parts {
        n += part.0;
        sum += part.1;
        squares += part.2;
        touched += part.3;
        (min, max) = (min.min(part.4), max.max(part.5));
    }
    if n == 0 {
        return Stats::new();
    }
    let count = n as f64;
    let effective = if squares > 0.0 {
        sum * sum / (count * squares)
    } else {
        0.0
    };
    Stats::from([
        (keys.mean, sum / count),
        (keys.min, f64::from(min)),
        (keys.max, f64::from(max)),
        (keys.touched, touched as f64 / count),
        (keys.effective, effective),
    ])
}
