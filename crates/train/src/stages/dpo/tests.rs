//! Whole runs of the stage with a model of a few thousand parameters, on rows made here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use image::{Rgb, RgbImage};
use percept_credit::preference::PreferenceConfig;
use percept_data::{Dataset, Media, Message, Part, Preference, Role, Sample};
use percept_report::RunDir;

use crate::policy::LocalModel;
use crate::policy::local::Learner;
use crate::run::begin::resume;
use crate::run::driver::Run;
use crate::run::news::News;
use crate::run::observer::{Event, Metrics, Observer};
use crate::run::opened::Opened;
use crate::run::state::State;
use crate::source::{Data, open_model, open_rewards};
use crate::{Error, Recipe, parse, stages};

const TINY: &str = r#"
[model.tiny]
corpus = "scenes"
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 64
[model.tiny.vision]
depth = 1
hidden_size = 32
num_heads = 2
intermediate_size = 64
fullatt_block_indexes = [0]
[data]
train_files = ["rows made in memory"]
"#;

/// AdamW whose step is the gradient itself.
const PLAIN: &str = "optim = { lr = 1e6, eps = 1e6, beta1 = 0.0, beta2 = 0.0, weight_decay = 0.0, clip_grad = 0.0 }\n";

fn recipe(rest: &str) -> Recipe {
    let text = format!("{TINY}{rest}");
    parse(&text, "test", &[]).unwrap().settled().unwrap()
}

/// A recipe of some steps on four pairs each.
fn dpo(steps: usize, loss: &str, more: &str) -> Recipe {
    let general = match loss.contains("halva") {
        true => "general_files = [\"also in memory\"]",
        false => "",
    };
    recipe(&format!(
        "[dpo]\nsteps = {steps}\ntrain_batch_size = 4\n{general}\n{PLAIN}{more}\n[preference]\nloss = {loss}\n"
    ))
}

struct Rows(Vec<Sample>);

impl Dataset for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self) -> &str {
        "rows"
    }

    fn get(&self, i: usize) -> Result<Sample, percept_data::Error> {
        Ok(self.0[i].clone())
    }
}

fn picture(seed: u32, width: u32) -> Media {
    let level = |x: u32, y: u32| ((x * 37 + y * 91 + seed * 53) % 251) as u8;
    let pixel = |x, y| Rgb([level(x, y), level(y, x + 1), level(x + y, 3)]);
    Media::from_image(RgbImage::from_fn(width, 28, pixel))
}

fn says(text: &str) -> Vec<Message> {
    vec![Message::text(Role::Assistant, text)]
}

/// A row with everything that any loss reads. Prompts and answers have lengths of their own.
fn row(index: usize) -> Sample {
    const SHAPES: [&str; 5] = ["ring", "cross", "star", "bar", "disc"];
    let shape = SHAPES[index % 5];
    let other = SHAPES[(index + 2) % 5];
    let question = format!(
        "Is there a {shape} in the image?{}",
        " in the image".repeat(index % 3)
    );
    let turn = Message::new(Role::User, vec![Part::Image(0), Part::Text(question)]);
    let seed = index as u32;
    Sample {
        images: vec![picture(seed, 28)],
        preference: Some(Preference {
            chosen: says(&format!("Yes there is a {shape} in the image.")),
            rejected: vec![says(&format!(
                "Yes there is a {other} a {other} in the image."
            ))],
            // Of another size, as a crop is.
            rejected_images: vec![vec![picture(seed + 100, 14 + 14 * (seed % 2))]],
            corrected: Some(says(&format!("there is a {shape} in the image."))),
            confidence: Some(0.25 + 0.1 * (index % 6) as f64),
            clip_gap: Some(0.02 * (index % 4) as f64 - 0.01),
        }),
        ..Sample::new(format!("row {index}"), vec![turn])
    }
}

/// The answer of a row that belongs to no pair.
fn general(sample: &Sample) -> Sample {
    Sample {
        expert: Some("No there is a triangle in the image.".to_owned()),
        preference: None,
        ..sample.clone()
    }
}

fn rows(count: usize) -> Vec<Sample> {
    (0..count).map(row).collect()
}

