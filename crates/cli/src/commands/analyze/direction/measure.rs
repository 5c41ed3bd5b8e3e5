//! What is measured: plain responses of both models, replacement by rules, extrapolation.

use std::time::Instant;

use percept_data::Dataset;
use percept_eval::Estimate;
use percept_eval::direction::{
    Outcome, ReplacementCurve, Response, Rule, auc, question_scores, responses,
};
use percept_reward::RewardSet;
use percept_sampler::{Draft, Extrapolate, Gate, LocalSampler, SamplingParams};

use super::args::AnalyzeDirection;
use crate::shared::Failure;
use crate::shared::output::note;

/// All that was measured.
pub struct Measurements {
    /// Plain responses of the base and of the tuned model.
    pub base: Vec<Response>,
    pub tuned: Vec<Response>,
    /// Replacement by each rule: by the tuned model where the base drafts, and the other way.
    pub curves: Vec<(Draft, Rule, ReplacementCurve)>,
    /// Accuracy by γ: everywhere, and only where the base's draft was lowered.
    pub everywhere: Vec<(f32, Estimate)>,
    pub selective: Vec<(f32, Estimate)>,
    /// Share of tokens on which the gate of `selective` fired, at the first γ.
    pub fired: f64,
}

/// What samples and judges, and says how far it is.
pub struct Evaluator<'a> {
    pub sampler: &'a LocalSampler<'a>,
    pub data: &'a dyn Dataset,
    pub rewards: &'a RewardSet,
    pub args: &'a AnalyzeDirection,
    pub quiet: bool,
    pub clock: Instant,
    pub done: usize,
    pub total: usize,
}

/// Measures everything.
pub fn measure(evaluator: &mut Evaluator<'_>) -> Result<Measurements, Failure> {
    let args = evaluator.args;
    let never = Gate::Random(0.0);
    let base = evaluator.run(Draft::Base, 0.0, never)?;
    let tuned = evaluator.run(Draft::Tuned, 0.0, never)?;
    let (base_scores, tuned_scores) = (question_scores(&base), question_scores(&tuned));
    let mut curves = Vec::new();
    for draft in [Draft::Base, Draft::Tuned] {
        // The other model alone is γ = 0 or −1 (see percept_sampler::Extrapolate).
        let (drafts, gamma) = match draft {
            Draft::Base => (&base, 0.0),
            Draft::Tuned => (&tuned, -1.0),
        };
        let (start, end) = match draft {
            Draft::Base => (&base_scores, &tuned_scores),
            Draft::Tuned => (&tuned_scores, &base_scores),
        };
        for rule in Rule::ALL {
            let mut points = Vec::new();
            for &share in &args.shares {
                let replaced = evaluator.run(draft, gamma, rule.gate(draft, drafts, share))?;
                points.push(Outcome {
                    share: Response::fired(&replaced),
                    scores: question_scores(&replaced),
                });
            }
            curves.push((draft, rule, ReplacementCurve::new(start, end, points)));
        }
    }
    let gate = Gate::LogProb(args.tau);
    let (mut everywhere, mut selective) = (Vec::new(), Vec::new());
    let mut fired = None;
    for &gamma in &args.gammas {
        let all = evaluator.run(Draft::Tuned, gamma, Gate::Always)?;
        everywhere.push((gamma, accuracy(&all)));
        let some = evaluator.run(Draft::Base, gamma, gate)?;
        selective.push((gamma, accuracy(&some)));
        fired.get_or_insert(Response::fired(&some));
    }
    Ok(Measurements {
        base,
        tuned,
        curves,
        everywhere,
        selective,
        fired: fired.unwrap_or_default(),
    })
}

impl Evaluator<'_> {
    fn run(&mut self, draft: Draft, gamma: f32, gate: Gate) -> Result<Vec<Response>, Failure> {
        let args = self.args;
        let params = SamplingParams {
            temperature: args.temperature,
            top_p: args.top_p,
            max_tokens: args.max_tokens,
            n: args.n,
            seed: args.seed,
            ..SamplingParams::default()
        };
        let sampler = self.sampler.clone().with_extrapolate(Some(Extrapolate {
            gamma,
            gate,
            draft,
            candidates: args.candidates,
        }));
        let found = responses(&sampler, self.data, self.rewards, &params, args.limit)?;
        self.done += 1;
        if !self.quiet {
            let spent = self.clock.elapsed().as_secs_f64();
            let left = spent / self.done as f64 * (self.total - self.done) as f64;
            note!(
                "{:3} of {}  {:5.1} %  {left:.0} s left",
                self.done,
                self.total,
                100.0 * accuracy(&found).mean
            );
        }
        Ok(found)
    }
}

/// Mean score with its interval over questions.
pub fn accuracy(responses: &[Response]) -> Estimate {
    let scores: Vec<f64> = question_scores(responses).into_values().collect();
    percept_eval::estimate(&scores)
}

/// How well each number tells tokens that the tuned model said from those that the base said.
pub fn separation(found: &Measurements) -> Vec<(&'static str, f64)> {
    let rules = [Rule::Direction, Rule::Magnitude, Rule::Kl];
    let mut out: Vec<(&'static str, f64)> = rules
        .into_iter()
        .map(|rule| {
            let of = |responses: &[Response]| rule.values(Draft::Base, responses);
            (rule.name(), auc(&of(&found.base), &of(&found.tuned)))
        })
        .collect();
    let entropy = auc(
        &Rule::Entropy.values(Draft::Base, &found.base),
        &Rule::Entropy.values(Draft::Tuned, &found.tuned),
    );
    out.push((Rule::Entropy.name(), entropy));
    out
}

/// The curve of a rule.
pub fn curve(found: &Measurements, draft: Draft, rule: Rule) -> Option<&ReplacementCurve> {
    let mut all = found.curves.iter();
    all.find(|(d, r, _)| (*d, *r) == (draft, rule))
        .map(|(_, _, curve)| curve)
}

/// `base` or `tuned`.
pub fn name(draft: Draft) -> &'static str {
    match draft {
        Draft::Base => "base",
        Draft::Tuned => "tuned",
    }
}
