//! `percept analyze direction`: which tokens training raised and lowered, and what replacing them
//! does to accuracy.

use std::path::Path;
use std::time::Instant;

use percept_data::Dataset;
use percept_eval::Estimate;
use percept_eval::direction::{
    Outcome, ReplacementCurve, Response, Rule, auc, question_scores, responses, sparsity,
};
use percept_report::{Column, write_atomic, write_table};
use percept_reward::RewardSet;
use percept_sampler::{Draft, Extrapolate, Gate, LocalSampler, SamplingParams};
use serde_json::{Value, json};

use crate::args::AnalyzeDirection;
use crate::output::{note, say};
use crate::shared_args::Global;
use crate::{Done, Failure, direction_page, open, table};

/// All that was measured.
pub struct Found {
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
struct Bench<'a> {
    sampler: &'a LocalSampler<'a>,
    data: &'a dyn Dataset,
    rewards: &'a RewardSet,
    args: &'a AnalyzeDirection,
    quiet: bool,
    clock: Instant,
    done: usize,
    total: usize,
}

pub fn run(args: &AnalyzeDirection, global: &Global) -> Result<Done, Failure> {
    check(args)?;
    let load = |name: &Path| open::named(name, None, &args.device);
    let (tuned, base) = (load(&args.tuned)?, load(&args.base)?);
    let sampler = open::sampler(&tuned, Some(&base))?;
    let data = open::questions(&args.data, args.digit_sum)?;
    let rewards = open::rewards(&args.reward)?;
    let settings = 2 * Rule::ALL.len() * args.shares.len() + 2 * args.gammas.len();
    let mut bench = Bench {
        sampler: &sampler,
        data: data.as_ref(),
        rewards: &rewards,
        args,
        quiet: global.quiet || global.json,
        clock: Instant::now(),
        done: 0,
        total: 2 + settings,
    };
    let found = measure(&mut bench)?;
    std::fs::create_dir_all(&args.output)?;
    let summary = summary(args, &found);
    let path = |name: &str| args.output.join(name);
    write_responses(&path("responses.parquet"), &found)?;
    write_curves(&path("replacement.parquet"), &found)?;
    write_atomic(&path("summary.json"), &serde_json::to_vec_pretty(&summary)?)?;
    let page = direction_page::render(args, &found);
    write_atomic(&path("direction.html"), page.as_bytes())?;
    if global.json {
        say!("{summary}");
    } else {
        let rows = direction_page::comparison(args, &found);
        crate::output::result(format_args!("{}", table::format(&rows)))?;
        say!("report      {}", path("direction.html").display());
    }
    Ok(Done::Well)
}

fn check(args: &AnalyzeDirection) -> Result<(), Failure> {
    let shares = args.shares.iter().chain([&args.budget]);
    if let Some(share) = shares.into_iter().find(|s| !(**s > 0.0 && **s < 1.0)) {
        return Err(Failure::new(format!(
            "--shares, --budget: {share} is no share of tokens; expected numbers between 0 and 1, such as 0.1"
        )));
    }
    if args.tau.is_nan() {
        return Err(Failure::new("--tau NaN: expected a number such as -0.3"));
    }
    Ok(())
}

fn measure(bench: &mut Bench<'_>) -> Result<Found, Failure> {
    let args = bench.args;
    let never = Gate::Random(0.0);
    let base = bench.run(Draft::Base, 0.0, never)?;
    let tuned = bench.run(Draft::Tuned, 0.0, never)?;
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
                let replaced = bench.run(draft, gamma, rule.gate(draft, drafts, share))?;
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
        let all = bench.run(Draft::Tuned, gamma, Gate::Always)?;
        everywhere.push((gamma, accuracy(&all)));
        let some = bench.run(Draft::Base, gamma, gate)?;
        selective.push((gamma, accuracy(&some)));
        fired.get_or_insert(Response::fired(&some));
    }
    Ok(Found {
        base,
        tuned,
        curves,
        everywhere,
        selective,
        fired: fired.unwrap_or_default(),
    })
}