struct Listener<'a> {
    metrics: Vec<Metrics>,
    notices: Vec<String>,
    stop_after: Option<usize>,
    stop: &'a AtomicBool,
}

impl Observer for Listener<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Step { metrics, .. } => self.metrics.push(metrics.clone()),
            Event::Notice(text) => self.notices.push(text),
            _ => {}
        }
        if self.stop_after == Some(self.metrics.len()) && self.stop_after > Some(0) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

struct Ran {
    metrics: Vec<Metrics>,
    notices: Vec<String>,
    before: Vec<f32>,
    after: Vec<f32>,
    state: State,
}

impl Ran {
    fn metric(&self, step: usize, name: &str) -> f64 {
        let found = self.metrics[step].iter().find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("{name} in {:?}", self.metrics[step]))
            .1
    }

    /// What each weight moved by.
    fn moved(&self) -> Vec<f32> {
        self.after
            .iter()
            .zip(&self.before)
            .map(|(a, b)| a - b)
            .collect()
    }
}

fn weights(learner: &Learner) -> Vec<f32> {
    let params = learner.model().parameters().iter();
    params.flat_map(|param| param.to_vec()).collect()
}

/// Goes through the stages in the folder of a run, from its checkpoint where it has one.
fn run_in(
    recipe: &Recipe,
    samples: &[Sample],
    run: &Path,
    stop_after: Option<usize>,
) -> Result<Ran, Error> {
    let device = percept_nn::parse_device("cpu").unwrap();
    let dir = match run.join("recipe.toml").exists() {
        true => RunDir::resume(run)?,
        false => RunDir::create(run)?,
    };
    percept_base::files::write_atomic(&dir.recipe(), b"")?;
    let saved = dir.latest_checkpoint()?.map(|checkpoint| checkpoint.path);
    let (model, processor) = open_model(recipe, saved.as_deref(), &device)?;
    let none = || Box::new(Rows(Vec::new()));
    let opened = Opened {
        data: Data {
            sft: none(),
            rl: none(),
            val: None,
        },
        pairs: Some(Box::new(Rows(samples.to_vec()))),
        general: Some(Box::new(Rows(samples.iter().rev().map(general).collect()))),
        rewards: open_rewards(recipe)?,
        bundles: None,
        processor,
    };
    let mut policy = Learner::new(model, recipe);
    let before = weights(&policy);
    let mut list = stages::of::<Learner>(recipe, &opened);
    let stop = AtomicBool::new(false);
    let mut heard = Listener {
        metrics: Vec::new(),
        notices: Vec::new(),
        stop_after,
        stop: &stop,
    };
    let mut news = News::new(&mut heard);
    let state = match &saved {
        None => State::default(),
        Some(saved) => resume(saved, &dir, &mut policy, &mut list, &mut news)?,
    };
    let mut run = Run::new(recipe, &opened, policy, state, dir, news, &stop)?;
    run.go(&mut list)?;
    let (after, state) = (weights(&run.policy), run.state.clone());
    drop(run);
    Ok(Ran {
        metrics: heard.metrics,
        notices: heard.notices,
        before,
        after,
        state,
    })
}

fn train(recipe: &Recipe, samples: &[Sample]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    run_in(recipe, samples, &folder.path().join("run"), None).unwrap()
}

fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&x| f64::from(x).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Norm of the difference, relative to the second.
fn apart(found: &[f32], expected: &[f32]) -> f64 {
    let difference: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(expected)
}

/// Each loss as a recipe names it.
fn losses() -> Vec<String> {
    let options = |name: &str| match name {
        "vdpo" => "{ name = \"vdpo\", dynamic_label_smoothing = true }".to_owned(),
        name => format!("{name:?}"),
    };
    PreferenceConfig::NAMES
        .iter()
        .map(|name| options(name))
        .collect()
}

#[test]
fn every_loss_trains_and_its_metrics_are_finite() {
    for loss in losses() {
        let ran = train(&dpo(2, &loss, ""), &rows(6));
        assert_eq!(ran.metrics.len(), 2, "{loss}");
        for metrics in &ran.metrics {
            for (name, value) in metrics {
                assert!(value.is_finite(), "{loss}: {name} is {value}");
            }
        }
        for name in ["rewards/chosen", "rewards/rejected", "rewards/margins"] {
            ran.metric(1, name);
        }
        assert!(ran.metric(0, "logps/chosen") < -1.0, "{loss}");
        assert!(norm(&ran.moved()) > 1e-3, "{loss}");
        // The second step has moved in the direction of the first: the loss of its pairs falls below that of none.
        assert_eq!(ran.state.stage("dpo").step, 2);
    }
}

