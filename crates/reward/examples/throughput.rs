//! Verifications a second, one thread: `cargo run --release -p percept-reward --example throughput`.

use std::time::Instant;

use percept_reward::{Answer, RewardConfig, RewardSet};

fn main() -> Result<(), percept_reward::Error> {
    let digit_sum = "<think>I see 3 7 2. 3+7=10 10+2=12.</think> \\boxed{12}";
    let long = "We look at the picture again and count the digits. ".repeat(400) + digit_sum;
    let cases = [
        ("math", "digit-sum response", digit_sum, "12"),
        ("math", "20 kB of thoughts", long.as_str(), "12"),
        (
            "math",
            "fraction",
            "So it is $\\boxed{\\frac{34}{68}}$.",
            "0.5",
        ),
        (
            "math",
            "polynomial",
            "\\boxed{(x+1)^2(x-3)}",
            "x^3-x^2-5x-3",
        ),
        (
            "math",
            "roots",
            "\\boxed{\\frac{1}{\\sqrt{2}}}",
            "\\frac{\\sqrt2}{2}",
        ),
        (
            "math",
            "trigonometry",
            "\\boxed{2\\sin x\\cos x}",
            "\\sin 2x",
        ),
        (
            "math",
            "interval",
            "\\boxed{(-\\infty,1)\\cup(2,\\infty)}",
            "x<1 \\text{ or } x>2",
        ),
        ("choice", "letter", "The answer is (B).", "B"),
        (
            "iou",
            "two boxes",
            "\\boxed{[[0,0,9,9],[20,20,30,30]]}",
            "[0,0,10,10],[20,20,30,30]",
        ),
        ("format", "digit-sum response", digit_sum, ""),
        ("exact", "word", "<answer>A red bus</answer>", "red bus"),
    ];
    for (kind, what, completion, truth) in cases {
        let mut config = RewardConfig::default();
        let json = serde_json::json!({ "name": kind });
        config.functions[0].kind =
            serde_json::from_value(json).map_err(|_| percept_reward::Error::Empty)?;
        let set = RewardSet::build(&config)?;
        let meta = serde_json::Map::new();
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            meta: &meta,
            ..Answer::default()
        };
        let batch = vec![answer; 1000];
        let clock = Instant::now();
        let mut count = 0;
        while clock.elapsed().as_secs_f64() < 0.3 {
            count += set.judge(&batch).len();
        }
        let rate = count as f64 / clock.elapsed().as_secs_f64();
        println!("{kind:8} {what:20} {rate:>10.0} / s");
    }
    Ok(())
}