impl Bench<'_> {
    fn run(&mut self, draft: Draft, gamma: f32, gate: Gate) -> Result<Vec<Response>, Failure> {
        let args = self.args;
        let params = SamplingParams {
            temperature: args.temperature,
            top_p: args.top_p,
            max_tokens: args.max_tokens,
            n: args.n,
            seed: args.seed,
            max_num_seqs: args.max_num_seqs,
            extrapolate: Some(Extrapolate {
                gamma,
                gate,
                draft,
                candidates: args.candidates,
            }),
            ..SamplingParams::default()
        };
        let found = responses(self.sampler, self.data, self.rewards, &params, args.limit)?;
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
pub fn separation(found: &Found) -> Vec<(&'static str, f64)> {
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
pub fn curve(found: &Found, draft: Draft, rule: Rule) -> Option<&ReplacementCurve> {
    let mut all = found.curves.iter();
    all.find(|(d, r, _)| (*d, *r) == (draft, rule))
        .map(|(_, _, curve)| curve)
}

fn summary(args: &AnalyzeDirection, found: &Found) -> Value {
    let deltas = |responses: &[Response]| {
        responses
            .iter()
            .flat_map(Response::deltas)
            .collect::<Vec<_>>()
    };
    let sparsity = |responses: &[Response]| {
        let s = sparsity(&deltas(responses));
        json!({"tokens": s.tokens, "mean": s.mean, "mean_abs": s.mean_abs,
            "share_above": s.above, "part_carried_by_top": s.carried})
    };
    let rules: Vec<Value> = found
        .curves
        .iter()
        .map(|(draft, rule, here)| {
            let lead = |other| curve(found, *draft, other).map(|o| here.lead(o, args.budget));
            json!({
                "drafts": draft,
                "rule": rule.name(),
                "recovery": here.recovery(args.budget),
                "lead_over_random": lead(Rule::Random),
                "lead_over_kl": lead(Rule::Kl),
                "share_for_half": here.share_for(0.5),
                "share_for_90_percent": here.share_for(0.9),
            })
        })
        .collect();
    json!({
        "base": args.base, "tuned": args.tuned,
        "temperature": args.temperature, "top_p": args.top_p, "n": args.n, "seed": args.seed,
        "accuracy": {"base": accuracy(&found.base), "tuned": accuracy(&found.tuned)},
        "sparsity": {"base": sparsity(&found.base), "tuned": sparsity(&found.tuned)},
        "separation_auc": separation(found).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "budget": args.budget,
        "rules": rules,
        "extrapolation": {"everywhere": found.everywhere, "selective": found.selective,
            "tau": args.tau, "selective_share": found.fired},
    })
}

fn write_responses(path: &std::path::Path, found: &Found) -> Result<(), Failure> {
    let all: Vec<(&str, &Response)> = found
        .base
        .iter()
        .map(|r| ("base", r))
        .chain(found.tuned.iter().map(|r| ("tuned", r)))
        .collect();
    let text = |get: fn(&Response) -> &String| {
        Column::Text(all.iter().map(|(_, r)| get(r).clone()).collect())
    };
    let floats = |get: fn(&Response) -> &Vec<f32>| {
        Column::Floats(all.iter().map(|(_, r)| get(r).clone()).collect())
    };
    let delta = |r: &Response| r.deltas().map(|d| d as f32).collect();
    let samples = all.iter().map(|(_, r)| r.record.sample as i64);
    let columns = [
        (
            "model",
            Column::Text(all.iter().map(|(by, _)| (*by).to_owned()).collect()),
        ),
        ("prompt_id", text(|r| &r.record.id)),
        ("sample", Column::Int(samples.collect())),
        ("question_type", text(|r| &r.record.question_type)),
        ("completion", text(|r| &r.record.completion)),
        (
            "score",
            Column::Number(all.iter().map(|(_, r)| r.record.score).collect()),
        ),
        (
            "tokens",
            Column::Ids(all.iter().map(|(_, r)| r.tokens.clone()).collect()),
        ),
        (
            "token_text",
            Column::Texts(all.iter().map(|(_, r)| r.token_text.clone()).collect()),
        ),
        (
            "delta",
            Column::Floats(all.iter().map(|(_, r)| delta(r)).collect()),
        ),
        ("log_prob_base", floats(|r| &r.trace.log_prob_base)),
        ("log_prob_tuned", floats(|r| &r.trace.log_prob_tuned)),
        ("entropy_base", floats(|r| &r.trace.entropy_base)),
        ("entropy_tuned", floats(|r| &r.trace.entropy_tuned)),
        ("kl", floats(|r| &r.trace.kl)),
    ];
    Ok(write_table(path, &columns)?)
}

fn write_curves(path: &std::path::Path, found: &Found) -> Result<(), Failure> {
    let (mut drafts, mut rules) = (Vec::new(), Vec::new());
    let mut numbers: [Vec<Option<f64>>; 4] = Default::default();
    for (draft, rule, curve) in &found.curves {
        for point in curve.points() {
            let accuracy = point.accuracy();
            drafts.push(direction_page::name(*draft).to_owned());
            rules.push(rule.name().to_owned());
            let row = [point.share, accuracy.mean, accuracy.low, accuracy.high];
            for (column, value) in numbers.iter_mut().zip(row) {
                column.push(Some(value));
            }
        }
    }
    let [share, mean, low, high] = numbers.map(Column::Number);
    let columns = [
        ("drafts", Column::Text(drafts)),
        ("rule", Column::Text(rules)),
        ("share_replaced", share),
        ("accuracy", mean),
        ("low", low),
        ("high", high),
    ];
    Ok(write_table(path, &columns)?)
}
