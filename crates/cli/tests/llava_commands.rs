//! A LLaVA-1.5 is asked, evaluated and trained like every model.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{Outcome, run_in, write};
use image::RgbImage;
use percept_model::{Device, Model, ModelConfig, SaveDtype};
use serde_json::{Value, json};
use tempfile::TempDir;

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../model/tests/golden/processor_llava"
);

/// A folder `llava` with fresh weights, and rows of two pictures.
fn world() -> TempDir {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("llava");
    let config = ModelConfig::load(Path::new(SOURCE)).unwrap();
    let fresh = Model::init(config, 1, &Device::flex()).unwrap();
    fresh.save(&model, SaveDtype::F16).unwrap();
    for entry in fs::read_dir(SOURCE).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end != "md") {
            fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
        }
    }
    let mut rows = String::new();
    for (name, level, answer) in [("a", 40, "Yes"), ("b", 200, "No")] {
        let picture = RgbImage::from_pixel(90, 60, image::Rgb([level, 90, 10]));
        let path = folder.path().join(format!("{name}.png"));
        picture.save(&path).unwrap();
        let row = json!({
            "id": name, "prompt": "<image>\nIs there a dog?", "images": [format!("{name}.png")],
            "answer": answer, "completion": format!("{answer}."),
        });
        rows += &format!("{row}\n");
    }
    write(&folder.path().join("rows.jsonl"), &rows);
    folder
}

fn recipe(more: &str) -> String {
    format!(
        "[trainer]\nexperiment_name = \"run\"\noutput_dir = \"runs\"\n[model]\npath = \"llava\"\n{more}\
         [data]\ntrain_files = [\"rows.jsonl\"]\n\
         [rollout]\nmax_completion_length = 6\nnum_generations = 2\n\
         [[reward.functions]]\nname = \"length\"\nunit = \"characters\"\nmax_length = 4\n\
         [sft]\nsteps = 2\ntrain_batch_size = 2\n\
         [rl]\nsteps = 1\ntrain_batch_size = 2\nold_log_prob = \"recompute\"\n"
    )
}

fn steps(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("runs/run/metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

fn said(outcome: &Outcome) -> String {
    format!("{}{}", outcome.stdout, outcome.stderr)
}

#[test]
fn it_is_asked_evaluated_and_trained() {
    let folder = world();
    let at = folder.path();
    let ask = |model: &str| {
        let asked = ["generate", "--model", model, "--image", "a.png"];
        let more = ["--max-tokens", "5", "--json", "Is there a dog?"];
        run_in(at, &[&asked[..], &more].concat()).ok().stdout
    };
    let first = ask("llava");
    assert_eq!(first, ask("llava"), "greedy is greedy");
    write(&at.join("recipe.toml"), recipe(""));
    run_in(at, &["data", "check", "recipe.toml"]).ok();
    let trained = run_in(at, &["train", "recipe.toml"]).ok();
    assert!(
        said(&trained).contains("no end token"),
        "{}",
        said(&trained)
    );
    let metrics = steps(at);
    assert_eq!(metrics.len(), 3);
    // 16 tokens of each picture, of both rows.
    assert_eq!(metrics[0]["perf/vision_tokens"], 32.0);
    let difference = metrics[2]["training/rollout_probs_diff_mean"].as_f64();
    assert!(difference.unwrap() < 1e-5, "{difference:?}");
    // The checkpoint is a folder of the hub's kind.
    let checkpoint = at.join("runs/run/checkpoints/step-000003");
    for file in [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "preprocessor_config.json",
        "processor_config.json",
    ] {
        assert!(checkpoint.join(file).exists(), "{file}");
    }
    assert!(!checkpoint.join("video_preprocessor_config.json").exists());
    ask("runs/run");
    let eval = ["eval", "--model", "runs/run", "--data", "rows.jsonl"];
    let more = ["--max-tokens", "4", "--output", "eval"];
    run_in(at, &[&eval[..], &more].concat()).ok();
}

#[test]
fn it_learns_from_pairs() {
    let folder = world();
    let at = folder.path();
    let pair = json!({
        "prompt": "<image>\nIs there a dog?", "images": ["a.png"], "rejected_images": ["b.png"],
        "chosen": "Yes, there is a dog.", "rejected": "No, there is no dog.",
    });
    write(&at.join("pairs.jsonl"), format!("{pair}\n"));
    let recipe = "[trainer]\nexperiment_name = \"run\"\noutput_dir = \"runs\"\n[model]\npath = \"llava\"\n\
                  [data]\ntrain_files = [\"pairs.jsonl\"]\n[preference]\nloss = \"adavip\"\n\
                  [dpo]\nsteps = 3\ntrain_batch_size = 1\noptim = { lr = 1e-2 }\n";
    write(&at.join("recipe.toml"), recipe);
    run_in(at, &["train", "recipe.toml"]).ok();
    let metrics = steps(at);
    // Two pictures, of which each goes through the tower once.
    assert_eq!(metrics[0]["perf/vision_tokens"], 32.0);
    let loss = |step: usize| metrics[step]["train/loss"].as_f64().unwrap();
    assert!((loss(0) - 3f64.ln()).abs() < 1e-5, "{}", loss(0));
    assert!(loss(2) < loss(0));
}

#[test]
fn adapters_train_and_the_tower_can_stand_still() {
    let folder = world();
    let at = folder.path();
    let lora =
        "freeze_vision = true\nlora = { r = 2, target_modules = [\"q_proj\", \"linear_1\"] }\n";
    write(&at.join("recipe.toml"), recipe(lora));
    run_in(at, &["train", "recipe.toml"]).ok();
    let adapter = at.join("runs/run/checkpoints/step-000003/adapter_model.safetensors");
    assert!(adapter.exists());
    assert_eq!(steps(at).len(), 3);
}

#[test]
fn pixel_limits_and_folders_that_do_not_fit_are_refused() {
    let folder = world();
    let at = folder.path();
    let limits = recipe("").replace("[data]\n", "[data]\nmax_pixels = 1000\n");
    write(&at.join("recipe.toml"), &limits);
    let refused = run_in(at, &["train", "recipe.toml"]);
    assert_eq!(refused.code, Some(1), "{}", said(&refused));
    assert!(refused.stderr.contains("max_pixels"), "{}", refused.stderr);
    let path = at.join("llava/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["vision_config"]["model_type"] = json!("siglip_vision_model");
    write(&path, config.to_string());
    let refused = run_in(at, &["generate", "--model", "llava", "hello"]);
    assert_eq!(refused.code, Some(1), "{}", said(&refused));
    for word in ["vision_config.model_type", "siglip", "clip_vision_model"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
}
