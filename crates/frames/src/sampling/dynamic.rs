//! Two-round dynamic frame sampling: half of the budget sees the whole clip, the other half looks where scores are low.
//!
//! With the target rate `F` a clip of `T` seconds pays for `N = ⌊F·T⌋` frames. Round 1 takes `⌈N/2⌉` of them evenly, `D`
//! seconds apart. Round 2 takes the other `⌊N/2⌋` by the scores of round 1:
//!
//! | scores of round 1 | round 2 |
//! |---|---|
//! | all at least `high` | midpoints between neighbouring frames, spread over the clip |
//! | some below `low` | beside these frames, lowest first: at `± neighbour · D` |
//! | otherwise | beside the frames below the mean, lowest first: two random times within `± neighbour · D` |
//!
//! What is left of the budget goes to midpoints, those beside the lowest scores first, then to the frames farthest from all
//! others. No frame is taken twice; the clip's score is the mean over both rounds ([`aggregate`](crate::aggregate)).
//! Source: REACT, arXiv 2601.04033. Its thresholds are not published and its "1/4 fps" neighbourhood can be read in several
//! ways: `high`, `low`, `neighbour` and the order in which the budget is spent are our reading.
//!
//! [`SecondRound::Gaps`] is ours and not the paper's: see there.

use percept_base::random;
use serde::{Deserialize, Serialize};

use super::chosen::Chosen;
use super::error::SamplingError;
use super::timeline::Timeline;
use super::uniform::{budget, evenly};

/// How the second half of the budget is spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondRound {
    /// The paper's: beside single frames.
    #[default]
    Neighbours,
    /// Ours: every gap between neighbouring frames of round 1 gets frames in proportion to its length times how far the scores
    /// at its two ends lie below `high`, evenly spaced inside it. A distortion between two frames that are a little worse than
    /// the rest is then looked for with the whole second half.
    Gaps,
}

/// The settings of both rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamicSampling {
    /// Frames a second over both rounds; the paper's 2.
    pub fps: f64,
    /// From this score on a frame is clean: 4, where the pseudo-scores of frames without a label begin.
    pub high: f64,
    /// Below this score a frame is broken: 3, below which pseudo-scores stand for two labels and more.
    pub low: f64,
    /// How far a neighbour is from its frame, as part of the distance between frames of round 1.
    pub neighbour: f64,
    /// How round 2 is spent.
    pub second_round: SecondRound,
    /// Of the random times.
    pub seed: u64,
}

impl Default for DynamicSampling {
    fn default() -> Self {
        Self {
            fps: 2.0,
            high: 4.0,
            low: 3.0,
            neighbour: 0.25,
            second_round: SecondRound::Neighbours,
            seed: 0,
        }
    }
}

/// A frame of round 1.
#[derive(Clone, Copy)]
struct Seen {
    time_s: f64,
    score: Option<f64>,
}

impl DynamicSampling {
    /// The times of round 1, ascending.
    pub fn first_round(&self, clip: &Timeline) -> Result<Vec<f64>, SamplingError> {
        self.check()?;
        Ok(evenly(clip, budget(clip, self.fps)?.div_ceil(2)))
    }

    /// The times of round 2, ascending, from the scores of round 1; a frame whose answer could not be read has none and
    /// attracts nothing.
    pub fn second_round(
        &self,
        clip: &Timeline,
        times: &[f64],
        scores: &[Option<f64>],
    ) -> Result<Vec<f64>, SamplingError> {
        self.check()?;
        if times.len() != scores.len() {
            let expected = format!("one for each of {} times", times.len());
            return Err(SamplingError::new(
                "the number of scores",
                scores.len(),
                expected,
            ));
        }
        let limit = budget(clip, self.fps)?.saturating_sub(times.len());
        let taken: Vec<usize> = times.iter().map(|&time| clip.shown(time)).collect();
        let mut chosen = Chosen::new(clip, &taken, limit);
        let pair = |(&time_s, &score): (&f64, &Option<f64>)| Seen { time_s, score };
        let seen: Vec<Seen> = times.iter().zip(scores).map(pair).collect();
        match self.second_round {
            SecondRound::Neighbours => self.beside_frames(clip, &seen, &mut chosen),
            SecondRound::Gaps => self.inside_gaps(clip, &seen, &mut chosen),
        }
        Ok(chosen.fill())
    }

