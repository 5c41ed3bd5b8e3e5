//! Whole runs of the stage with a model of a few thousand parameters, on rows made here.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use image::{Rgb, RgbImage};
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

mod reference;
mod refused;
mod training;

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
