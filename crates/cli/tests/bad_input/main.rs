//! Whatever is wrong with files, recipes, folders and verifiers: the command ends by itself, says
//! what and where, never panics, and nothing that was complete before is lost.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod adapters;
mod models;
mod output;
mod processors;
mod prompts;
mod recipes;
mod rows;
mod runs;
mod verifiers;
mod visual_pairs;

use std::fs;
use std::path::{Path, PathBuf};

use common::files::{edit_json, edit_safetensors, png, poison, truncate};
use common::{
    Cases, Outcome, RL, SFT, TINY, base, base_model, base_run, copy, percept, run, run_in,
    snapshot, write,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of the model for one case, and what `generate` says to it after `damage`.
fn damaged(damage: impl FnOnce(&Path)) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    copy(&base_model(), &model);
    damage(&model);
    generate(&model, &["hi"])
}

fn generate(model: &Path, rest: &[&str]) -> Outcome {
    let mut args = vec![
        "generate",
        "--max-tokens",
        "2",
        "--model",
        model.to_str().unwrap(),
    ];
    args.extend(rest);
    run(percept(&args))
}

fn remove(path: impl AsRef<Path>) {
    fs::remove_file(path).unwrap();
}

/// A picture of the built-in task.
fn picture(folder: &Path) -> String {
    let out = folder.join("exported");
    run(percept(&[
        "data",
        "export",
        "--rows",
        "1",
        "--output",
        out.to_str().unwrap(),
    ]))
    .ok();
    let all = snapshot(&out);
    let found = all
        .iter()
        .find(|(p, _)| p.extension().is_some_and(|e| e == "png"));
    found.unwrap().0.to_str().unwrap().to_owned()
}

fn train(folder: &Path, more: &[&str]) -> Outcome {
    let mut args = vec!["train", "recipe.toml"];
    args.extend(more);
    run_in(folder, &args)
}
