//! Writes a run folder of invented numbers, to work on the report without training:
//! `cargo run --release -p percept-report --example synthetic_run -- FOLDER`. With an address
//! behind it (`127.0.0.1:8000`), the folder is then served.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use percept_base::files::write_atomic;
use percept_report::{
    Change, MetricsWriter, RewardPart, RolloutRecord, Row, RunDir, Server, StageSummary, Summary,
    TensorBoardWriter, TypeSummary, write_report, write_rollouts,
};

const SFT: u64 = 60;
const STEPS: u64 = 160;
const TYPES: [&str; 4] = ["difference", "even_count", "largest", "sum"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: synthetic_run FOLDER")?;
    let run = RunDir::create(Path::new(&folder))?;
    write_atomic(&run.recipe(), RECIPE.as_bytes())?;
    let mut noise = Noise(7);
    metrics(&run, &mut noise)?;
    for step in (SFT + 1..=STEPS).filter(|step| step % 10 == 1 || *step == STEPS) {
        let rollouts: Vec<_> = (0..64)
            .map(|i| rollout(step, i / 8, (i % 8) as u32, &mut noise))
            .collect();
        write_rollouts(&run.rollouts_of(step), &rollouts)?;
    }
    summary().write(&run.summary())?;
    println!("{}", write_report(&run)?.display());
    if let Some(address) = std::env::args().nth(2) {
        Server::bind(run, address.parse()?)?.run(&AtomicBool::new(false))?;
    }
    Ok(())
}

struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn around(&mut self, mean: f64, width: f64) -> f64 {
        mean + width * (self.uniform() + self.uniform() + self.uniform() - 1.5)
    }
}

fn metrics(run: &RunDir, noise: &mut Noise) -> Result<(), percept_report::Error> {
    let mut writer = MetricsWriter::open(run, None)?;
    let mut board = TensorBoardWriter::open(run, None)?;
    for step in 1..=STEPS {
        let mut values: Vec<(String, f64)> = Vec::new();
        let mut put = |name: &str, value: f64| values.push((name.into(), value));
        let x = step as f64;
        if step <= SFT {
            put(
                "sft/loss",
                noise.around(0.3 + 2.2 * (-x / 18.0).exp(), 0.12),
            );
            put(
                "sft/token_accuracy",
                noise.around(0.92 - 0.6 * (-x / 18.0).exp(), 0.03),
            );
            put("sft/lr", 1e-3 * (x / 10.0).min(1.0));
            put(
                "sft/grad_norm",
                noise.around(0.8 + 2.0 * (-x / 10.0).exp(), 0.3),
            );
        } else {
            let t = x - SFT as f64;
            let up = 1.0 - (-t / 40.0).exp();
            put("reward/mean", noise.around(0.45 + 0.42 * up, 0.1));
            put("reward/accuracy", noise.around(0.41 + 0.45 * up, 0.1));
            put(
                "reward/format",
                noise.around(0.9 + 0.09 * up, 0.02).min(1.0),
            );
            put("reward/std", noise.around(0.4 - 0.15 * up, 0.05));
            put("response_length/mean", noise.around(58.0 + 14.0 * up, 4.0));
            put(
                "response_length/max",
                noise.around(88.0 + 20.0 * up, 9.0).round(),
            );
            put(
                "response_length/clip_ratio",
                noise.around(0.02, 0.02).max(0.0),
            );
            put("actor/entropy", noise.around(0.75 - 0.42 * up, 0.05));
            put("actor/kl_loss", noise.around(0.05 * up, 0.006).max(0.0));
            put("actor/pg_loss", noise.around(0.0, 0.03));
            put("actor/pg_clipfrac", noise.around(0.03, 0.02).max(0.0));
            let grad = if step == 120 {
                f64::NAN
            } else {
                noise.around(0.5, 0.2)
            };
            put("actor/grad_norm", grad);
            put("actor/lr", 2e-5 * (1.0 - t / 110.0));
            put("rollout/probs_diff_mean", noise.around(2e-7, 1e-7).abs());
            if step % 20 == 0 {
                put("eval/accuracy", noise.around(0.42 + 0.45 * up, 0.02));
            }
        }
        put(
            "perf/tokens_per_second",
            noise.around(if step <= SFT { 2600.0 } else { 1400.0 }, 120.0),
        );
        put("timing_s/step", noise.around(2.4, 0.3));
        let stage = if step <= SFT { "sft" } else { "rl" }.to_string();
        let row = Row {
            step,
            stage,
            time: 2.4 * x,
            values,
        };
        writer.write(&row)?;
        board.write(&row)?;
    }
    writer.sync()
}

