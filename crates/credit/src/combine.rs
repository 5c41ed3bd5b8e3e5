//! Statistics of token weights of several parts of a batch, put together to those of the whole.

use std::collections::BTreeMap;

use crate::{Normaliser, Stats};

/// What a part of a batch reports, and how much of the batch it is.
type Part = (Normaliser, Stats);

/// A value of one statistic, and the part that reports it.
type Value<'a> = (f64, &'a Part);

/// The statistics of the whole from those of its parts, each with what it counted: `…/min` and `…/max`
/// are the smallest and the largest of all, `…/effective_ratio` is made again from its sums,
/// `…/dropped_sequences` is a mean over sequences, all others are means over trained tokens. How a batch
/// is cut changes nothing.
///
/// ```
/// use percept_credit::{Normaliser, Stats, combine_stats};
/// let part = |tokens, mean: f64, max: f64| {
///     let stats = Stats::from([("credit/fipo/weight/mean", mean), ("credit/fipo/weight/max", max)]);
///     (Normaliser { tokens, sequences: 1 }, stats)
/// };
/// let whole = combine_stats(&[part(1, 2.0, 2.0), part(3, 1.0, 1.0)]);
/// assert_eq!(whole["credit/fipo/weight/mean"], 1.25);
/// assert_eq!(whole["credit/fipo/weight/max"], 2.0);
/// ```
pub fn combine_stats(parts: &[(Normaliser, Stats)]) -> Stats {
    let mut values: BTreeMap<&'static str, Vec<Value<'_>>> = BTreeMap::new();
    for part in parts {
        for (&name, &value) in &part.1 {
            values.entry(name).or_default().push((value, part));
        }
    }
    let whole = |(name, found): (&'static str, Vec<Value<'_>>)| {
        let all = found.iter().map(|(value, _)| *value);
        let value = match name.rsplit('/').next() {
            Some("min") => all.fold(f64::INFINITY, f64::min),
            Some("max") => all.fold(f64::NEG_INFINITY, f64::max),
            Some("effective_ratio") => effective(name, &found),
            Some("dropped_sequences") => mean(&found, |total| total.sequences),
            _ => mean(&found, |total| total.tokens),
        };
        (name, value)
    };
    values.into_iter().map(whole).collect()
}

fn mean(found: &[Value<'_>], weight: impl Fn(&Normaliser) -> usize) -> f64 {
    let weights = found.iter().map(|(_, part)| weight(&part.0) as f64);
    let sum: f64 = weights.clone().zip(found).map(|(w, (x, _))| w * x).sum();
    sum / weights.sum::<f64>()
}

/// `(Σw)² / (n Σw²)`, with `Σw` and `Σw²` of a part from its mean and its own ratio.
fn effective(name: &str, found: &[Value<'_>]) -> f64 {
    let mean_name = name.replace("/effective_ratio", "/weight/mean");
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (ratio, (total, stats)) in found {
        let n = total.tokens as f64;
        let mean = stats.get(mean_name.as_str()).copied().unwrap_or(1.0);
        count += n;
        sum += n * mean;
        if *ratio > 0.0 {
            squares += n * mean * mean / ratio;
        }
    }
    match squares > 0.0 {
        true => sum * sum / (count * squares),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weight::spread;

    // C2
    #[test]
    fn how_a_batch_is_cut_changes_no_statistic_of_its_weights() {
        let weight = [1.0, 1.2, 0.8, 1.0, 0.0, 2.0, 1.1];
        let keys = crate::weight::keys!("fipo");
        let of = |weight: &[f32]| spread(&keys, weight, &vec![true; weight.len()]);
        let whole = of(&weight);
        for cut in 1..weight.len() {
            let (a, b) = weight.split_at(cut);
            let parts = [a, b].map(|part| {
                let total = Normaliser {
                    tokens: part.len(),
                    sequences: 1,
                };
                (total, of(part))
            });
            let found = combine_stats(&parts);
            assert_eq!(found.len(), whole.len());
            for (name, value) in &whole {
                let found = found[name];
                assert!((found - value).abs() < 1e-9, "{name}: {found} for {value}");
            }
        }
    }
}
