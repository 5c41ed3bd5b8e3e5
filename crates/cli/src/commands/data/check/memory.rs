//! The memory that a run will take.

use std::collections::BTreeMap;

use percept_train::{Recipe, RowLengths, available_memory, estimate_memory};

use crate::shared::output::{note, say};
use crate::shared::{Failure, Global, table};

/// Lengths of the rows of training, in tokens.
#[derive(Default)]
pub(super) struct Lengths {
    /// Of prompts.
    pub prompt: Vec<usize>,
    /// Of the pictures in them.
    pub image: Vec<usize>,
    /// Of whole rows of `[sft]`.
    pub supervised: Vec<usize>,
    /// Of pairs of `[dpo]`.
    pub pair: Vec<usize>,
    /// Of the pictures in them.
    pub pair_image: Vec<usize>,
}

impl Lengths {
    /// Means, and the longest.
    pub(super) fn rows(&self) -> RowLengths {
        let mean = |values: &[usize]| match values.len() {
            0 => 0.0,
            count => values.iter().sum::<usize>() as f64 / count as f64,
        };
        RowLengths {
            prompt: mean(&self.prompt),
            image: mean(&self.image),
            supervised: mean(&self.supervised),
            longest: self.supervised.iter().copied().max().unwrap_or(0),
            pair: mean(&self.pair),
            pair_image: mean(&self.pair_image),
            longest_pair: self.pair.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Says what the run takes, and warns where the machine has less.
pub(super) fn memory(
    recipe: &Recipe,
    model: &percept_model::Model,
    rows: &RowLengths,
    global: &Global,
) -> Result<(), Failure> {
    let estimate = estimate_memory(recipe, model, rows);
    let available = available_memory();
    if global.json {
        let parts: BTreeMap<&str, u64> = estimate.parts.iter().copied().collect();
        say!(
            "{}",
            serde_json::json!({
                "memory_bytes": parts,
                "peak_bytes": estimate.peak,
                "available_bytes": available,
            })
        );
        return Ok(());
    }
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let mut rows = vec![vec!["memory estimate".to_owned(), String::new()]];
    rows.extend(
        estimate
            .parts
            .iter()
            .map(|(name, bytes)| vec![format!("  {name}"), mib(*bytes)]),
    );
    rows.push(vec!["  peak".to_owned(), mib(estimate.peak)]);
    crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    if let Some(available) = available.filter(|&bytes| bytes < estimate.peak) {
        note!(
            "warning: this run needs about {}, and {} are free\n  help: lower ppo_max_token_len or the batch \
             sizes, set model.gradient_checkpointing = true, train adapters (model.lora), or set \
             rollout.kv_cache_memory_bytes",
            mib(estimate.peak),
            mib(available)
        );
    }
    Ok(())
}
