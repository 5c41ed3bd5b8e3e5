//! Options of adapters, named as PEFT names them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Layers, Patterns};

/// Which adapters to train beside frozen weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the adapters. 16 (default) is enough for reinforcement learning on small data;
    /// supervised fine-tuning on much data gains from 64 and more.
    pub r: usize,
    /// Adapters are scaled by `lora_alpha / r`. Default 32: twice the rank, as is customary.
    pub lora_alpha: f64,
    /// `"all-linear"` (default: every linear layer but the head, the vision tower's included), a
    /// list of names, or a regular expression. A name selects the layers whose path ends with it: `"q_proj"`,
    /// `"attn.qkv"`, `"layers.0.mlp.up_proj"`; an expression those whose whole path it matches (Python's
    /// `re.fullmatch`, as in PEFT): `"^model\\.language_model\\..*\\.(q_proj|v_proj)$"`.
    pub target_modules: TargetModules,
    /// Layers that get no adapter although `target_modules` selects them: a list of names, or a regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_modules: Option<TargetModules>,
    /// Only layers of these numbers get adapters (with `target_modules` as a list).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers_to_transform: Option<Layers>,
    /// What stands before a layer's number in its path: `"layers"`, `"blocks"`. Default: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers_pattern: Option<TargetModules>,
    /// Other ranks for some layers, by the end of their path or a regular expression for it; the first that fits
    /// counts: `{ "self_attn.q_proj" = 8 }`.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub rank_pattern: Patterns<usize>,
    /// Other values of `lora_alpha`, as `rank_pattern`.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub alpha_pattern: Patterns<f64>,
    /// Modules that are trained whole beside the adapters and saved with them, by the end of their path: `"lm_head"`,
    /// `"embed_tokens"`, `"merger"`. With tied embeddings the head and the table cannot be among them.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none"
    )]
    pub modules_to_save: Vec<String>,
    /// Chance that an input element of an adapter is dropped in a training step. Default 0:
    /// sampler and trainer then compute the same function.
    pub lora_dropout: f64,
    /// Scale by `lora_alpha / √r` instead (rank-stabilised LoRA, arXiv 2312.03732). Default false.
    pub use_rslora: bool,
}

/// `null` is no module.
fn null_is_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

/// `"all-linear"`, a regular expression, or a list of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetModules {
    /// `"all-linear"`, or a regular expression for the whole path.
    One(String),
    /// Ends of paths.
    Many(Vec<String>),
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 16,
            lora_alpha: 32.0,
            target_modules: TargetModules::One("all-linear".into()),
            exclude_modules: None,
            layers_to_transform: None,
            layers_pattern: None,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            modules_to_save: Vec::new(),
            lora_dropout: 0.0,
            use_rslora: false,
        }
    }
}

impl LoraConfig {
    /// Factor of an adapter of this rank.
    pub fn scale(&self, r: usize, lora_alpha: f64) -> f32 {
        let r = r as f64;
        (lora_alpha / if self.use_rslora { r.sqrt() } else { r }) as f32
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    /// [`Error::Lora`] naming the field that is not.
    pub fn check(&self) -> Result<(), Error> {
        let error = |field, message: String| Err(Error::Lora { field, message });
        let ranks = self
            .rank_pattern
            .0
            .iter()
            .map(|(_, r)| ("rank_pattern", *r));
        for (field, r) in ranks.chain([("r", self.r)]) {
            if r == 0 || r > 1 << 20 {
                return error(
                    field,
                    format!("found {r}, expected at least 1 and at most 2^20"),
                );
            }
        }
        let alphas = self.alpha_pattern.0.iter();
        let alphas = alphas.map(|(_, alpha)| ("alpha_pattern", *alpha));
        for (field, alpha) in alphas.chain([("lora_alpha", self.lora_alpha)]) {
            if !alpha.is_finite() || alpha <= 0.0 {
                return error(field, format!("found {alpha}, expected a positive number"));
            }
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            let found = self.lora_dropout;
            return error("lora_dropout", format!("found {found}, expected 0 ≤ p < 1"));
        }
        Ok(())
    }
}
