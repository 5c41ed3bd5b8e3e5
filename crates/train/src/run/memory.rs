//! What a run will need, by component, before it starts.

use percept_credit::preference::KindNeeds;
use percept_kernels::decode::WeightDtype;
use percept_model::{GradientCheckpointing, Model, TextConfig, is_vision_param};

use crate::Recipe;

const F32: u64 = 4;

/// The program itself and its buffers.
const PROGRAM: u64 = 24 << 20;

/// Lengths of a data set's rows, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowLengths {
    /// A prompt, on average.
    pub prompt: f64,
    /// Image and video tokens of a prompt, on average.
    pub image: f64,
    /// A row of supervised training with its answer, on average.
    pub supervised: f64,
    /// The longest of these rows.
    pub longest: usize,
    /// A pair of `[dpo]`, all that it contrasts, on average.
    pub pair: f64,
    /// Image and video tokens of a pair, on average.
    pub pair_image: f64,
    /// The longest pair.
    pub longest_pair: usize,
}

/// Bytes by component, and of all together at the moment when most is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Name and bytes of each component.
    pub parts: Vec<(&'static str, u64)>,
    /// The most at one time: sampling, an update, or the writing of a checkpoint.
    pub peak: u64,
}

/// The memory of a run, measured within 30 % on `tools/memory_peaks.py`'s recipes. Weights, gradients and
/// moments are exact; activations are those of the largest forward pass of each stage, whose rows have `rows`'
/// lengths and whose responses are as long as they may be.
pub fn estimate_memory(recipe: &Recipe, model: &Model, rows: &RowLengths) -> MemoryEstimate {
    let count = |counts: &dyn Fn(&percept_model::Param) -> bool| -> u64 {
        let params = model.parameters().iter().filter(|p| counts(p));
        params.map(|p| p.numel() as u64).sum()
    };
    let (all, trained) = (count(&|_| true), count(&|p| p.trainable()));
    let sees = count(&|p| p.trainable() && is_vision_param(p.name())) > 0;
    let checkpointing = recipe.model.gradient_checkpointing;
    let layers = activations(&model.config().text, checkpointing) as f64;
    let per_image_token = match sees {
        true => model.vision_activations(checkpointing),
        false => 0.0,
    };
    // The pool keeps the buffers of one stage, and those of the next have other sizes.
    let numbers = largest_passes(recipe, rows)
        .iter()
        .map(|pass| pass.tokens * layers + pass.image * per_image_token)
        .sum::<f64>();
    let kept = (numbers * F32 as f64) as u64;
    let mut parts = vec![
        ("weights", all * F32),
        ("gradients", trained * F32),
        ("optimizer moments", 2 * trained * F32),
        ("activations", kept),
    ];
    // What an optimiser step holds; the pool keeps the activations' buffers from then on.
    let mut steady: u64 = PROGRAM + parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let mut sampling = 0;
    if recipe.rl.is_some() || !recipe.data.val_files.is_empty() || recipe.data.digit_sum.is_some() {
        let sampler = sampler_weights(recipe.rollout.dtype, model);
        let (cache, logits) = sampling_bytes(recipe, model, rows);
        parts.push(("sampler weights", sampler));
        parts.push(("KV cache", cache));
        parts.push(("logits of sampling", logits));
        sampling = sampler + cache + logits;
    }
    if keeps_reference(recipe) && recipe.model.lora.is_none() {
        parts.push(("reference weights", all * F32));
        steady += all * F32;
    }
    // A checkpoint is put together in memory: the moments once more.
    let checkpoint = 2 * trained * F32;
    parts.push(("checkpoint being written", checkpoint));
    MemoryEstimate {
        parts,
        peak: steady + sampling.max(checkpoint),
    }
}

/// Whether a stage keeps a second model in memory.
fn keeps_reference(recipe: &Recipe) -> bool {
    let options = &recipe.preference;
    let needs = options.loss.needs();
    let asks = |of: fn(&KindNeeds) -> bool| needs.kinds.values().any(of);
    let computed = !options.precompute_ref_log_probs && !options.reference_free;
    let pairs = asks(|kind| kind.ref_kl) || (computed && asks(|kind| kind.ref_log_prob));
    recipe.rl.is_some() && recipe.algorithm.loss.needs_reference() || recipe.dpo.is_some() && pairs
}