    fn beside_frames(&self, clip: &Timeline, seen: &[Seen], chosen: &mut Chosen) {
        let spacing = clip.duration_s() / seen.len() as f64;
        let reach = self.neighbour * spacing;
        let mut by_score: Vec<(f64, f64)> = seen
            .iter()
            .filter_map(|frame| Some((frame.score?, frame.time_s)))
            .collect();
        by_score.sort_by(|a, b| a.0.total_cmp(&b.0));
        let lowest = by_score.first().map_or(self.high, |frame| frame.0);
        if lowest < self.low {
            for &(_, time) in by_score.iter().filter(|frame| frame.0 < self.low) {
                chosen.take_at(time - reach);
                chosen.take_at(time + reach);
            }
        } else if lowest < self.high {
            let mean = by_score.iter().map(|f| f.0).sum::<f64>() / by_score.len() as f64;
            for &(_, time) in by_score.iter().filter(|frame| frame.0 < mean) {
                for draw in 0..2 {
                    let unit = random::uniform(self.seed, time.to_bits(), draw, 0);
                    chosen.take_at(time + (2.0 * unit - 1.0) * reach);
                }
            }
        }
        midpoints(seen, self.high, chosen);
    }

    fn inside_gaps(&self, clip: &Timeline, seen: &[Seen], chosen: &mut Chosen) {
        // So that clean gaps get something when there is nothing better to do.
        const FLOOR: f64 = 0.05;
        let dip = |frame: Option<&Seen>| {
            let score = frame.and_then(|frame| frame.score);
            score.map_or(0.0, |score| (self.high - score).max(0.0))
        };
        let ends = seen.iter().map(|frame| frame.time_s);
        let starts = std::iter::once(0.0).chain(ends.clone());
        let gaps: Vec<(f64, f64, f64)> = starts
            .zip(ends.chain([clip.duration_s()]))
            .enumerate()
            .map(|(i, (start, end))| {
                // Before the first and after the last frame the one neighbour counts twice.
                let left = seen.get(i.saturating_sub(1));
                let right = seen.get(i.min(seen.len().saturating_sub(1)));
                let weight = (end - start).max(0.0) * (dip(left) + dip(right) + FLOOR);
                (start, end, weight)
            })
            .collect();
        // D'Hondt: the next frame goes where each frame would have the most weight to itself.
        let mut frames = vec![0usize; gaps.len()];
        for _ in 0..chosen.limit() {
            let share = |i: &usize| gaps[*i].2 / (frames[*i] + 1) as f64;
            let next = (0..gaps.len())
                .rev()
                .max_by(|a, b| share(a).total_cmp(&share(b)));
            if let Some(next) = next {
                frames[next] += 1;
            }
        }
        for (&(start, end, _), &count) in gaps.iter().zip(&frames) {
            for k in 1..=count {
                chosen.take_at(start + (end - start) * k as f64 / (count + 1) as f64);
            }
        }
    }

    fn check(&self) -> Result<(), SamplingError> {
        let scores = crate::judgement::SCORES;
        if !scores.contains(&self.high) {
            return Err(SamplingError::new("high", self.high, "a score from 1 to 5"));
        }
        if !(scores.contains(&self.low) && self.low <= self.high) {
            let expected = format!("a score from 1 to high, {}", self.high);
            return Err(SamplingError::new("low", self.low, expected));
        }
        if !(self.neighbour > 0.0 && self.neighbour <= 0.5) {
            let expected = "more than 0, at most 0.5";
            return Err(SamplingError::new("neighbour", self.neighbour, expected));
        }
        Ok(())
    }
}

/// The midpoints between frames of round 1: spread over the clip where all scores are high, else beside the lowest first.
fn midpoints(seen: &[Seen], high: f64, chosen: &mut Chosen) {
    let score = |frame: &Seen| frame.score.unwrap_or(high).min(high);
    let mut middles: Vec<(f64, f64)> = seen
        .windows(2)
        .map(|pair| {
            let worst = score(&pair[0]).min(score(&pair[1]));
            (worst, (pair[0].time_s + pair[1].time_s) / 2.0)
        })
        .collect();
    middles.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, time) in middles {
        chosen.take_at(time);
    }
}
