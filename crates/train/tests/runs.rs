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

/// Rows of frames: two for each pair, the sides in different places of the file.
fn frames(folder: &Path, pairs: usize) -> std::path::PathBuf {
    let pixel = |x: u32, y: u32| image::Rgb([(x * 9) as u8, (y * 9) as u8, 90]);
    let picture = image::RgbImage::from_fn(28, 28, pixel);
    picture.save(folder.join("frame.png")).unwrap();
    let mut lines = String::new();
    for side in ["A", "B"] {
        for pair in 0..pairs {
            let row = serde_json::json!({
                "images": ["frame.png"], "prompt": "Is there a ring in the image?", "labels": [],
                "pair_id": format!("p{pair}"), "side": side, "preference": if pair % 2 == 0 { "A" } else { "same" },
                "time_s": 0.5, "video": "clip.mp4",
            });
            lines.push_str(&format!("{row}\n"));
        }
    }
    let path = folder.join("frames.jsonl");
    std::fs::write(&path, lines).unwrap();
    path
}

#[test]
fn both_frames_of_a_pair_are_in_one_step_and_judged_together() {
    let folder = tempfile::tempdir().unwrap();
    let rows = frames(folder.path(), 5);
    let tiny = TINY.split("[data.digit_sum]").next().unwrap();
    let tiny = tiny.replace("[model.tiny]", "[model.tiny]\ncorpus = \"scenes\"");
    let text = format!(
        "[trainer]\noutput_dir = {:?}\nsave_freq = 1\nmax_ckpt_to_keep = 0\n{tiny}\
         [data]\ntrain_files = [{rows:?}]\n\
         [rollout]\nmax_completion_length = 6\nnum_generations = 4\n\
         [[reward.functions]]\nname = \"react_preference\"\n\
         [[reward.functions]]\nname = \"length\"\nunit = \"characters\"\nmax_length = 40\n\
         [rl]\nsteps = 3\ntrain_batch_size = 4\nppo_mini_batch_size = 2\noptim = {{ lr = 1e-3 }}\n",
        folder.path().join("runs").to_str().unwrap()
    );
    let recipe = parse(&text, "test", &[]).unwrap();
    let (outcome, heard) = go(&recipe, Start::New, None);
    assert!(outcome.unwrap().finished);
    assert_eq!(heard.steps, ["rl 1", "rl 2", "rl 3"]);
    for step in &heard.metrics {
        // No response can be read: the worst of a strict pair, or of a tie, and never "not judged".
        assert_eq!(step["reward/ungraded"], 0.0, "{step:?}");
        let mean = step["reward/react_preference/mean"];
        assert!((-5.62..=-2.52).contains(&mean), "{mean}");
    }
    // The step after the one that was stopped draws the same pairs.
    let again = text.replace("/runs", "/stopped");
    let again = parse(&again, "test", &[]).unwrap();
    let (outcome, _) = go(&again, Start::New, Some(2));
    assert!(!outcome.unwrap().finished);
    let (outcome, resumed) = go(&again, Start::Resume, None);
    let (ended, first) = (
        outcome.unwrap(),
        go(&recipe, Start::Resume, None).0.unwrap(),
    );
    assert_eq!(
        resumed.metrics[0]["critic/rewards/mean"],
        heard.metrics[2]["critic/rewards/mean"]
    );
    assert_eq!(
        bytes(&ended.checkpoint.unwrap()),
        bytes(&first.checkpoint.unwrap())
    );
    // A batch that would cut a pair is refused before anything is written.
    let odd = text
        .replace("train_batch_size = 4", "train_batch_size = 3")
        .replace("/runs", "/odd");
    let odd = parse(&odd, "test", &["rl.ppo_mini_batch_size=3".to_owned()]).unwrap();
    let error = go(&odd, Start::New, None).0.unwrap_err().to_string();
    assert!(error.contains("a multiple of 2"), "{error}");
    assert!(!folder.path().join("odd").exists());
}

#[test]
fn a_span_is_masked_in_its_epoch_and_a_stopped_run_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = |name: &str, spans: &str| {
        let text = TINY.replace(
            "[sft]\nsteps = 3\ntrain_batch_size = 4\n",
            &format!("[sft]\nnum_train_epochs = 2\ntrain_batch_size = 16\n{spans}"),
        );
        let text = text.split("[rl]").next().unwrap();
        let output = folder.path().join(name);
        let text = format!(
            "[trainer]\noutput_dir = {:?}\nsave_freq = 1\nmax_ckpt_to_keep = 0\n{text}",
            output.to_str().unwrap()
        );
        parse(&text, "test", &[]).unwrap()
    };
    let spans = "mask_spans = [{ from = \"<think>\", to = \"</think>\", epochs = [2] }]\n";
    let (outcome, heard) = go(&recipe("whole", spans), Start::New, None);
    let whole = outcome.unwrap();
    assert_eq!(heard.steps, ["sft 1", "sft 2", "sft 3", "sft 4"]);
    let trained: Vec<f64> = heard
        .metrics
        .iter()
        .map(|m| m["train/trained_tokens"])
        .collect();
    let (first, second) = (trained[0] + trained[1], trained[2] + trained[3]);
    // What stands behind `</think>`: a space, the box, one or two digits, a brace, the end.
    assert!(second < 0.5 * first && second >= 4.0 * 32.0, "{trained:?}");
    let tokens: Vec<f64> = heard
        .metrics
        .iter()
        .map(|m| m["perf/total_num_tokens"])
        .collect();
    assert_eq!(
        tokens[0] + tokens[1],
        tokens[2] + tokens[3],
        "the span is read all the same"
    );

    let stopped = recipe("stopped", spans);
    assert!(!go(&stopped, Start::New, Some(2)).0.unwrap().finished);
    let resumed = go(&stopped, Start::Resume, None).0.unwrap();
    let last = |outcome: &Outcome| bytes(outcome.checkpoint.as_deref().unwrap());
    assert_eq!(last(&resumed), last(&whole));
    let plain = go(&recipe("plain", ""), Start::New, None).0.unwrap();
    assert_ne!(last(&plain), last(&whole));
}