fn rollout(step: u64, prompt: u64, sample: u32, noise: &mut Noise) -> RolloutRecord {
    let digits = [
        2 + prompt % 7,
        (prompt * 5 + step) % 10,
        (prompt * 3 + 1) % 10,
    ];
    let sum: u64 = digits.iter().sum();
    let right = noise.uniform() < 0.5 + 0.4 * (step - SFT) as f64 / (STEPS - SFT) as f64;
    let ungraded = !right && noise.uniform() < 0.25;
    let said = if right {
        sum
    } else {
        sum + 1 + sample as u64 % 3
    };
    let end = if ungraded {
        "so I think it is many.".into()
    } else {
        format!("Answer: {said}")
    };
    let mut completion = format!(
        "<think>\nI see three digits in the picture: {}, {} and {}.\n{} + {} = {}, and {} + {} = {said}.\n</think>\n{end}",
        digits[0],
        digits[1],
        digits[2],
        digits[0],
        digits[1],
        digits[0] + digits[1],
        digits[0] + digits[1],
        digits[2],
    );
    if prompt == 1 {
        completion.push_str("</script><b onclick=alert(1)>bold?</b> 数字 🙂");
    }
    let token_text = split(&completion);
    let n = token_text.len();
    let digit =
        |text: &String| text.trim().bytes().all(|b| b.is_ascii_digit()) && !text.trim().is_empty();
    let log_probs: Vec<f32> = token_text
        .iter()
        .map(|t| -(noise.uniform().powi(if digit(t) { 2 } else { 9 }) * 3.5) as f32)
        .collect();
    let entropy = log_probs
        .iter()
        .map(|l| noise.around(0.05 - 0.5 * f64::from(*l), 0.05).max(0.0) as f32)
        .collect();
    let weights: Vec<f32> = token_text.iter().map(|t| if digit(t) { noise.around(1.6, 0.5) } else { noise.around(0.9, 0.3) } as f32).collect();
    let reward = (!ungraded).then_some(if right { 1.0 } else { 0.1 });
    let advantage = reward.map(|r| (r - 0.6) * 1.7);
    let part = |name: &str, value: Option<f64>, reason: Option<&str>| RewardPart {
        name: name.into(),
        value,
        reason: reason.map(Into::into),
    };
    RolloutRecord {
        step,
        weight_version: step - SFT,
        prompt_id: format!("digit-sum/train:{}", step * 8 + prompt),
        sample,
        question_type: Some(TYPES[(prompt % 4) as usize].into()),
        answer: Some(sum.to_string()),
        prompt: "<|vision_start|><|image_pad|><|vision_end|>What is the sum of the digits in the picture? Think first, then answer with `Answer: <number>`.".into(),
        finish_reason: if ungraded { "length" } else { "stop" }.into(),
        reward,
        advantage,
        reward_parts: vec![
            part("accuracy", (!ungraded).then(|| f64::from(right)), ungraded.then_some("no `Answer:` line before the length limit")),
            part("format", Some(f64::from(!ungraded)), None),
        ],
        tokens: (0..n as u32).map(|i| 1000 + i * 37 % 5000).collect(),
        token_advantages: weights.iter().map(|w| w * advantage.unwrap_or(0.0) as f32).collect(),
        weights: Some(weights),
        images: vec![picture(&digits)],
        token_text,
        log_probs,
        entropy,
        completion,
        ..RolloutRecord::default()
    }
}

/// Words with their leading space, digits and signs alone.
fn split(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for c in text.chars() {
        let joins = c.is_alphabetic()
            && tokens.last().is_some_and(|t| {
                t.chars()
                    .last()
                    .is_some_and(|l| l.is_alphabetic() || l == ' ')
            })
            && tokens.last().is_some_and(|t| t.chars().count() < 9);
        match tokens.last_mut() {
            Some(token) if joins => token.push(c),
            _ => tokens.push(c.to_string()),
        }
    }
    tokens
}

