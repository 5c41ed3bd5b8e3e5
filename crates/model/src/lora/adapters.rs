//! LoRA: low-rank adapters on linear layers (Hu et al. 2021, arXiv 2106.09685).
//!
//! `W x` becomes `W x + (lora_alpha / r) · B A dropout(x)` with `A [r, in]` from the Kaiming
//! uniform distribution (a = √5, so ±1/√in) and `B [out, r]` zero: an untrained adapter changes
//! nothing. Names and files are PEFT's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lora::modules::memory_name;
use crate::lora::select::Rules;
use crate::weights::layers::{Adapter, Dropout, Linear};
use crate::weights::random::Stream;
use crate::{Error, Layers, Model, Param, ParamTensor, Patterns};

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
    fn scale(&self, r: usize, lora_alpha: f64) -> f32 {
        let r = r as f64;
        (lora_alpha / if self.use_rslora { r.sqrt() } else { r }) as f32
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
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

impl Model {
    /// Adds fresh adapters, freezes all other parameters and trains the adapters.
    ///
    /// # Errors
    /// [`Error::Lora`] when a value is out of range, a target selects no layer, or the model
    /// already has adapters.
    pub fn add_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<(), Error> {
        config.check()?;
        let rules = Rules::new(config)?;
        let chosen = self.select(config, &rules)?;
        let whole = self.clone();
        self.attach(config, &rules, &chosen, |name, shape| {
            let len = shape.iter().product();
            if let Some(param) = whole.parameter(name) {
                return Ok(param.to_vec());
            }
            if name.ends_with(".lora_B.weight") {
                return Ok(vec![0.0; len]);
            }
            let (stream, bound) = (Stream::new(seed, name), (shape[1] as f64).powf(-0.5));
            Ok(stream.fill(len, |s, i| (bound * (2.0 * s.uniform(i) - 1.0)) as f32))
        })
    }

    /// Adds adapters of these layers whose parameters `values` gives by name and shape.
    pub(crate) fn attach(
        &mut self,
        config: &LoraConfig,
        rules: &Rules,
        chosen: &[Linear],
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, Error>,
    ) -> Result<(), Error> {
        if self.lora.is_some() {
            let message = "the model already has adapters; merge them first".into();
            return Err(Error::Lora {
                field: "r",
                message,
            });
        }
        let saved = self.saved(config)?;
        let mut made = Vec::new();
        let mut scales = Vec::new();
        for linear in chosen {
            let names = self.modules(linear);
            let (r, alpha) = rules.of(config, &names)?;
            scales.push(config.scale(r, alpha));
            for (part, shape) in [("A", [r, linear.inp]), ("B", [linear.out, r])] {
                let name = format!("base_model.model.{}.lora_{part}.weight", names[0]);
                let values = values(&name, &shape)?;
                made.push(Param::new(name, shape.to_vec(), values, &self.device));
            }
        }
        let mut whole = Vec::new();
        for &index in &saved {
            let param = &self.params[index];
            let (name, shape) = (param.name().to_owned(), param.shape().to_vec());
            let values = values(&name, &shape)?;
            whole.push(Param::new(name, shape, values, &self.device));
        }
        self.set_trainable(|_| false);
        self.adapters = vec![None; self.params.len()];
        let first = self.params.len();
        for (i, (linear, scale)) in chosen.iter().zip(scales).enumerate() {
            let (a, b) = (first + 2 * i, first + 2 * i + 1);
            self.adapters[linear.weight] = Some(Adapter { a, b, scale });
        }
        for (index, param) in saved.into_iter().zip(whole) {
            let original = std::mem::replace(&mut self.params[index], param);
            self.originals.push((index, original));
        }
        self.params.extend(made);
        self.lora = Some(config.clone());
        Ok(())
    }

    /// The adapters' configuration, when the model has any.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    /// Turns dropout on for the coming passes, with masks that depend on this seed, the layer and
    /// the element alone; `None` turns it off. Does nothing when `lora_dropout` is 0.
    pub fn set_dropout_seed(&mut self, seed: Option<u64>) {
        let rate = self
            .lora
            .as_ref()
            .map_or(0.0, |lora| lora.lora_dropout as f32);
        self.dropout = seed
            .filter(|_| rate > 0.0)
            .map(|seed| Dropout { rate, seed });
    }

    /// Adds the adapters to the weights and removes them. All parameters are trainable again.
    ///
    /// # Errors
    /// [`Error::Lora`] when the model has no adapters.
    pub fn merge_lora(&mut self) -> Result<(), Error> {
        if self.lora.is_none() {
            let message = "the model has no adapters to merge".into();
            return Err(Error::Lora {
                field: "r",
                message,
            });
        }
        for weight in 0..self.adapters.len() {
            if self.adapters[weight].is_some() {
                let merged = self.merged(weight).into_vec();
                self.params[weight].set(merged);
            }
        }
        // What was trained whole stays.
        self.originals.clear();
        // And no folder holds these weights: another adapter must not name it as its base.
        self.source = None;
        self.remove_lora();
        self.set_trainable(|_| true);
        Ok(())
    }

    /// The model without its adapters: the reference of a Kullback-Leibler term. Shares memory
    /// with this one; nothing in it is trainable.
    #[must_use]
    pub fn without_lora(&self) -> Self {
        let mut base = self.clone();
        base.remove_lora();
        base.set_trainable(|_| false);
        base
    }

    fn remove_lora(&mut self) {
        let base = self.base_params().count();
        self.params.truncate(base);
        for (index, original) in self.originals.drain(..) {
            self.params[index] = original;
        }
        self.adapters = Vec::new();
        (self.lora, self.dropout) = (None, None);
    }

    /// Values of the parameter of a Hugging Face name with its adapter added, row-major: what a
    /// sampler multiplies with. `None` for a name the model does not have.
    pub fn effective_values(&self, name: &str) -> Option<Vec<f32>> {
        self.parameter(name).map(|param| self.merged_values(param))
    }

    pub(crate) fn merged_values(&self, param: &Param) -> Vec<f32> {
        let index = self
            .params
            .iter()
            .position(|other| std::ptr::eq(other, param));
        match index {
            Some(index) => self.merged(index).into_vec(),
            None => param.to_vec(),
        }
    }

    fn merged(&self, index: usize) -> ParamTensor {
        let param = &self.params[index];
        let Some(adapter) = self.adapters.get(index).copied().flatten() else {
            return param.value();
        };
        let (a, b) = (
            self.params[adapter.a].matrix(false),
            self.params[adapter.b].matrix(false),
        );
        ParamTensor::Matrix(param.matrix(false) + b.matmul(a) * adapter.scale)
    }

    /// Parameters of the model without its adapters.
    pub(crate) fn base_params(&self) -> impl Iterator<Item = &Param> {
        let count = if self.lora.is_some() {
            self.adapters.len()
        } else {
            self.params.len()
        };
        self.params[..count].iter()
    }

    /// Parameters of the adapters, and those that are trained whole, under PEFT's names.
    pub(crate) fn adapter_params(&self) -> Vec<Param> {
        let adapters = self.params[self.base_params().count()..].iter().cloned();
        let whole = self.originals.iter().map(|(index, _)| {
            let param = &self.params[*index];
            let name = memory_name(self.config.family, param.name());
            param.renamed(format!("base_model.model.{name}"))
        });
        adapters.chain(whole).collect()
    }
}