#[test]
fn training_prefers_what_was_chosen() {
    for loss in ["\"dpo\"", "\"adavip\"", "\"mdpo\""] {
        let quick =
            "[trainer]\nseed = 3\n[dpo]\nsteps = 12\ntrain_batch_size = 8\noptim = { lr = 1e-3 }\n";
        let recipe = recipe(&format!("{quick}[preference]\nloss = {loss}\n"));
        let ran = train(&recipe, &rows(8));
        assert!(ran.metric(0, "rewards/margins").abs() < 1e-4, "{loss}");
        assert!(ran.metric(11, "rewards/margins") > 0.2, "{loss}");
        assert!(ran.metric(11, "rewards/accuracies") == 1.0, "{loss}");
        assert!(
            ran.metric(11, "train/loss") < 0.95 * ran.metric(0, "train/loss"),
            "{loss}"
        );
    }
}

#[test]
fn a_rejected_picture_that_is_the_picture_moves_nothing_visually() {
    let mut samples = rows(4);
    for sample in &mut samples {
        let images = sample.images.clone();
        sample.preference.as_mut().unwrap().rejected_images = vec![images];
    }
    let plain = train(&dpo(1, "\"dpo\"", ""), &samples);
    let visual = train(&dpo(1, "\"adavip\"", ""), &samples);
    // Three equal rewards: the rejected answer has a third of the softmax, where DPO's slope is a half.
    let expected: Vec<f32> = plain.moved().iter().map(|x| x * 2.0 / 3.0).collect();
    let found = apart(&visual.moved(), &expected);
    assert!(found < 1e-4, "{found}");
    assert!((visual.metric(0, "weights/rejected") - 1.0 / 3.0).abs() < 1e-5);
    assert!(
        visual
            .metric(0, "rewards/chosen_rejected_image/margins")
            .abs()
            < 1e-4
    );
    // And another picture does move something.
    let other = train(&dpo(1, "\"adavip\"", ""), &rows(4));
    assert!(apart(&other.moved(), &expected) > 0.05);
}

#[test]
fn neither_passes_nor_the_order_of_rows_change_an_update() {
    for loss in ["\"adavip\"", "\"chip\"", "\"halva\"", "\"opa\"", "\"vdpo\""] {
        let whole = train(&dpo(1, loss, ""), &rows(4));
        let split = train(&dpo(1, loss, "ppo_max_token_len = 200"), &rows(4));
        let mut turned = rows(4);
        turned.reverse();
        let turned = train(&dpo(1, loss, ""), &turned);
        // A prompt is computed once for its answers, a picture once in a step.
        for name in ["perf/total_num_tokens", "perf/vision_tokens"] {
            assert_eq!(
                split.metric(0, name),
                whole.metric(0, name),
                "{loss} {name}"
            );
        }
        for (what, other) in [("split", &split), ("turned", &turned)] {
            let found = apart(&other.moved(), &whole.moved());
            assert!(found < 1e-4, "{loss} {what}: {found}");
            for name in [
                "train/loss",
                "train/grad_norm",
                "rewards/margins",
                "logps/chosen",
            ] {
                let (a, b) = (other.metric(0, name), whole.metric(0, name));
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(1e-1),
                    "{loss} {what} {name}: {a} for {b}"
                );
            }
        }
    }
}