/// Seven-segment digits as a 24-bit BMP.
fn picture(digits: &[u64; 3]) -> Arc<[u8]> {
    const SEGMENTS: [u8; 10] = [0x77, 0x24, 0x5d, 0x6d, 0x2e, 0x6b, 0x7b, 0x25, 0x7f, 0x6f];
    let (width, height) = (144usize, 96usize);
    let mut pixels = vec![[28u8, 24, 20]; width * height];
    for (i, &digit) in digits.iter().enumerate() {
        let (x0, y0) = (14 + 44 * i, 14 + (digit as usize * 5) % 24);
        let segments = SEGMENTS[digit as usize];
        let boxes = [
            (2, 0, 16, 4),
            (0, 2, 4, 18),
            (16, 2, 4, 18),
            (2, 18, 16, 4),
            (0, 20, 4, 18),
            (16, 20, 4, 18),
            (2, 36, 16, 4),
        ];
        for (bit, (x, y, w, h)) in boxes.into_iter().enumerate() {
            if segments >> bit & 1 == 1 {
                for row in 0..h {
                    let start = (y0 + y + row) * width + x0 + x;
                    pixels[start..start + w].fill([210, 235, 245]);
                }
            }
        }
    }
    let mut bytes = b"BM".to_vec();
    let size = 54 + (width * height * 3) as u32;
    for field in [
        size,
        0,
        54,
        40,
        width as u32,
        height as u32,
        1 | 24 << 16,
        0,
        0,
        2835,
        2835,
        0,
        0,
    ] {
        bytes.extend(field.to_le_bytes());
    }
    for row in pixels.chunks(width).rev() {
        bytes.extend(row.iter().flatten());
    }
    bytes.into()
}

fn summary() -> Summary {
    let stage = |name: &str, accuracy: f64, mean_length: f64, seconds: f64| {
        let interval = |accuracy: f64, n: usize| {
            let half = 1.96 * (accuracy * (1.0 - accuracy) / n as f64).sqrt();
            ((accuracy - half).max(0.0), (accuracy + half).min(1.0))
        };
        let by_type = TYPES
            .iter()
            .zip([-0.08, 0.02, 0.09, -0.03])
            .map(|(name, shift)| {
                let accuracy = (accuracy + shift).clamp(0.01, 0.99);
                let (ci_low, ci_high) = interval(accuracy, 125);
                (
                    name.to_string(),
                    TypeSummary {
                        accuracy,
                        ci_low,
                        ci_high,
                        n: 125,
                    },
                )
            });
        let (ci_low, ci_high) = interval(accuracy, 500);
        StageSummary {
            name: name.into(),
            accuracy,
            ci_low,
            ci_high,
            n: 500,
            ungraded: if name == "base" { 37 } else { 2 },
            mean_length,
            by_type: by_type.collect(),
            seconds,
        }
    };
    Summary {
        name: "digit-sum".into(),
        stages: vec![
            stage("base", 0.06, 96.0, 0.0),
            stage("sft", 0.43, 58.2, 144.0),
            stage("rl", 0.868, 71.4, 240.0),
        ],
        changes: vec![Change {
            from: "sft".into(),
            to: "rl".into(),
            mean: 0.438,
            ci_low: 0.391,
            ci_high: 0.484,
            n: 500,
            better: 238,
            worse: 19,
            ..Change::default()
        }],
        steps: STEPS,
        tokens: 4_213_000,
        seconds: 402.0,
        facts: BTreeMap::from([
            ("model".into(), "tiny Qwen2.5-VL, 4.1 M".into()),
            ("device".into(), "cpu, 2 threads".into()),
            ("percept".into(), "0.1.0".into()),
        ]),
        ..Summary::default()
    }
}

const RECIPE: &str = r#"# resolved recipe
seed = 17
device = "cpu"

[data]
train = "digit-sum:train"   # built in
test = "digit-sum:test"

[sft]
steps = 60
lr = 1e-3
batch_size = 32

[rl]
steps = 100
num_generations = 8
max_completion_length = 128
clip_ratio_low = 0.2
clip_ratio_high = 0.28
kl_coef = 0.0
loss_agg_mode = "token-mean"
"#;
