//! The table `[sft]` of the [`Recipe`](crate::Recipe).

use std::path::PathBuf;

use percept_model::SpanMarkers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recipe::parts::OptimConfig;

/// Supervised fine-tuning stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SftConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Passes over the rows, in place of `steps`: the stage takes as many steps as they need, rounded up. A row that is
    /// skipped is made up for by the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_train_epochs: Option<f64>,
    /// Rows per optimiser step.
    pub train_batch_size: usize,
    /// Token budget of one forward pass; a step accumulates gradients over as few as it needs, of
    /// about equal length (verl's `use_dynamic_bsz` with `ppo_max_token_len_per_gpu`).
    pub ppo_max_token_len: usize,
    /// Parts of the assistant's turns that are read and not learned, each in the epochs that it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_spans: Vec<MaskSpan>,
    /// Files of this stage's rows, relative to the recipe file, where the other stages have rows of their own. Default:
    /// `data.train_files`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub train_files: Vec<PathBuf>,
    /// Optimiser.
    pub optim: OptimConfig,
}

impl Default for SftConfig {
    fn default() -> Self {
        Self {
            steps: 100,
            num_train_epochs: None,
            train_batch_size: 32,
            ppo_max_token_len: 16_384,
            mask_spans: Vec::new(),
            train_files: Vec::new(),
            optim: OptimConfig {
                lr: 1e-5,
                ..OptimConfig::default()
            },
        }
    }
}

/// A part of the assistant's turns without a loss, wherever it stands: from one text to another, both with it. Its tokens stay
/// what later ones are predicted from. A token that holds the end of the span and the text behind it has no loss
/// either, and so at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskSpan {
    /// Text that opens it, for example `<think>`.
    pub from: String,
    /// Text that closes it, for example `</think>`. Where it does not follow, the turn has no such span.
    pub to: String,
    /// Epochs in which it has no loss, from 1. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<usize>,
}

impl SftConfig {
    /// The spans without a loss in an epoch, from 1.
    pub(crate) fn masked_in(&self, epoch: usize) -> Vec<SpanMarkers> {
        let masked = |span: &&MaskSpan| span.epochs.is_empty() || span.epochs.contains(&epoch);
        self.mask_spans
            .iter()
            .filter(masked)
            .map(MaskSpan::markers)
            .collect()
    }
}

impl MaskSpan {
    /// Its texts.
    pub fn markers(&self) -> SpanMarkers {
        SpanMarkers {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

/// What the types of `[sft]` allow and the stage cannot do.
///
/// # Errors
/// What is wrong, and what to change.
pub(crate) fn check(sft: &SftConfig, built_in: bool) -> Result<(), String> {
    if built_in && !sft.train_files.is_empty() {
        return Err(
            "sft.train_files does nothing: data.digit_sum makes the rows of [sft] itself"
                .to_owned(),
        );
    }
    for (index, span) in sft.mask_spans.iter().enumerate() {
        for (field, text) in [("from", &span.from), ("to", &span.to)] {
            if text.is_empty() {
                return Err(format!(
                    "sft.mask_spans[{index}].{field} is empty; expected the text that marks the span, for example \"<think>\""
                ));
            }
        }
        if span.epochs.contains(&0) {
            return Err(format!(
                "sft.mask_spans[{index}].epochs holds 0; expected epochs from 1"
            ));
        }
        let last = sft.num_train_epochs.map(|epochs| epochs.ceil() as usize);
        let late = span
            .epochs
            .iter()
            .find(|&&epoch| last.is_some_and(|last| epoch > last));
        if let Some(epoch) = late {
            return Err(format!(
                "sft.mask_spans[{index}].epochs holds {epoch}, and sft.num_train_epochs is {}\n  help: there is no such \
                 epoch; leave it out",
                sft.num_train_epochs.unwrap_or_default()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn sft(rest: &str) -> Result<crate::SftConfig, String> {
        let text =
            format!("[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[sft]\n{rest}");
        let recipe = parse(&text, "recipe.toml", &[]).map_err(|error| error.to_string())?;
        Ok(recipe.sft.unwrap())
    }

    #[test]
    fn a_span_is_masked_in_its_epochs() {
        let spans = "num_train_epochs = 3\nmask_spans = [{ from = \"<think>\", to = \"</think>\", epochs = [2] }, \
                     { from = \"(\", to = \")\" }]\n";
        let sft = sft(spans).unwrap();
        let counts: Vec<usize> = (1..=3).map(|epoch| sft.masked_in(epoch).len()).collect();
        assert_eq!(counts, [1, 2, 1]);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (rest, words) in [
            (
                "steps = 9\nnum_train_epochs = 2\n",
                ["sft.steps", "num_train_epochs"],
            ),
            (
                "num_train_epochs = 0\n",
                ["sft.num_train_epochs", "more than 0"],
            ),
            (
                "mask_spans = [{ from = \"\", to = \"b\" }]\n",
                ["sft.mask_spans[0].from", "empty"],
            ),
            (
                "mask_spans = [{ from = \"a\", to = \"b\", epochs = [0] }]\n",
                ["sft.mask_spans[0].epochs", "from 1"],
            ),
            (
                "num_train_epochs = 2\nmask_spans = [{ from = \"a\", to = \"b\", epochs = [3] }]\n",
                ["holds 3", "num_train_epochs is 2"],
            ),
            ("mask_spans = [{ from = \"a\" }]\n", ["`to`", "missing"]),
        ] {
            let error = sft(rest).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{rest}: {error}");
            }
        }
    }

    #[test]
    fn what_a_run_keeps_of_itself_is_read_again() {
        let text = "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[sft]\nnum_train_epochs = 2\n\
                    [[sft.mask_spans]]\nfrom = \"<think>\"\nto = \"</think>\"\n[dpo]\nnum_train_epochs = 0.5\n";
        let recipe = parse(text, "recipe.toml", &[]).unwrap();
        let printed = recipe.to_toml().unwrap();
        let again = parse(&printed, "printed", &[]).unwrap();
        assert_eq!((again.sft, again.dpo), (recipe.sft, recipe.dpo));
    }
}
