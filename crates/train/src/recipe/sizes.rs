//! Numbers of a recipe that memory grows with: how large they may be. A typing error of some zeros is said before it asks
//! for all of the machine's memory, which no program survives.

use percept_model::{TinyConfig, TinyVisionConfig};

use crate::Recipe;

/// Rows of a built-in task.
const ROWS: usize = 100_000_000;
/// Tokens of a response.
const TOKENS: usize = 10_000_000;
/// Rows of a batch.
const BATCH: usize = 1 << 20;
/// Responses to one prompt.
const GROUP: usize = 1 << 16;
/// Rank of adapters.
const RANK: usize = 1 << 14;
/// Layers of a built-in model.
const LAYERS: usize = 1 << 10;
/// Widths of a built-in model.
const WIDTH: usize = 1 << 16;
/// Pixels along a side of a patch, patches along a side of a token, frames in a patch.
const PATCH: usize = 1 << 10;
/// Numbers of a built-in model: 8 GB, and four times that in training.
const PARAMETERS: f64 = 2e9;

/// What is too large, in words.
pub(crate) fn check(recipe: &Recipe) -> Result<(), String> {
    let mut sizes = Vec::new();
    if let Some(task) = &recipe.data.digit_sum {
        for (name, part) in [("sft", &task.sft), ("rl", &task.rl), ("val", &task.val)] {
            sizes.push((format!("data.digit_sum.{name}.len"), part.len, ROWS));
        }
    }
    let mut add = |name: &str, found, most| sizes.push((name.to_owned(), found, most));
    let (rollout, eval) = (&recipe.rollout, &recipe.eval);
    add(
        "rollout.max_completion_length",
        rollout.max_completion_length,
        TOKENS,
    );
    add(
        "eval.max_completion_length",
        eval.max_completion_length,
        TOKENS,
    );
    add("rollout.num_generations", rollout.num_generations, GROUP);
    for stage in recipe.stage_tables() {
        let name = format!("{}.train_batch_size", stage.name);
        add(&name, stage.train_batch_size, BATCH);
    }
    if let Some(rl) = &recipe.rl {
        let responses = rl.train_batch_size.saturating_mul(rollout.num_generations);
        add(
            "rl.train_batch_size × rollout.num_generations",
            responses,
            64 * BATCH,
        );
    }
    if let Some(lora) = &recipe.model.lora {
        add("model.lora.r", lora.r, RANK);
    }
    if let Some(tiny) = &recipe.model.tiny {
        for (name, found, most) in shapes(tiny) {
            add(&format!("model.tiny.{name}"), found, most);
        }
    }
    for (name, found, most) in sizes {
        if found > most {
            return Err(format!("{name} is {found}; expected at most {most}"));
        }
    }
    match recipe.model.tiny.as_ref().map(parameters) {
        Some(found) if found > PARAMETERS => Err(format!(
            "model.tiny has about {found:.0e} parameters; expected at most {PARAMETERS:.0e} \
             (for a large model give model.path)"
        )),
        _ => Ok(()),
    }
}

fn shapes(tiny: &TinyConfig) -> Vec<(&'static str, usize, usize)> {
    let vision = &tiny.vision;
    vec![
        ("hidden_size", tiny.hidden_size, WIDTH),
        ("intermediate_size", tiny.intermediate_size, WIDTH),
        ("num_hidden_layers", tiny.num_hidden_layers, LAYERS),
        ("num_attention_heads", tiny.num_attention_heads, WIDTH),
        ("num_key_value_heads", tiny.num_key_value_heads, WIDTH),
        ("vision.hidden_size", vision.hidden_size, WIDTH),
        ("vision.intermediate_size", vision.intermediate_size, WIDTH),
        ("vision.depth", vision.depth, LAYERS),
        ("vision.num_heads", vision.num_heads, WIDTH),
        ("vision.patch_size", vision.patch_size, PATCH),
        (
            "vision.spatial_merge_size",
            vision.spatial_merge_size,
            PATCH,
        ),
        (
            "vision.temporal_patch_size",
            vision.temporal_patch_size,
            PATCH,
        ),
    ]
}

/// About as many as the model will have; the tokenizer's words are few.
fn parameters(tiny: &TinyConfig) -> f64 {
    let n = |count: usize| count as f64;
    let layer = |width: usize, inner: usize| n(width) * (4.0 * n(width) + 3.0 * n(inner));
    let TinyVisionConfig {
        hidden_size,
        intermediate_size,
        depth,
        patch_size,
        temporal_patch_size,
        spatial_merge_size,
        ..
    } = tiny.vision;
    let patch = 3.0 * n(patch_size).powi(2) * n(temporal_patch_size);
    let merged = n(hidden_size) * n(spatial_merge_size).powi(2);
    n(tiny.num_hidden_layers) * layer(tiny.hidden_size, tiny.intermediate_size)
        + n(depth) * layer(hidden_size, intermediate_size)
        + patch * n(hidden_size)
        + merged * (merged + n(tiny.hidden_size))
}
