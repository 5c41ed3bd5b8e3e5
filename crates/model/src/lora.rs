//! LoRA: low-rank adapters on linear layers (Hu et al. 2021, arXiv 2106.09685).
//!
//! `W x` becomes `W x + (lora_alpha / r) · B A dropout(x)` with `A [r, in]` from the Kaiming
//! uniform distribution (a = √5, so ±1/√in) and `B [out, r]` zero: an untrained adapter changes
//! nothing. Names and files are PEFT's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layers::{Adapter, Dropout, Linear};
use crate::random::Stream;
use crate::{Error, Family, Model, Param, ParamTensor};

/// Which adapters to train beside frozen weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the adapters. 16 (default) is enough for reinforcement learning on small data;
    /// supervised fine-tuning on much data gains from 64 and more.
    pub r: usize,
    /// Adapters are scaled by `lora_alpha / r`. Default 32: twice the rank, as is customary.
    pub lora_alpha: f64,
    /// `"all-linear"` (default: every linear layer but the head, the vision tower's included), or
    /// a list of names. A name selects the layers whose path ends with it: `"q_proj"`,
    /// `"attn.qkv"`, `"layers.0.mlp.up_proj"`.
    pub target_modules: TargetModules,
    /// Chance that an input element of an adapter is dropped in a training step. Default 0:
    /// sampler and trainer then compute the same function.
    pub lora_dropout: f64,
    /// Scale by `lora_alpha / √r` instead (rank-stabilised LoRA, arXiv 2312.03732). Default false.
    pub use_rslora: bool,
}

/// `"all-linear"`, one name, or a list of names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetModules {
    /// `"all-linear"`, or the end of one path.
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
            lora_dropout: 0.0,
            use_rslora: false,
        }
    }
}

impl LoraConfig {
    fn scale(&self) -> f32 {
        let r = self.r as f64;
        (self.lora_alpha / if self.use_rslora { r.sqrt() } else { r }) as f32
    }

    fn check(&self) -> Result<(), Error> {
        let error = |field, message: String| Err(Error::Lora { field, message });
        if self.r == 0 {
            return error("r", "found 0, expected at least 1".into());
        }
        if !self.lora_alpha.is_finite() || self.lora_alpha <= 0.0 {
            let found = self.lora_alpha;
            return error(
                "lora_alpha",
                format!("found {found}, expected a positive number"),
            );
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            let found = self.lora_dropout;
            return error("lora_dropout", format!("found {found}, expected 0 ≤ p < 1"));
        }
        Ok(())
    }
}

/// Whether a path ends with a target, as PEFT decides it.
fn selects(target: &str, module: &str) -> bool {
    module
        .strip_suffix(target)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Model {
    /// Adds fresh adapters, freezes all other parameters and trains the adapters.
    ///
    /// # Errors
    /// [`Error::Lora`] when a value is out of range, a target selects no layer, or the model
    /// already has adapters.
    pub fn add_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<(), Error> {
        self.attach(config, |name, shape| {
            let len = shape.iter().product();
            if name.ends_with(".lora_B.weight") {
                return Ok(vec![0.0; len]);
            }
            let (stream, bound) = (Stream::new(seed, name), (shape[1] as f64).powf(-0.5));
            Ok(stream.fill(len, |s, i| (bound * (2.0 * s.uniform(i) - 1.0)) as f32))
        })
    }

    /// Adds adapters whose parameters `values` gives by name and shape.
    pub(crate) fn attach(
        &mut self,
        config: &LoraConfig,
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, Error>,
    ) -> Result<(), Error> {
        config.check()?;
        if self.lora.is_some() {
            let message = "the model already has adapters; merge them first".into();
            return Err(Error::Lora {
                field: "r",
                message,
            });
        }
        let chosen = self.select(&config.target_modules)?;
        let mut made = Vec::new();
        for linear in &chosen {
            let module = format!("base_model.model.{}", self.module(linear));
            for (part, shape) in [("A", [config.r, linear.inp]), ("B", [linear.out, config.r])] {
                let name = format!("{module}.lora_{part}.weight");
                let values = values(&name, &shape)?;
                made.push(Param::new(name, shape.to_vec(), values, &self.device));
            }
        }
        self.set_trainable(|_| false);
        self.adapters = vec![None; self.params.len()];
        let (first, scale) = (self.params.len(), config.scale());
        for (i, linear) in chosen.iter().enumerate() {
            let (a, b) = (first + 2 * i, first + 2 * i + 1);
            self.adapters[linear.weight] = Some(Adapter { a, b, scale });
        }
        self.params.extend(made);
        self.lora = Some(config.clone());
        Ok(())
    }

    fn select(&self, targets: &TargetModules) -> Result<Vec<Linear>, Error> {
        let targets = match targets {
            TargetModules::One(all) if all == "all-linear" => return Ok(self.linears.clone()),
            TargetModules::One(name) => std::slice::from_ref(name),
            TargetModules::Many(names) => names,
        };
        let modules: Vec<String> = self.linears.iter().map(|l| self.module(l)).collect();
        let useless = targets
            .iter()
            .find(|t| !modules.iter().any(|m| selects(t, m)));
        if let Some(target) = useless
            .map(String::as_str)
            .or(targets.is_empty().then_some(""))
        {
            let mut ends: Vec<&str> = modules
                .iter()
                .filter_map(|m| m.rsplit('.').next())
                .collect();
            ends.sort_unstable();
            ends.dedup();
            let mut message = format!(
                "{target:?} selects no linear layer\n  help: use \"all-linear\" or ends of layer \
                 paths such as {}",
                ends.join(", ")
            );
            if target.ends_with("g_proj") {
                message += "; g_proj are the gates of attention \"nsa\", which this model does \
                            not have: choose it first";
            }
            return Err(Error::Lora {
                field: "target_modules",
                message,
            });
        }
        let wanted = |module: &String| targets.iter().any(|target| selects(target, module));
        let pairs = self.linears.iter().zip(&modules);
        Ok(pairs
            .filter(|(_, module)| wanted(module))
            .map(|(linear, _)| *linear)
            .collect())
    }

    /// The path of a linear layer in a `transformers` model in memory, which is what PEFT names.
    pub(crate) fn module(&self, linear: &Linear) -> String {
        let name = self.params[linear.weight]
            .name()
            .trim_end_matches(".weight");
        memory_name(self.config.family, name)
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

    /// Parameters of the adapters.
    pub(crate) fn adapter_params(&self) -> impl Iterator<Item = &Param> {
        self.params[self.base_params().count()..].iter()
    }
}

/// The name that `transformers` has in memory for a hub name.
fn memory_name(family: Family, name: &str) -> String {
    if !family.is_vision() {
        return name.to_string();
    }
    match name.strip_prefix("model.") {
        Some(rest) => format!("model.language_model.{rest}"),
        None => format!("model.{name}"),
    }
}
