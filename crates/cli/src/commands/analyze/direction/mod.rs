//! `percept analyze direction`: which tokens training raised and lowered, and what replacing them
//! does to accuracy.

mod args;
mod measure;
mod page;

use std::path::Path;
use std::time::Instant;

use percept_base::files::write_atomic;
use percept_eval::direction::{Response, Rule, sparsity};
use percept_report::{Column, write_table};
use percept_sampler::EngineConfig;
use serde_json::{Value, json};

use crate::shared::output::say;
use crate::shared::{Done, Failure, Global, open, table};
pub use args::AnalyzeDirection;
use measure::{Evaluator, Measurements, accuracy, curve, measure, separation};

pub fn run(args: &AnalyzeDirection, global: &Global) -> Result<Done, Failure> {
    check(args)?;
    let load = |name: &Path| open::named(name, None, &args.device);
    let (tuned, base) = (load(&args.tuned)?, load(&args.base)?);
    let engine = EngineConfig {
        max_num_seqs: args.max_num_seqs,
        ..EngineConfig::default()
    };
    let sampler = open::sampler(&tuned, Some(&base))?.with_engine(engine);
    let data = open::questions(&args.data, args.digit_sum)?;
    let rewards = open::rewards(&args.reward)?;
    let settings = 2 * Rule::ALL.len() * args.shares.len() + 2 * args.gammas.len();
    let mut evaluator = Evaluator {
        sampler: &sampler,
        data: data.as_ref(),
        rewards: &rewards,
        args,
        quiet: global.quiet || global.json,
        clock: Instant::now(),
        done: 0,
        total: 2 + settings,
    };
    let found = measure(&mut evaluator)?;
    std::fs::create_dir_all(&args.output)?;
    let summary = summary(args, &found);
    let path = |name: &str| args.output.join(name);
    write_responses(&path("responses.parquet"), &found)?;
    write_curves(&path("replacement.parquet"), &found)?;
    write_atomic(&path("summary.json"), &serde_json::to_vec_pretty(&summary)?)?;
    let html = page::render(args, &found);
    write_atomic(&path("direction.html"), html.as_bytes())?;
    if global.json {
        say!("{summary}");
    } else {
        let rows = page::comparison(args, &found);
        crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
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

fn summary(args: &AnalyzeDirection, found: &Measurements) -> Value {
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

fn write_responses(path: &std::path::Path, found: &Measurements) -> Result<(), Failure> {
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

fn write_curves(path: &std::path::Path, found: &Measurements) -> Result<(), Failure> {
    let (mut drafts, mut rules) = (Vec::new(), Vec::new());
    let mut numbers: [Vec<Option<f64>>; 4] = Default::default();
    for (draft, rule, curve) in &found.curves {
        for point in curve.points() {
            let accuracy = point.accuracy();
            drafts.push(measure::name(*draft).to_owned());
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
