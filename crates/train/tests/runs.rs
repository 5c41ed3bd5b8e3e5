//! Whole runs of a model of a few thousand parameters: both stages, every signal and filter, a stop and a resume,
//! a checkpoint of an older version.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_train::{Error, Event, Observer, Outcome, Recipe, Start, parse, run, with_method};
use serde_json::Value;

const TINY: &str = r#"
[model.tiny]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 64
[model.tiny.vision]
depth = 1
hidden_size = 32
num_heads = 2
intermediate_size = 64
fullatt_block_indexes = [0]
[data.digit_sum]
sft = { len = 32, seed = 1 }
rl = { len = 32, seed = 2 }
val = { split = "test", len = 2, seed = 3 }
[rollout]
max_completion_length = 12
num_generations = 4
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 40
[[reward.functions]]
name = "accuracy"
[sft]
steps = 3
train_batch_size = 4
ppo_max_token_len = 200
optim = { lr = 3e-3, lr_warmup_steps = 2 }
[rl]
steps = 3
train_batch_size = 4
ppo_mini_batch_size = 2
ppo_max_token_len = 300
optim = { lr = 1e-3 }
"#;

fn recipe(folder: &Path, rest: &str) -> Recipe {
    let text = format!(
        "[trainer]\noutput_dir = {:?}\nsave_freq = 1\nmax_ckpt_to_keep = 0\n{TINY}{rest}",
        folder.to_str().unwrap()
    );
    parse(&text, "test", &[]).unwrap()
}

/// Keeps what a run said, and stops it after some steps.
#[derive(Default)]
struct Listener {
    /// `sft 1`, `rl 2`, ….
    steps: Vec<String>,
    evaluations: Vec<String>,
    notices: Vec<String>,
    metrics: Vec<BTreeMap<String, f64>>,
    stop_after: Option<usize>,
}

/// Tells its listener; the flag is read by the run while the listener is written to.
struct Ear<'a>(&'a Cell<Listener>, &'a AtomicBool);

impl Observer for Ear<'_> {
    fn event(&mut self, event: Event<'_>) {
        let mut to = self.0.take();
        match event {
            Event::Step {
                stage,
                done,
                metrics,
            } => {
                to.steps.push(format!("{stage} {done}"));
                to.metrics.push(metrics.iter().cloned().collect());
                if to.stop_after == Some(to.steps.len()) {
                    self.1.store(true, Ordering::Relaxed);
                }
            }
            Event::Evaluated { name, .. } => to.evaluations.push(name.to_owned()),
            Event::Notice(text) => to.notices.push(text),
            _ => {}
        }
        self.0.set(to);
    }
}

fn go(
    recipe: &Recipe,
    start: Start,
    stop_after: Option<usize>,
) -> (Result<Outcome, Error>, Listener) {
    let heard = Cell::new(Listener {
        stop_after,
        ..Listener::default()
    });
    let stop = AtomicBool::new(false);
    let outcome = run(recipe, start, &mut Ear(&heard, &stop), &stop);
    (outcome, heard.take())
}

/// The weights of a checkpoint, and its optimiser.
fn bytes(checkpoint: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "percept/optimizer.safetensors"]
        .map(|name| std::fs::read(checkpoint.join(name)).unwrap())
}

