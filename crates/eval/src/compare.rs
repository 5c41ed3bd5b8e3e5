//! Methods against a baseline on the same questions, seeds and token budget.
//!
//! A run is a curve: scores per question at several numbers of tokens trained on. Its area is the
//! mean score over the budget (trapezoids, straight lines between evaluations, budget = the
//! smallest last point of the runs compared). Differences to the baseline are taken question by
//! question and seed by seed; the interval is the 95 % percentile bootstrap that draws seeds and
//! questions independently (Owen 2007's pigeonhole bootstrap: it errs on the wide side).

use std::collections::BTreeMap;

use percept_base::random::SplitMix;

use crate::Estimate;
use crate::stats::{DIFFERENCE, percentile_interval, widened};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 4_000;

/// One evaluation on the way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// Tokens trained on until then.
    pub tokens: f64,
    /// Score by question.
    pub scores: BTreeMap<String, f64>,
}

/// The evaluations of one run, by ascending tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// The evaluations.
    pub points: Vec<Point>,
}

impl Curve {
    /// Tokens of the last evaluation; 0 without one.
    pub fn budget(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.tokens)
    }

    /// Mean score of each question over `0..budget` tokens, for the questions that every
    /// evaluation asks. The curve is flat before its first and after its last point.
    pub fn area(&self, budget: f64) -> BTreeMap<String, f64> {
        let Some(first) = self.points.first() else {
            return BTreeMap::new();
        };
        let everywhere = |id: &&String| self.points.iter().all(|p| p.scores.contains_key(*id));
        let ids = first.scores.keys().filter(everywhere);
        ids.map(|id| {
            let curve: Vec<(f64, f64)> = self
                .points
                .iter()
                .map(|point| (point.tokens, point.scores[id]))
                .collect();
            (id.clone(), mean_height(&curve, budget))
        })
        .collect()
    }

    /// Score of each question at the end.
    pub fn last(&self) -> BTreeMap<String, f64> {
        self.points
            .last()
            .map(|point| point.scores.clone())
            .unwrap_or_default()
    }
}

/// Mean height over `0..budget` of the broken line through `curve`.
fn mean_height(curve: &[(f64, f64)], budget: f64) -> f64 {
    let (Some(&first), Some(&last)) = (curve.first(), curve.last()) else {
        return f64::NAN;
    };
    if budget <= first.0 {
        return first.1;
    }
    let mut area = first.0 * first.1;
    for pair in curve.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x0 >= budget || x1 <= x0 {
            continue;
        }
        let end = x1.min(budget);
        let at_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0);
        area += (end - x0) * (y0 + at_end) / 2.0;
    }
    area += (budget - last.0).max(0.0) * last.1;
    area / budget
}

/// Mean over seeds and questions of `method − base`, with its interval; `n` is the number of
/// pairs. Both hold one map per seed, in the same order; questions that a pair does not share
/// are left out.
///
/// ```
/// use std::collections::BTreeMap;
/// let seed = |x: f64| BTreeMap::from([("a".to_owned(), x), ("b".to_owned(), x)]);
/// let e = percept_eval::paired_difference(&[seed(0.0), seed(0.5)], &[seed(0.25), seed(0.75)]);
/// assert_eq!((e.mean, e.n), (0.25, 4));
/// // Two questions do not say that every question would gain as much.
/// assert!(e.low < 0.0 && e.high > 0.5);
/// ```
pub fn paired_difference(
    base: &[BTreeMap<String, f64>],
    method: &[BTreeMap<String, f64>],
) -> Estimate {
    let shared: Vec<&String> = match base.first() {
        None => Vec::new(),
        Some(first) => {
            let all = || base.iter().chain(method);
            let everywhere = |id: &&String| all().all(|seed| seed.contains_key(*id));
            first.keys().filter(everywhere).collect()
        }
    };
    let seeds: Vec<Vec<f64>> = base
        .iter()
        .zip(method)
        .map(|(base, method)| shared.iter().map(|id| method[*id] - base[*id]).collect())
        .collect();
    let n = seeds.len() * shared.len();
    if n == 0 {
        let none = f64::NAN;
        return Estimate {
            mean: none,
            low: none,
            high: none,
            n,
        };
    }
    let mean = seeds.iter().flatten().sum::<f64>() / n as f64;
    let mut draws = SplitMix::new(0x5eed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut weight = vec![0.0; shared.len()];
            for _ in 0..shared.len() {
                weight[draws.below(shared.len())] += 1.0;
            }
            let drawn: f64 = (0..seeds.len())
                .map(|_| {
                    let seed = &seeds[draws.below(seeds.len())];
                    seed.iter().zip(&weight).map(|(d, w)| d * w).sum::<f64>()
                })
                .sum();
            drawn / n as f64
        })
        .collect();
    let interval = percentile_interval(&mut means);
    // Equal differences in all questions: as many questions as there are could be otherwise, not as many pairs.
    let (low, high) = widened(mean, interval, shared.len(), DIFFERENCE);
    Estimate { mean, low, high, n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_that_answer_alike_may_still_differ() {
        // F2: an interval of no width at 0.
        let same: Vec<_> = [0.0; 3].map(|_| point(0.0, 1.0).scores).to_vec();
        let e = paired_difference(&same, &same);
        assert!(e.mean == 0.0 && e.low < 0.0 && e.high > 0.0, "{e:?}");
    }

    fn point(tokens: f64, score: f64) -> Point {
        Point {
            tokens,
            scores: BTreeMap::from([("q".to_owned(), score)]),
        }
    }

    #[test]
    fn the_area_is_that_under_straight_lines() {
        let curve = Curve {
            points: vec![point(0.0, 0.0), point(10.0, 1.0), point(20.0, 1.0)],
        };
        assert_eq!(curve.area(20.0)["q"], 0.75);
        assert_eq!(curve.area(10.0)["q"], 0.5);
        // Half of the first line: mean of 0 and 0.5.
        assert_eq!(curve.area(5.0)["q"], 0.25);
        assert_eq!(curve.area(40.0)["q"], 0.875);
        assert_eq!(curve.area(0.0)["q"], 0.0);
    }

    #[test]
    fn questions_that_are_not_always_asked_have_no_area() {
        let mut last = point(10.0, 1.0);
        last.scores.insert("late".into(), 1.0);
        let curve = Curve {
            points: vec![point(0.0, 1.0), last],
        };
        assert_eq!(curve.area(10.0).len(), 1);
        assert_eq!(curve.last().len(), 2);
    }

    #[test]
    fn the_interval_covers_noise_and_not_a_large_effect() {
        let seed = |shift: f64, k: usize| -> BTreeMap<String, f64> {
            let value = |i: usize| f64::from((i * 7 + k * 13) % 10 < 5) + shift;
            (0..100).map(|i| (format!("{i:03}"), value(i))).collect()
        };
        let base: Vec<_> = (0..5).map(|k| seed(0.0, k)).collect();
        let same: Vec<_> = (0..5).map(|k| seed(0.0, k + 1)).collect();
        let better: Vec<_> = (0..5).map(|k| seed(0.5, k + 1)).collect();
        let none = paired_difference(&base, &same);
        assert!(none.low < 0.0 && none.high > 0.0, "{none:?}");
        let some = paired_difference(&base, &better);
        assert!(some.low > 0.2 && (some.mean - 0.5).abs() < 0.1, "{some:?}");
        assert!(paired_difference(&[], &[]).mean.is_nan());
    }
}