#[test]
fn what_moves_the_weights_is_the_gradient_of_the_loss() {
    // The second step's gradient, where policy and reference differ, against differences of the loss itself.
    let loss = "{ name = \"adavip\", beta = 0.5, anchor_weight = 0.3 }";
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let samples = rows(4);
    let first = run_in(&dpo(1, loss, ""), &samples, &run, None).unwrap();
    let second = run_in(&dpo(2, loss, ""), &samples, &run, None).unwrap();
    assert!(first.after == second.before);
    let gradient: Vec<f32> = second.moved().iter().map(|moved| -moved).collect();
    let length = norm(&gradient);
    // Along the gradient itself: the loss of the third step on the moved weights, half a step back and forth.
    let at = |scale: f32| {
        let other = folder.path().join(format!("at {scale}"));
        copy(&run, &other, &gradient, scale);
        run_in(&dpo(2, loss, ""), &samples, &other, None)
            .unwrap()
            .metric(0, "train/loss")
    };
    let step = 0.02 / length;
    let slope = (at(step as f32) - at(-step as f32)) / (2.0 * step);
    assert!(
        (slope / length.powi(2) - 1.0).abs() < 5e-3,
        "{slope} for {}",
        length.powi(2)
    );
}

/// The run as it stood after its first step, with the weights moved.
fn copy(run: &Path, to: &Path, along: &[f32], scale: f32) {
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        let target = to.join(folder.strip_prefix(run).unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for file in files(&folder) {
            match file.is_dir() {
                true if file.ends_with("step-000002") => {}
                true => folders.push(file),
                false => {
                    std::fs::copy(&file, target.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
    }
    let checkpoint = to.join("checkpoints/step-000001");
    let device = percept_nn::parse_device("cpu").unwrap();
    let mut model = percept_model::Model::load(&checkpoint, &device).unwrap();
    let mut at = 0;
    for param in model.parameters_mut() {
        param.update(|values| {
            for value in values {
                *value += scale * along[at];
                at += 1;
            }
        });
    }
    assert_eq!(at, along.len());
    model
        .save(&checkpoint, percept_model::SaveDtype::F32)
        .unwrap();
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bytes_and_stored_reference_numbers_are_those_computed()
{
    for (loss, more) in [
        ("\"adavip\"", ""),
        // Its running mean is part of the checkpoint.
        ("\"dama\"", ""),
        ("\"mdpo\"", "ppo_max_token_len = 150"),
    ] {
        let quick = |precompute: bool| {
            recipe(&format!(
                "[trainer]\nsave_freq = 1\nmax_ckpt_to_keep = 0\n[dpo]\nsteps = 5\ntrain_batch_size = 3\n\
                 optim = {{ lr = 3e-3 }}\n{more}\n[preference]\nloss = {loss}\nprecompute_ref_log_probs = {precompute}\n"
            ))
        };
        let (folder, samples) = (tempfile::tempdir().unwrap(), rows(7));
        let whole = run_in(&quick(true), &samples, &folder.path().join("whole"), None).unwrap();
        let anew = run_in(&quick(false), &samples, &folder.path().join("anew"), None).unwrap();
        assert!(anew.after == whole.after, "{loss}");
        if loss == "\"dama\"" {
            assert!(!whole.state.stage("dpo").memory.is_null());
        }
        for stop_after in 1..5 {
            let run = folder.path().join(format!("stopped {stop_after}"));
            let stopped = run_in(&quick(true), &samples, &run, Some(stop_after)).unwrap();
            assert_eq!(stopped.metrics.len(), stop_after);
            let ended = run_in(&quick(true), &samples, &run, None).unwrap();
            assert!(ended.after == whole.after, "{loss} after {stop_after}");
            assert_eq!(ended.state.stage("dpo"), whole.state.stage("dpo"));
            let stored = |run: &str| {
                std::fs::read(folder.path().join(run).join("reference_log_probs.jsonl")).unwrap()
            };
            assert!(stored("whole") == stored(&format!("stopped {stop_after}")));
        }
    }
}

#[test]
fn a_run_that_goes_on_for_longer_asks_its_reference_about_new_rows() {
    let (folder, samples) = (tempfile::tempdir().unwrap(), rows(9));
    let recipe = |steps: usize| {
        recipe(&format!(
            "[dpo]\nsteps = {steps}\ntrain_batch_size = 3\noptim = {{ lr = 3e-3 }}\n[preference]\nloss = \"adavip\"\n"
        ))
    };
    let run = folder.path().join("run");
    run_in(&recipe(1), &samples, &run, None).unwrap();
    let lines = |run: &Path| {
        let text = std::fs::read_to_string(run.join("reference_log_probs.jsonl")).unwrap();
        text.lines().count()
    };
    assert_eq!(lines(&run), 1 + 3);
    let longer = run_in(&recipe(3), &samples, &run, None).unwrap();
    assert_eq!(lines(&run), 1 + 9);
    let whole = run_in(&recipe(3), &samples, &folder.path().join("whole"), None).unwrap();
    assert!(longer.after == whole.after);
}

#[test]
fn adapters_are_trained_against_the_base() {
    let recipe = recipe(
        "[model.lora]\nr = 4\n[dpo]\nsteps = 6\ntrain_batch_size = 4\noptim = { lr = 1e-2 }\n[preference]\nloss = \"adavip\"\n",
    );
    let ran = train(&recipe, &rows(4));
    assert!(ran.metric(0, "rewards/chosen").abs() < 1e-4);
    assert!(ran.metric(5, "rewards/margins") > 0.05);
}

#[test]
fn rows_that_are_no_pair_for_the_loss_are_counted_and_said() {
    let mut samples = rows(6);
    samples[1].preference = None;
    samples[3]
        .preference
        .as_mut()
        .unwrap()
        .rejected_images
        .clear();
    samples[4]
        .preference
        .as_mut()
        .unwrap()
        .chosen
        .push(Message::text(Role::User, "?"));
    let steps = "shuffle = false\n[dpo]\nsteps = 1\ntrain_batch_size = 4\n[preference]\n";
    let mdpo = recipe(&format!("{steps}loss = \"mdpo\"\n"));
    // Rows 0, 2, 5, and 0 again.
    let ran = train(&mdpo, &samples);
    assert_eq!(ran.metric(0, "data/skipped_rows"), 3.0);
    let mut state = ran.state.clone();
    let reasons = state.watch.skipped_of("dpo").commonest(5);
    for word in ["`chosen` and `rejected`", "visual-pairs", "2 turns"] {
        assert!(reasons.contains(word), "{word}: {reasons}");
    }
    // AdaViP takes a pair without a rejected picture by its answers.
    let ran = train(&recipe(&format!("{steps}loss = \"adavip\"\n")), &samples);
    assert_eq!(ran.metric(0, "data/skipped_rows"), 2.0);
    assert_eq!(ran.metric(0, "data/language_only_pairs"), 1.0);
    assert!(
        ran.notices.iter().any(|said| said.contains("row 3")),
        "{:?}",
        ran.notices
    );
}

#[test]
fn data_without_what_the_loss_asks_for_is_refused_with_a_row_and_help() {
    let refused = |samples: &[Sample], loss: &str| {
        let folder = tempfile::tempdir().unwrap();
        let ran = run_in(&dpo(1, loss, ""), samples, &folder.path().join("run"), None);
        ran.map(|_| ()).unwrap_err().to_string()
    };
    let change = |change: fn(&mut Sample)| {
        let mut samples = rows(3);
        samples.iter_mut().for_each(change);
        samples
    };
    let none = change(|sample| sample.preference = None);
    let error = refused(&none, "\"dpo\"");
    for word in ["row 0", "chosen", "rejected", "help"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().rejected_images.clear();
    let error = refused(&change(of), "\"adavip\"");
    for word in [
        "rejected picture",
        "percept data visual-pairs",
        "row 0",
        "1 rejected answer",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().corrected = None;
    assert!(refused(&change(of), "\"opa\"").contains("corrected"));
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().clip_gap = None;
    assert!(refused(&change(of), "\"dama\"").contains("clip_gap"));
    let of = |sample: &mut Sample| {
        sample.images.clear();
        sample.messages[0].content.remove(0);
    };
    assert!(refused(&change(of), "\"vdpo\"").contains("picture to take away"));
    // Every row is too long.
    let error = run_in(
        &dpo(1, "\"dpo\"", "ppo_max_token_len = 20"),
        &rows(3),
        &tempfile::tempdir().unwrap().path().join("run"),
        None,
    );
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("dpo.ppo_max_token_len (20)"), "{error}");
    // What compares the pairs of a step is not split.
    let error = run_in(
        &dpo(1, "\"dama\"", "ppo_max_token_len = 90"),
        &rows(4),
        &tempfile::tempdir().unwrap().path().join("run"),
        None,
    );
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("lower dpo.train_batch_size"), "{error}");
}