/// Tokens of one forward pass, and those of them that stand for images.
struct Pass {
    tokens: f64,
    image: f64,
}

/// The largest forward pass with a gradient of each stage: a batch in as few equal parts as the budget allows.
fn largest_passes(recipe: &Recipe, rows: &RowLengths) -> Vec<Pass> {
    let share = |total: f64, longest: f64, budget: usize, images: f64| {
        let parts = (total / budget.max(1) as f64).ceil().max(1.0);
        let tokens = (total / parts).max(longest.min(total));
        Pass {
            tokens,
            image: images * tokens / total.max(1.0),
        }
    };
    let mut passes = Vec::new();
    if let Some(sft) = &recipe.sft {
        let batch = sft.train_batch_size as f64;
        let longest = rows.longest.min(sft.ppo_max_token_len) as f64;
        passes.push(share(
            batch * rows.supervised,
            longest,
            sft.ppo_max_token_len,
            batch * rows.image,
        ));
    }
    if let Some(dpo) = &recipe.dpo {
        let batch = dpo.train_batch_size as f64;
        let longest = rows.longest_pair.min(dpo.ppo_max_token_len) as f64;
        passes.push(share(
            batch * rows.pair,
            longest,
            dpo.ppo_max_token_len,
            batch * rows.pair_image,
        ));
    }
    if let Some(rl) = &recipe.rl {
        let batch = rl.mini_batch_size().min(rl.train_batch_size) as f64;
        let said = (recipe.rollout.num_generations
            * recipe.rollout.max_completion_length.saturating_sub(1)) as f64;
        let total = batch * (rows.prompt + said);
        passes.push(share(
            total,
            rows.prompt,
            rl.ppo_max_token_len,
            batch * rows.image,
        ));
    }
    passes
}

/// Keys and values of the sequences that are decoded at once, and the scores of their next tokens.
fn sampling_bytes(recipe: &Recipe, model: &Model, rows: &RowLengths) -> (u64, u64) {
    let rollout = &recipe.rollout;
    let text = &model.config().text;
    let (sequences, per_prompt, length) = match &recipe.rl {
        Some(rl) => (
            rl.train_batch_size * rollout.num_generations,
            rollout.num_generations,
            rollout.max_completion_length,
        ),
        None => match recipe.eval.max_samples {
            0 => (rollout.max_num_seqs, 1, rollout.max_completion_length),
            most => (most, 1, rollout.max_completion_length),
        },
    };
    let length = match (&recipe.rl, recipe.eval.max_completion_length) {
        (None, longest) if longest > 0 => longest,
        _ => length,
    };
    let sequences = rollout.max_num_seqs.min(sequences).max(1);
    let prompts = sequences.div_ceil(per_prompt.max(1));
    let slots = sequences as f64 * length as f64 + prompts as f64 * rows.prompt;
    let token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim;
    let cache = (slots * token as f64) as u64 * F32;
    let bound = match rollout.kv_cache_memory_bytes {
        0 => u64::MAX,
        bytes => bytes as u64,
    };
    let logits = sequences as u64 * text.vocab_size as u64 * F32;
    (cache.min(bound), logits)
}

/// Bytes that this process may still take: of the machine (`MemAvailable`) and of its control group,
/// whichever is less; none where the system does not say.
pub fn available_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    });
    let group = |limit: &str, used: &str| {
        let limit = number(limit).filter(|&bytes| bytes < 1 << 60)?;
        Some(limit.saturating_sub(number(used).unwrap_or(0)))
    };
    let group = group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current").or_else(|| {
        let folder = "/sys/fs/cgroup/memory/memory";
        group(
            &format!("{folder}.limit_in_bytes"),
            &format!("{folder}.usage_in_bytes"),
        )
    });
    [machine, group].into_iter().flatten().min()
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
        !name.contains("lora_") && !is_vision_param(name)
    });
    text.map(|p| {
        let is_table = !tied && p.name().ends_with("embed_tokens.weight");
        p.numel() as u64 * if is_table { 4 } else { bytes }
    })
    .sum()
}
