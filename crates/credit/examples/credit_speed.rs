//! Milliseconds of every method on one rollout batch, as JSON on standard output.
//!
//! `cargo run --release -p percept-credit --example credit_speed -- [tokens] [repeats]`; default
//! 1,000,000 tokens and 9 repeats: 512 prompts of 8 responses. Best and median of the repeats, one
//! call to warm up. `RAYON_NUM_THREADS` sets the threads. `tools/credit_speed.py` times the same
//! functions through the wheel beside verl's.

use std::time::Instant;

use percept_credit::{CreditConfig, LossConfig, Normaliser, Offsets, Signals, policy_loss};
use serde_json::{Value, json};

const PROMPTS: usize = 512;
const GROUP: usize = 8;

/// SplitMix64: the same batch on every machine.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }

    fn exponential(&mut self, scale: f32) -> f32 {
        -scale * (1.0 - self.unit()).ln()
    }
}

struct Batch {
    offsets: Offsets,
    group: Vec<usize>,
    rewards: Vec<Option<f64>>,
    mask: Vec<bool>,
    log_prob: Vec<f32>,
    old_log_prob: Vec<f32>,
    entropy: Vec<f32>,
    nucleus_entropy: Vec<f32>,
    log_prob_no_image: Vec<f32>,
    visual_entropy: Vec<f64>,
    is_expert: Vec<bool>,
}

impl Batch {
    fn new(tokens: usize) -> Self {
        let rows = PROMPTS * GROUP;
        let mean = (tokens / rows).max(2);
        let mut random = Random(1);
        let lengths: Vec<usize> = (0..rows)
            .map(|_| mean / 2 + (random.unit() * (mean + 1) as f32) as usize)
            .collect();
        let offsets = Offsets::from_lengths(lengths);
        let tokens = offsets.tokens();
        let mut many = |of: &mut dyn FnMut(&mut Random) -> f32| -> Vec<f32> {
            (0..tokens).map(|_| of(&mut random)).collect()
        };
        let old_log_prob = many(&mut |r| -r.exponential(0.7));
        let moves = many(&mut |r| 0.2 * (r.unit() - 0.5));
        let blind = many(&mut |r| -r.exponential(0.5));
        let entropy = many(&mut |r| r.exponential(1.0));
        // Half of all nuclei hold one token: their entropy is exactly 0.
        let nucleus_entropy = many(&mut |r| (r.unit() - 0.5).max(0.0));
        let add = |a: &[f32], b: &[f32]| -> Vec<f32> {
            a.iter().zip(b).map(|(a, b)| (a + b).min(0.0)).collect()
        };
        Self {
            log_prob: add(&old_log_prob, &moves),
            log_prob_no_image: add(&old_log_prob, &blind),
            group: (0..rows).map(|row| row / GROUP).collect(),
            rewards: (0..rows).map(|row| Some(f64::from(row % 3 == 0))).collect(),
            mask: vec![true; tokens],
            visual_entropy: (0..rows)
                .map(|row| ((row / GROUP * 37) % 101) as f64 / 20.0)
                .collect(),
            is_expert: (0..rows).map(|row| row % GROUP == 0).collect(),
            offsets,
            old_log_prob,
            entropy,
            nucleus_entropy,
        }
    }

    fn signals(&self, experts: bool) -> Signals<'_> {
        Signals {
            offsets: &self.offsets,
            group: &self.group,
            rewards: &self.rewards,
            mask: &self.mask,
            log_prob: &self.log_prob,
            old_log_prob: &self.old_log_prob,
            entropy: Some(&self.entropy),
            nucleus_entropy: Some(&self.nucleus_entropy),
            log_prob_no_image: Some(&self.log_prob_no_image),
            visual_entropy: Some(&self.visual_entropy),
            is_expert: experts.then_some(&self.is_expert),
            ..Signals::default()
        }
    }
}

/// Best and median time of `run`, in milliseconds.
fn time<T>(name: &str, repeats: usize, mut run: impl FnMut() -> T) -> Value {
    drop(run());
    let mut times: Vec<f64> = (0..repeats.max(1))
        .map(|_| {
            let start = Instant::now();
            let result = std::hint::black_box(run());
            let taken = start.elapsed().as_secs_f64() * 1e3;
            drop(result);
            taken
        })
        .collect();
    times.sort_by(f64::total_cmp);
    json!({ "method": name, "ms_best": times[0], "ms_median": times[times.len() / 2] })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let tokens = arguments.next().map_or(Ok(1_000_000), |a| a.parse())?;
    let repeats = arguments.next().map_or(Ok(9), |a| a.parse())?;
    let batch = Batch::new(tokens);
    let mut results = Vec::new();

    for (name, config, experts) in [
        ("grpo", json!({}), false),
        (
            "reinforce_plus_plus",
            json!({ "advantage": "reinforce_plus_plus" }),
            false,
        ),
        ("durian", json!({ "advantage": "durian" }), false),
        (
            "tgrl + tgrl weight",
            json!({ "advantage": "tgrl", "token_weight": ["tgrl"] }),
            true,
        ),
        ("grpo + tor", json!({ "token_weight": ["tor"] }), false),
        (
            "grpo + direction",
            json!({ "token_weight": ["direction"] }),
            false,
        ),
        (
            "durian + tor + direction",
            json!({ "advantage": "durian", "token_weight": ["tor", "direction"] }),
            false,
        ),
    ] {
        let config: CreditConfig = serde_json::from_value(config)?;
        let signals = batch.signals(experts);
        config.credit(&signals)?;
        results.push(time(name, repeats, || config.credit(&signals)));
    }

    let signals = batch.signals(false);
    let fipo: CreditConfig = serde_json::from_value(json!({ "token_weight": ["fipo"] }))?;
    let credit = fipo.credit(&signals)?;
    fipo.reweight(&signals, &credit)?;
    results.push(time("fipo (reweight)", repeats, || {
        fipo.reweight(&signals, &credit)
    }));

    let total = Normaliser::of(&batch.offsets, &credit.mask);
    for name in percept_credit::PolicyLossConfig::NAMES {
        let config: LossConfig = serde_json::from_value(json!({ "policy_loss": name }))?;
        policy_loss(&config, &signals, &credit, &total)?;
        let label = format!("policy_loss {name}");
        results.push(time(&label, repeats, || {
            policy_loss(&config, &signals, &credit, &total)
        }));
    }

    let report = json!({
        "tokens": batch.offsets.tokens(), "prompts": PROMPTS, "responses": batch.offsets.rows(),
        "threads": rayon::current_num_threads(), "repeats": repeats, "results": results,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
