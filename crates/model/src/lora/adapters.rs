//! LoRA: low-rank adapters on linear layers (Hu et al. 2021, arXiv 2106.09685).
//!
//! `W x` becomes `W x + (lora_alpha / r) · B A dropout(x)` with `A [r, in]` from the Kaiming
//! uniform distribution (a = √5, so ±1/√in) and `B [out, r]` zero: an untrained adapter changes
//! nothing. Names and files are PEFT's.

use percept_weights::{Adapter, Dropout, Linear, Rules, Stream, lora_error};

use crate::lora::attached::Lora;
use crate::names::memory_name;
use crate::{Error, LoraConfig, Model, Param, ParamTensor};

impl Model {
    /// Adds fresh adapters, freezes all other parameters and trains the adapters.
    ///
    /// # Errors
    /// [`Error::Weights`] when a value is out of range, a target selects no layer, or the model
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
            return Err(lora_error("r", message).into());
        }
        let saved = self.saved(config)?;
        let mut made = Vec::new();
        let mut scales = Vec::new();
        for linear in chosen {
            let names = self.modules(linear);
            let (r, alpha) = rules.of(config, &names)?;
            let used = self.params[linear.weight].used();
            scales.push(config.scale(r, alpha));
            for (part, shape) in [("A", [r, linear.inp]), ("B", [linear.out, r])] {
                let name = format!("base_model.model.{}.lora_{part}.weight", names[0]);
                let values = values(&name, &shape)?;
                let param = Param::new(name, shape.to_vec(), values, &self.device);
                made.push(param.with_use(used));
            }
        }
        let mut whole = Vec::new();
        for &index in &saved {
            let param = &self.params[index];
            let (name, shape, used) = (
                param.name().to_owned(),
                param.shape().to_vec(),
                param.used(),
            );
            let values = values(&name, &shape)?;
            whole.push(Param::new(name, shape, values, &self.device).with_use(used));
        }
        self.set_trainable(|_| false);
        let mut lora = Lora {
            config: config.clone(),
            adapters: vec![None; self.params.len()],
            originals: Vec::new(),
        };
        let first = self.params.len();
        for (i, (linear, scale)) in chosen.iter().zip(scales).enumerate() {
            let (a, b) = (first + 2 * i, first + 2 * i + 1);
            lora.adapters[linear.weight] = Some(Adapter { a, b, scale });
        }
        for (index, param) in saved.into_iter().zip(whole) {
            let original = std::mem::replace(&mut self.params[index], param);
            lora.originals.push((index, original));
        }
        self.params.extend(made);
        self.lora = Some(lora);
        Ok(())
    }

    /// The adapters' configuration, when the model has any.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref().map(|lora| &lora.config)
    }

    /// Turns dropout on for the coming passes, with masks that depend on this seed, the layer and
    /// the element alone; `None` turns it off. Does nothing when `lora_dropout` is 0.
    pub fn set_dropout_seed(&mut self, seed: Option<u64>) {
        let rate = self.lora().map_or(0.0, |lora| lora.lora_dropout as f32);
        self.dropout = seed
            .filter(|_| rate > 0.0)
            .map(|seed| Dropout { rate, seed });
    }

    /// Adds the adapters to the weights and removes them. All parameters are trainable again.
    ///
    /// # Errors
    /// [`Error::Weights`] when the model has no adapters.
    pub fn merge_lora(&mut self) -> Result<(), Error> {
        let Some(lora) = &mut self.lora else {
            let message = "the model has no adapters to merge".into();
            return Err(lora_error("r", message).into());
        };
        // What was trained whole stays.
        lora.originals.clear();
        let adapters = lora.adapters.iter().enumerate();
        let adapted: Vec<usize> = adapters
            .filter_map(|(weight, adapter)| adapter.map(|_| weight))
            .collect();
        for weight in adapted {
            let merged = self.values_at(weight);
            self.params[weight].set(merged);
        }
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
        for (index, original) in self.lora.take().into_iter().flat_map(|lora| lora.originals) {
            self.params[index] = original;
        }
        self.dropout = None;
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
            Some(index) => self.values_at(index),
            None => param.to_vec(),
        }
    }

    /// Values of the parameter of an index with its adapter added, row-major.
    pub(crate) fn values_at(&self, index: usize) -> Vec<f32> {
        self.merged(index).into_vec()
    }

    fn merged(&self, index: usize) -> ParamTensor {
        let param = &self.params[index];
        let Some(adapter) = self.adapter(index) else {
            return param.value();
        };
        let (a, b) = (
            self.params[adapter.a].matrix(false),
            self.params[adapter.b].matrix(false),
        );
        ParamTensor::Matrix(param.matrix(false) + b.matmul(a) * adapter.scale)
    }

    /// The adapter of the weight of an index.
    pub(crate) fn adapter(&self, weight: usize) -> Option<Adapter> {
        let lora = self.lora.as_ref()?;
        lora.adapters.get(weight).copied().flatten()
    }

    /// Parameters of the model without its adapters.
    pub(crate) fn base_params(&self) -> impl Iterator<Item = &Param> {
        let lora = self.lora.as_ref();
        let count = lora.map_or(self.params.len(), |lora| lora.adapters.len());
        self.params[..count].iter()
    }

    /// Parameters of the adapters, and those that are trained whole, under PEFT's names.
    pub(crate) fn adapter_params(&self) -> Vec<Param> {
        let adapters = self.params[self.base_params().count()..].iter().cloned();
        let originals = self.lora.iter().flat_map(|lora| &lora.originals);
        let whole = originals.map(|(index, _)| {
            let param = &self.params[*index];
            let name = memory_name(self.config.family, param.name());
            param.renamed(format!("base_model.model.{name}"))
        });
        adapters.chain(whole).collect()
    }
}
