//! What a run will need, by component, before it starts.

use percept_model::{GradientCheckpointing, Model, TextConfig};
use percept_nn::host::WeightDtype;

use crate::Recipe;

/// Bytes by component. Weights, gradients and moments are exact; activations and sampling are
/// the arithmetic of one full forward pass and one full batch of sequences; the allocator's
/// overhead is not in it.
pub fn estimate_memory(recipe: &Recipe, model: &Model) -> Vec<(&'static str, u64)> {
    const F32: u64 = 4;
    let count = |trainable: bool| -> u64 {
        let params = model
            .parameters()
            .iter()
            .filter(|p| !trainable || p.trainable());
        params.map(|p| p.numel() as u64).sum()
    };
    let (all, trained) = (count(false), count(true));
    let text = &model.config().text;
    let tokens = [
        recipe.sft.as_ref().map(|sft| sft.ppo_max_token_len),
        recipe.rl.as_ref().map(|rl| rl.ppo_max_token_len),
    ];
    let tokens = tokens.into_iter().flatten().max().unwrap_or(0) as u64;
    let layers = activations(text, recipe.model.gradient_checkpointing) as u64;
    let mut parts = vec![
        ("weights", all * F32),
        ("gradients", trained * F32),
        ("optimizer moments", 2 * trained * F32),
        ("activations", tokens * layers * F32),
    ];
    if let Some(rl) = &recipe.rl {
        let rollout = &recipe.rollout;
        let prompts = (rollout.max_num_seqs / rollout.num_generations.max(1)).max(1);
        let slots = rollout
            .max_num_seqs
            .min(rl.train_batch_size * rollout.num_generations)
            * rollout.max_completion_length
            + prompts * recipe.data.max_prompt_length;
        let token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim;
        let cache = slots as u64 * token as u64 * F32;
        let bound = match rollout.kv_cache_memory_bytes {
            0 => u64::MAX,
            bytes => bytes as u64,
        };
        parts.push(("sampler weights", sampler_weights(rollout.dtype, model)));
        parts.push(("KV cache", cache.min(bound)));
        if recipe.algorithm.loss.needs_reference() && recipe.model.lora.is_none() {
            parts.push(("reference weights", all * F32));
        }
    }
    parts
}

/// Numbers that all layers keep for the backward pass, per token, at the moment when it holds most.
fn activations(text: &TextConfig, checkpointing: GradientCheckpointing) -> usize {
    let (layers, hidden) = (text.num_hidden_layers, text.hidden_size);
    let (q, kv) = (text.num_attention_heads, text.num_key_value_heads);
    // Normed input, queries, keys, values, output; with norms of queries and keys, those before them.
    let again = if text.qk_norm { q + kv } else { 0 };
    let attention = hidden + (2 * q + 2 * kv + again) * text.head_dim;
    // Input, normed input, gate, up, their product.
    let mlp = 2 * hidden + 3 * text.intermediate_size;
    match checkpointing {
        GradientCheckpointing::Off => layers * (hidden + attention + mlp),
        GradientCheckpointing::Selective => {
            layers * (hidden + mlp - text.intermediate_size) + attention
        }
        GradientCheckpointing::Full => layers * hidden + attention + mlp,
    }
}

/// The decoder's copy: an embedding table that is not also the head stays f32.
fn sampler_weights(dtype: WeightDtype, model: &Model) -> u64 {
    let bytes = match dtype {
        WeightDtype::F32 => 4,
        WeightDtype::Bf16 => 2,
        WeightDtype::Int8 => 1,
    };
    let tied = model.config().tie_word_embeddings;
    let text = model.parameters().iter().filter(|p| {
        let name = p.name();
        !name.contains("lora_") && !name.starts_with("visual.") && !name.contains(".visual.")
    });
    text.map(|p| {
        let is_table = !tied && p.name().ends_with("embed_tokens.weight");
        p.numel() as u64 * if is_table { 4 } else { bytes }
    })
    .sum()
}
