//! What is wrong with a run although it goes on, said once and in words.
//!
//! The numbers are in `metrics.jsonl` anyway; nobody reads a `NaN` there for a night. A warning is a function of the
//! steps so far, so a resumed run warns of the same things at the same steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reasons::Reasons;
use crate::run::falling::Falling;
use crate::run::observer::Metrics;
use crate::run::seen::Seen;
use crate::run::warning::{Warning, WarningKind};

/// Steps in a row of which all, or all of a shorter stage, show the same fault before it is spoken of.
const PATIENCE: usize = 3;

/// Steps in a row without anything to learn before it is spoken of: with few prompts in a batch, one or two such steps
/// are chance.
const FLAT: usize = 5;

/// Steps in a row in which nothing was graded, in a run that graded something before, that end it.
const GRADER_GONE: usize = 10;

/// Entropy in nats below which a policy has no second choice left: 0.01 is one token in a thousand that could be another.
const ENTROPY_GONE: f64 = 0.01;

/// How many times its first length a response may grow to, where it also nears the limit.
const EXPLODING: f64 = 4.0;

/// Rows of a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its name.
    pub stage: &'static str,
    /// Steps in all.
    pub total: usize,
    /// Rows looked at, and rows there are.
    pub position: u64,
    pub rows: usize,
    /// `rollout.max_completion_length`.
    pub limit: usize,
}

/// What of the steps so far decides whether there is something to say. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watch {
    /// Everything that was said.
    pub warnings: Vec<Warning>,
    /// Responses judged, in training and evaluation, and whether one of them was graded.
    pub judged: usize,
    /// See `judged`.
    pub graded: bool,
    ungraded_steps: usize,
    flat_steps: usize,
    cut_off_steps: usize,
    entropy_steps: usize,
    long_steps: usize,
    first_length: Option<f64>,
    falling: Falling,
    /// Rows that gave no sample, by the name of the stage.
    skipped: BTreeMap<String, Reasons>,
}

impl Watch {
    /// Keeps a warning, unless one of its kind was there; whether it is new.
    pub(crate) fn add(&mut self, step: usize, kind: WarningKind, message: &str) -> bool {
        let new = self.warnings.iter().all(|known| known.kind != kind);
        if new {
            self.warnings.push(Warning {
                step,
                kind,
                message: message.to_owned(),
            });
        }
        new
    }

    /// Takes a step into account; what there is to say about it.
    pub(crate) fn step(
        &mut self,
        place: Place,
        seen: &Seen,
        metrics: &Metrics,
    ) -> Vec<(WarningKind, String)> {
        let mut found = Vec::new();
        if seen.not_finite > 0 {
            found.push((
                WarningKind::NotFinite,
                "an update was skipped because its loss or gradient was not finite; no checkpoint is written until \
                 one is finite again\n  help: lower the learning rate"
                    .to_owned(),
            ));
        }
        if let Some(message) = &seen.mismatch {
            found.push((WarningKind::Mismatch, message.clone()));
        }
        self.skipped(place, seen, &mut found);
        let pairs = value(metrics, "rewards/chosen").zip(value(metrics, "rewards/margins"));
        if let Some((chosen, margin)) = pairs {
            let said = self.falling.step(chosen, margin);
            found.extend(said.map(|message| (WarningKind::ChosenFalls, message)));
        }
        if seen.judged > 0 {
            self.rewards(place, seen, metrics, &mut found);
            self.responses(place, seen, metrics, &mut found);
        }
        found
    }

    fn skipped(&mut self, place: Place, seen: &Seen, found: &mut Vec<(WarningKind, String)>) {
        let skipped = self.skipped_of(place.stage);
        skipped.extend(&seen.skipped);
        if seen.skipped.count() > 0 {
            let message = format!(
                "{}: {} of the {} rows read so far ({} in all) were skipped\n{}\n  help: `percept data check` lists \
                 every such row",
                place.stage,
                skipped.count(),
                place.position.min(place.rows as u64),
                place.rows,
                skipped.commonest(3),
            );
            found.push((WarningKind::SkippedRows, message));
        }
    }

    /// Rows of a stage that gave no sample.
    pub(crate) fn skipped_of(&mut self, stage: &str) -> &mut Reasons {
        self.skipped.entry(stage.to_owned()).or_default()
    }

    fn rewards(
        &mut self,
        place: Place,
        seen: &Seen,
        metrics: &Metrics,
        found: &mut Vec<(WarningKind, String)>,
    ) {
        self.judged += seen.judged;
        let none = seen.judged > 0 && seen.ungraded.count() == seen.judged;
        self.graded |= seen.judged > 0 && !none;
        count(&mut self.ungraded_steps, none);
        if none {
            let message = format!(
                "no reward: none of the {} responses of this step could be graded\n{}",
                seen.judged,
                seen.ungraded.commonest(3)
            );
            found.push((WarningKind::Ungraded, message));
        }
        count(&mut self.flat_steps, !none && !seen.informative);
        if self.flat_steps >= FLAT.min(place.total) {
            let reward = value(metrics, "critic/rewards/mean").unwrap_or(f64::NAN);
            let message = format!(
                "nothing is learned: for {} steps the rewards of every group were equal (mean reward {reward:.3})\n  \
                 help: look at the responses (`percept view`); where all are wrong, begin with an [sft] stage or \
                 easier rows; where all are right, with harder ones; more rollout.num_generations or a higher \
                 rollout.temperature make groups differ",
                self.flat_steps
            );
            found.push((WarningKind::NothingLearned, message));
        }
    }

