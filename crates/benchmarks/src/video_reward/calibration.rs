//! What scores promise beside what happens.
//!
//! *Pairs*: by Bradley–Terry with ties (Rao and Kupper 1967), as REACT and VideoReward train, Δ = s_A − s_B promises
//! P(A ≻ B) = σ(Δ − ln θ), P(B ≻ A) = σ(−Δ − ln θ), and a tie with what is left. The expected calibration error puts the
//! three promises of every pair into ten bins of equal width and weighs |promised − happened| by their sizes.
//!
//! *Frames*: the score bands of REACT's pseudo-scores (4–5: no label, 3–4: one, 2–3: two, 1–2: more) beside the share of
//! frames that people found distorted and how many labels they gave; and the area under the ROC curve of the score.

use percept_eval::stats::ratio;
use percept_frames::Preference;
use serde::Serialize;

use super::accuracy::Pair;
use super::frames::JudgedFrame;

const BINS: usize = 10;

/// Promises between two bounds, and what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Promised at least this, …
    pub low: f64,
    /// … and less than this (the last bin: at most).
    pub high: f64,
    /// Promises in the bin.
    pub n: usize,
    /// Their mean.
    pub predicted: f64,
    /// Share that came true.
    pub observed: f64,
}

/// How promises about pairs hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The tie constant.
    pub theta: f64,
    /// Mean of −ln of what was promised to what happened.
    pub log_loss: f64,
    /// Mean over pairs of the squared distance between the promises and what happened (0 to 2).
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// The bins that hold anything.
    pub bins: Vec<Bin>,
}

/// A band of scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Band {
    /// From this score …
    pub low: f64,
    /// … to this.
    pub high: f64,
    /// Frames.
    pub n: usize,
    /// Share that people found distorted.
    pub distorted: f64,
    /// Mean number of labels that people gave.
    pub labels: f64,
}

/// What scores of frames say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameCalibration {
    /// Bands from broken to clean.
    pub bands: Vec<Band>,
    /// Probability that a normal frame scores above a distorted one (equal scores: a half).
    pub auroc: f64,
}

/// Probabilities of A ≻ B, B ≻ A and a tie.
fn promises(delta: f64, theta: f64) -> [f64; 3] {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (a, b) = (sigmoid(delta - theta.ln()), sigmoid(-delta - theta.ln()));
    // (θ² − 1)·P(A ≻ B)·P(B ≻ A): the rest without cancellation.
    [a, b, (theta * theta - 1.0) * a * b]
}

