//! Real weights: the training forward of SmolLM2-135M predicts the tokens that `transformers`
//! generates. Needs the folder that tools/smollm2.py makes (270 MB, not in the repository):
//! `PERCEPT_SMOLLM2=DIR cargo test --release -p percept-model --test real_weights`.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::*;
use percept_model::{Model, Prompt};
use serde_json::Value;

#[test]
fn the_training_forward_predicts_the_greedy_tokens_of_transformers() {
    let Some(dir) = std::env::var_os("PERCEPT_SMOLLM2").map(PathBuf::from) else {
        eprintln!("skipped: PERCEPT_SMOLLM2 is not set");
        return;
    };
    let golden = std::fs::read(golden("smollm2_greedy.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let model = Model::load(&dir, &device()).unwrap();
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    for case in golden["cases"].as_array().unwrap() {
        let (prompt, answer) = (ids(&case["input_ids"]), ids(&case["output_ids"]));
        let tokens = [prompt.as_slice(), &answer[..answer.len() - 1]].concat();
        let positions = (0..tokens.len() as u32).map(|p| [p; 3]).collect();
        let whole = Prompt {
            tokens,
            positions,
            ..Prompt::default()
        };
        let hidden = model.forward_no_grad(&pack(&[&whole])).unwrap();
        let rows: Vec<u32> = (0..answer.len())
            .map(|i| (prompt.len() - 1 + i) as u32)
            .collect();
        let logits = logits(&model, hidden, &rows);
        let best = |row: &[f32]| {
            (0..row.len())
                .max_by(|&a, &b| row[a].total_cmp(&row[b]))
                .unwrap()
        };
        let vocab = model.config().text.vocab_size;
        let found: Vec<u32> = logits.chunks(vocab).map(|row| best(row) as u32).collect();
        assert_eq!(found, answer, "{}", case["prompt"]);
    }
}