    fn responses(
        &mut self,
        place: Place,
        seen: &Seen,
        metrics: &Metrics,
        found: &mut Vec<(WarningKind, String)>,
    ) {
        let patience = PATIENCE.min(place.total);
        let clipped = value(metrics, "response_length/clip_ratio").unwrap_or(0.0);
        count(&mut self.cut_off_steps, clipped > 0.5);
        if self.cut_off_steps >= patience {
            let message = format!(
                "{:.0} % of the responses are cut off at rollout.max_completion_length ({} tokens): what is cut off \
                 has no answer\n  help: raise it, or train shorter responses ([algorithm.overlong], a `length` reward)",
                clipped * 100.0,
                place.limit
            );
            found.push((WarningKind::CutOff, message));
        }
        // Without an informative group there was no forward pass that would show it.
        let entropy = value(metrics, "actor/entropy").filter(|_| seen.informative);
        count(
            &mut self.entropy_steps,
            entropy.is_some_and(|entropy| entropy < ENTROPY_GONE),
        );
        if let Some(entropy) = entropy.filter(|_| self.entropy_steps >= patience) {
            let message = format!(
                "the policy has almost no entropy left ({entropy:.4} nats a token): it explores nothing any more\n  \
                 help: lower the learning rate, or set algorithm.loss.entropy_coeff, clip_ratio_high or use_kl_loss"
            );
            found.push((WarningKind::EntropyGone, message));
        }
        let Some(length) = value(metrics, "response_length/mean") else {
            return;
        };
        let first = *self.first_length.get_or_insert(length);
        let long = length > EXPLODING * first && length > 0.5 * place.limit as f64;
        count(&mut self.long_steps, long);
        if self.long_steps >= patience {
            let message = format!(
                "responses have grown from {first:.0} to {length:.0} tokens on average, near the limit of {}\n  help: \
                 look at them (`percept view`): text that repeats itself is a sign of divergence",
                place.limit
            );
            found.push((WarningKind::LengthExploding, message));
        }
    }

    /// Why the run should not go on: nothing was ever graded, or nothing for long.
    pub(crate) fn grader_gone(&self) -> Option<usize> {
        let most = if self.graded { GRADER_GONE } else { PATIENCE };
        (self.ungraded_steps >= most).then_some(self.ungraded_steps)
    }
}

/// Steps in a row for which something holds.
fn count(steps: &mut usize, holds: bool) {
    *steps = if holds { *steps + 1 } else { 0 };
}

fn value(metrics: &Metrics, name: &str) -> Option<f64> {
    let found = metrics.iter().find(|(key, _)| key == name);
    found
        .map(|(_, value)| *value)
        .filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        stage: "rl",
        total: 100,
        position: 8,
        rows: 20,
        limit: 64,
    };

    fn seen(informative: bool) -> Seen {
        Seen {
            judged: 4,
            informative,
            ..Seen::default()
        }
    }

    fn metrics(length: f64, clipped: f64, entropy: f64) -> Metrics {
        [
            ("critic/rewards/mean", 0.25),
            ("response_length/mean", length),
            ("response_length/clip_ratio", clipped),
            ("actor/entropy", entropy),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Kinds that are spoken of within so many equal steps.
    fn kinds(steps: usize, seen: &Seen, of: impl Fn(usize) -> Metrics) -> Vec<WarningKind> {
        let mut watch = Watch::default();
        let mut all = Vec::new();
        for step in 0..steps {
            for (kind, message) in watch.step(PLACE, seen, &of(step)) {
                if watch.add(step, kind, &message) {
                    all.push(kind);
                }
            }
        }
        all
    }

    #[test]
    fn a_healthy_run_hears_nothing() {
        assert!(
            kinds(50, &seen(true), |step| metrics(
                20.0 + step as f64,
                0.1,
                0.5
            ))
            .is_empty()
        );
    }

    #[test]
    fn equal_rewards_are_spoken_of_after_a_few_steps_and_once() {
        let flat = seen(false);
        assert!(kinds(FLAT - 1, &flat, |_| metrics(20.0, 0.0, 0.0)).is_empty());
        let said = kinds(50, &flat, |_| metrics(20.0, 0.0, 0.0));
        assert_eq!(said, [WarningKind::NothingLearned]);
    }

    #[test]
    fn cut_off_responses_lost_entropy_and_growing_lengths_are_spoken_of() {
        let said = kinds(5, &seen(true), |_| metrics(60.0, 0.8, 0.5));
        assert_eq!(said, [WarningKind::CutOff]);
        let said = kinds(5, &seen(true), |_| metrics(20.0, 0.0, 0.001));
        assert_eq!(said, [WarningKind::EntropyGone]);
        let said = kinds(9, &seen(true), |step| {
            metrics(8.0 * (step + 1) as f64, 0.0, 0.5)
        });
        assert_eq!(said, [WarningKind::LengthExploding]);
    }

    #[test]
    fn ungraded_batches_are_named_with_their_reason_and_end_the_run() {
        let mut none = seen(false);
        for _ in 0..4 {
            none.ungraded.add("a.jsonl:1", "ValueError: no such answer");
        }
        let mut watch = Watch::default();
        let (kind, message) = watch.step(PLACE, &none, &Vec::new()).remove(0);
        assert_eq!(kind, WarningKind::Ungraded);
        assert!(
            message.contains("none of the 4") && message.contains("4 × ValueError"),
            "{message}"
        );
        assert_eq!(watch.grader_gone(), None);
        for _ in 1..PATIENCE {
            watch.step(PLACE, &none, &Vec::new());
        }
        assert_eq!(watch.grader_gone(), Some(PATIENCE));
    }
}