/// How the promises of score differences hold, with `theta` > 1; pairs without a score promise nothing.
pub fn calibration(pairs: &[Pair<'_>], theta: f64) -> Calibration {
    let pairs: Vec<&Pair<'_>> = pairs.iter().filter(|pair| !pair.delta.is_nan()).collect();
    let mut sums = [(0usize, 0.0, 0.0); BINS];
    let (mut log_loss, mut brier) = (0.0, 0.0);
    for pair in &pairs {
        let promised = promises(pair.delta, theta);
        let happened = match pair.human {
            Preference::A => 0,
            Preference::B => 1,
            Preference::Tie => 2,
        };
        log_loss -= promised[happened].max(f64::MIN_POSITIVE).ln();
        for (at, promise) in promised.into_iter().enumerate() {
            let came = f64::from(u8::from(at == happened));
            brier += (promise - came).powi(2);
            let bin = &mut sums[((promise * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + promise, bin.2 + came);
        }
    }
    let edge = |at: usize| at as f64 / BINS as f64;
    let bins: Vec<Bin> = sums
        .iter()
        .enumerate()
        .filter(|(_, (n, ..))| *n > 0)
        .map(|(at, &(n, promised, came))| Bin {
            low: edge(at),
            high: edge(at + 1),
            n,
            predicted: promised / n as f64,
            observed: came / n as f64,
        })
        .collect();
    let n = pairs.len() as f64;
    let off = |bin: &Bin| (bin.predicted - bin.observed).abs() * bin.n as f64;
    Calibration {
        theta,
        log_loss: ratio(log_loss, n),
        brier: ratio(brier, n),
        ece: ratio(bins.iter().map(off).sum(), 3.0 * n),
        bins,
    }
}

/// What the scores of frames say; frames without a score are left out.
pub fn frame_calibration(frames: &[JudgedFrame<'_>]) -> FrameCalibration {
    let scored: Vec<(f64, usize)> = frames
        .iter()
        .filter_map(|f| Some((f.score?, f.gold.len())))
        .collect();
    let band = |at: usize| {
        let (low, high) = (at as f64, at as f64 + 1.0);
        let inside = |score: f64| score >= low && (score < high || at == 4 && score <= high);
        let found: Vec<usize> = scored
            .iter()
            .filter(|(score, _)| inside(*score))
            .map(|(_, labels)| *labels)
            .collect();
        let n = found.len() as f64;
        Band {
            low,
            high,
            n: found.len(),
            distorted: ratio(found.iter().filter(|labels| **labels > 0).count() as f64, n),
            labels: ratio(found.iter().sum::<usize>() as f64, n),
        }
    };
    FrameCalibration {
        bands: (1..=4).map(band).collect(),
        auroc: auroc(&scored),
    }
}

/// Mann–Whitney: over ranks, equal scores sharing theirs.
fn auroc(scored: &[(f64, usize)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|x, y| x.0.total_cmp(&y.0));
    let normal = sorted.iter().filter(|(_, labels)| *labels == 0).count() as f64;
    let distorted = sorted.len() as f64 - normal;
    let (mut wins, mut below) = (0.0, 0.0);
    for equal in sorted.chunk_by(|x, y| x.0 == y.0) {
        let clean = equal.iter().filter(|(_, labels)| *labels == 0).count() as f64;
        let broken = equal.len() as f64 - clean;
        wins += clean * (below + 0.5 * broken);
        below += broken;
    }
    ratio(wins, normal * distorted)
}

#[cfg(test)]
mod tests {
    use percept_frames::Distortion;

    use super::*;

    #[test]
    fn promises_sum_to_one() {
        for delta in [-40.0, -4.0, -0.3, 0.0, 1.7, 4.0, 40.0] {
            let sum: f64 = promises(delta, 5.0).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{delta}: {sum}");
        }
    }

    /// Pairs drawn as the scores promise are calibrated; sure and wrong scores are not.
    #[test]
    fn scores_that_promise_what_happens_are_calibrated() {
        let mut draws = percept_base::random::SplitMix::new(1);
        let mut unit = || draws.below(1 << 20) as f64 / f64::from(1 << 20);
        let mut pairs = Vec::new();
        for _ in 0..20_000 {
            let delta = 8.0 * unit() - 4.0;
            let [a, b, _] = promises(delta, 5.0);
            let draw = unit();
            let human = match draw {
                draw if draw < a => Preference::A,
                draw if draw < a + b => Preference::B,
                _ => Preference::Tie,
            };
            pairs.push(Pair {
                group: "g",
                human,
                delta,
            });
        }
        let honest = calibration(&pairs, 5.0);
        assert!(honest.ece < 0.01, "{}", honest.ece);
        for pair in &mut pairs {
            pair.delta *= -1.0;
        }
        let wrong = calibration(&pairs, 5.0);
        assert!(wrong.ece > 0.1 && wrong.brier > honest.brier && wrong.log_loss > honest.log_loss);
    }

    #[test]
    fn frames_are_counted_by_band_and_ranked() {
        let blur = [Distortion::MotionBlur];
        let frame = |score, gold| JudgedFrame {
            group: "g",
            gold,
            predicted: Some(gold),
            score: Some(score),
        };
        let frames = [
            frame(1.0, &blur[..]),
            frame(3.5, &blur[..]),
            frame(3.5, &[]),
            frame(5.0, &[]),
        ];
        let found = frame_calibration(&frames);
        let shares: Vec<(usize, f64)> = found.bands.iter().map(|b| (b.n, b.distorted)).collect();
        assert_eq!(
            (shares[0], shares[2], shares[3]),
            ((1, 1.0), (2, 0.5), (1, 0.0))
        );
        assert_eq!(shares[1].0, 0);
        assert_eq!(found.auroc, 3.5 / 4.0);
    }
}