fn read_state(checkpoint: &Path) -> Value {
    let text = std::fs::read(checkpoint.join("percept/state.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

const STEPS: [&str; 6] = ["sft 1", "sft 2", "sft 3", "rl 1", "rl 2", "rl 3"];

#[test]
fn a_run_goes_through_its_stages_and_one_that_was_stopped_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = recipe(&folder.path().join("whole"), "");
    let (outcome, heard) = go(&whole, Start::New, None);
    let whole = outcome.unwrap();
    assert!(whole.finished && whole.report.exists());
    assert_eq!(heard.steps, STEPS);
    assert_eq!(heard.evaluations, ["base", "sft", "rl"]);
    assert!(
        heard.metrics[0]["train/loss"] > 1.0,
        "{:?}",
        heard.metrics[0]
    );
    let gap = heard.metrics[3..]
        .iter()
        .filter_map(|step| step.get("training/rollout_probs_diff_max"));
    let gap = gap.fold(0.0f64, |a, &b| a.max(b));
    assert!(gap < 1e-3, "sampler and trainer agree: {gap}");
    let moved = heard.metrics[3..]
        .iter()
        .filter(|step| step["actor/grad_norm"] > 0.0);
    assert!(
        moved.count() > 0,
        "some group had different rewards: {:?}",
        heard.metrics[3..].to_vec()
    );
    let last = whole.checkpoint.unwrap();
    let state = read_state(&last);
    assert_eq!(state["stages"]["sft"]["step"], 3);
    assert_eq!(state["stages"]["rl"]["step"], 3);
    assert_eq!(state["stages"]["rl"]["position"], 12);

    // In the middle of each stage, and between them.
    for stop_after in [2, 3, 5] {
        let parts = recipe(&folder.path().join(format!("stopped{stop_after}")), "");
        let (outcome, heard) = go(&parts, Start::New, Some(stop_after));
        assert!(!outcome.unwrap().finished);
        assert_eq!(heard.steps, STEPS[..stop_after]);
        let (outcome, heard) = go(&parts, Start::Resume, None);
        let outcome = outcome.unwrap();
        assert!(outcome.finished);
        assert_eq!(heard.steps, STEPS[stop_after..]);
        assert!(heard.notices[0].contains("resuming after step"));
        assert!(
            bytes(&outcome.checkpoint.unwrap()) == bytes(&last),
            "stopped after {stop_after}"
        );
    }
}

#[test]
fn a_checkpoint_of_a_version_with_a_field_for_each_stage_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), "");
    let (outcome, _) = go(&recipe, Start::New, None);
    let outcome = outcome.unwrap();
    let last = bytes(&outcome.checkpoint.unwrap());
    for step in [6, 5] {
        std::fs::remove_dir_all(outcome.dir.join(format!("checkpoints/step-{step:06}"))).unwrap();
    }
    let fourth = outcome.dir.join("checkpoints/step-000004");
    let mut state = read_state(&fourth);
    let stages = state["stages"].take();
    let fields = state.as_object_mut().unwrap();
    fields.remove("stages");
    fields.insert("format".into(), 1.into());
    for stage in ["sft", "rl"] {
        for field in ["step", "position"] {
            fields.insert(format!("{stage}_{field}"), stages[stage][field].clone());
        }
    }
    std::fs::write(fourth.join("percept/state.json"), state.to_string()).unwrap();
    let (outcome, heard) = go(&recipe, Start::Resume, None);
    let outcome = outcome.unwrap();
    assert_eq!(heard.steps, STEPS[4..]);
    assert!(bytes(&outcome.checkpoint.unwrap()) == last);
}

/// Every part of the algorithm asks for its signals and gets them.
#[test]
fn every_method_runs() {
    let folder = tempfile::tempdir().unwrap();
    let kl = "algorithm.loss.use_kl_loss=true";
    for (method, more, metric) in [
        (
            "tgrl",
            vec!["rollout.max_completion_length=64"],
            "credit/tgrl/expert_ratio",
        ),
        ("durian+tor", vec![], "credit/tor/weight/mean"),
        ("dapo+direction", vec![], "train/trained_groups"),
        (
            "rloo+fipo",
            vec!["rl.ppo_epochs=2"],
            "credit/fipo/weight/mean",
        ),
        (
            "gspo",
            vec![kl, "rl.old_log_prob=recompute"],
            "actor/kl_loss",
        ),
        (
            "cispo",
            vec![kl, "algorithm.loss.kl_loss_type=full", "model.lora.r=4"],
            "actor/kl_loss",
        ),
    ] {
        let mut set = vec![
            format!("trainer.output_dir={:?}", folder.path().to_str().unwrap()),
            format!("trainer.experiment_name={}", method.replace('+', "_")),
            "sft.steps=1".to_owned(),
            "rl.steps=2".to_owned(),
        ];
        set.extend(more.iter().map(|&set| set.to_owned()));
        let recipe = parse(TINY, method, &set).unwrap();
        let recipe = with_method(&recipe, method).unwrap();
        let (outcome, heard) = go(&recipe, Start::New, None);
        assert!(outcome.unwrap().finished, "{method}");
        let found = heard.metrics[1..].iter().filter_map(|m| m.get(metric));
        assert!(
            found.clone().any(|value| value.is_finite()),
            "{method}: {metric} in {:?}",
            heard.metrics.last()
        );
    }
}
