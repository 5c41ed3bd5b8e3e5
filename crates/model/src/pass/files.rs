//! Models from and to checkpoint folders, and fresh ones.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::Device;
use percept_kernels::decode::WeightDtype;
use percept_nn::Precision;
use percept_weights::{
    Init, MAX_SHARD_BYTES, Spec, Specs, Stream, Written, check_memory, sync_dir, write_json,
    write_weights,
};
use rayon::prelude::*;
use serde_json::json;

use crate::names::file_name;
use crate::text::gates::gates;
use crate::text::model::TextModel;
use crate::vision::towers::tower;
use crate::{Checkpoint, Error, LoadOptions, Model, ModelConfig, Param, SaveDtype};

impl Model {
    /// Reads a Hugging Face checkpoint folder; weights become f32. Where `config.json` says NSA
    /// and no gates are stored, they are fresh.
    ///
    /// # Errors
    /// See [`ModelConfig::load`] and [`Checkpoint`]; a missing, misshapen or unknown tensor.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_with(dir, device, LoadOptions::default())
    }

    /// [`Model::load`] with options.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(dir: &Path, device: &Device, options: LoadOptions) -> Result<Self, Error> {
        let config = ModelConfig::load(dir)?;
        let checkpoint = Checkpoint::open(dir)?;
        let tied = config.tie_word_embeddings;
        let mut model = Self::build(config, device, |specs| {
            let mut known: BTreeSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            known.insert("lm_head.weight");
            let buffers: Vec<String> = checkpoint.names().map(str::to_string).collect();
            // Tables that libraries before 2024 stored with the weights: rotary ones, and CLIP's row numbers.
            let table = |n: &&str| n.ends_with(".inv_freq") || n.ends_with(".position_ids");
            known.extend(buffers.iter().map(String::as_str).filter(table));
            checkpoint.check_no_others(&known)?;
            let stored = |spec: &Spec| checkpoint.contains(&spec.name);
            let mut gates = specs.iter().filter(|spec| spec.init == Init::Gate);
            let fresh = !gates.any(stored);
            specs
                .par_iter()
                .map(|spec| match spec.init {
                    Init::Gate if fresh => Ok(vec![0.0; spec.shape.iter().product()]),
                    _ => Ok(checkpoint.read(&spec.name, &spec.shape, options)?),
                })
                .collect()
        })?;
        if tied && checkpoint.contains("lm_head.weight") {
            model.check_tied(&checkpoint, options)?;
        }
        let path = dir.join("generation_config.json");
        if path.exists() {
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            let json = serde_json::from_slice(&bytes);
            model.generation_config = Some(json.map_err(Error::json(&path))?);
        }
        model.source = Some(dir.to_path_buf());
        Ok(model)
    }

    /// Makes a model with fresh weights: matrices from N(0, `initializer_range`), biases and gates
    /// 0, norms 1. A weight depends on the seed, its name and its index alone.
    ///
    /// # Errors
    /// None today; the signature is that of [`Model::load`].
    pub fn init(config: ModelConfig, seed: u64, device: &Device) -> Result<Self, Error> {
        let std = config.text.initializer_range;
        Self::build(config, device, |specs| {
            let make = |spec: &Spec| {
                let len = spec.shape.iter().product();
                match spec.init {
                    Init::Zeros | Init::Gate => vec![0.0; len],
                    Init::Ones => vec![1.0; len],
                    Init::Normal => {
                        let stream = Stream::new(seed, &spec.name);
                        stream.fill(len, |stream, i| (std * stream.normal(i)) as f32)
                    }
                }
            };
            Ok(specs.iter().map(make).collect())
        })
    }

    fn build(
        config: ModelConfig,
        device: &Device,
        values: impl FnOnce(&[Spec]) -> Result<Vec<Vec<f32>>, Error>,
    ) -> Result<Self, Error> {
        let device = device.clone().inner();
        let mut specs = Specs::default();
        let mut text = TextModel::new(&config, &mut specs);
        let tower = config
            .vision
            .as_ref()
            .map(|vision| tower(vision, &mut specs));
        if config.attention.branches().is_some() {
            text.gates = gates(&config.text, &mut specs);
        }
        check_memory(&specs.params)?;
        let values = values(&specs.params)?;
        let params = specs.params.into_iter().zip(values);
        Ok(Self {
            params: params
                .map(|(spec, values)| {
                    Param::new(spec.name, spec.shape, values, &device).with_use(spec.used)
                })
                .collect(),
            config,
            text,
            tower,
            device,
            linears: specs.linears,
            lora: None,
            dropout: None,
            precision: Precision::F32,
            decoder_dtype: WeightDtype::F32,
            source: None,
            generation_config: None,
        })
    }

    fn check_tied(&self, checkpoint: &Checkpoint, options: LoadOptions) -> Result<(), Error> {
        let table = &self.params[self.text.embed_tokens];
        if checkpoint.read("lm_head.weight", table.shape(), options)? == table.to_vec() {
            return Ok(());
        }
        Err(Error::Config {
            file: checkpoint.dir().join("config.json").display().to_string(),
            field: "tie_word_embeddings".into(),
            message: "true, but the weights hold an lm_head.weight that differs from the embedding table; transformers \
                      would pass it over\n  help: set it to false to use that head, or remove the tensor to use the \
                      table"
                .into(),
        })
    }

    /// Writes `config.json`, weights and `generation_config.json` into an existing folder, synced
    /// to the disk. Adapters are merged into the weights that are written; the model keeps them.
    ///
    /// # Errors
    /// A file cannot be written; a weight does not fit into float16.
    pub fn save(&self, dir: &Path, dtype: SaveDtype) -> Result<(), Error> {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        self.config.save(dir, dtype)?;
        let params: Vec<&Param> = self.base_params().collect();
        write_weights(dir, &params, dtype, MAX_SHARD_BYTES, &Saved(self))?;
        let generation = match &self.generation_config {
            Some(json) => json.clone(),
            None => json!({
                "bos_token_id": self.config.bos_token_id,
                "eos_token_id": self.config.eos_token_id,
            }),
        };
        write_json(&dir.join("generation_config.json"), &generation)?;
        Ok(sync_dir(dir)?)
    }
}

/// A model's parameters as `save_pretrained` writes them, adapters added.
struct Saved<'m>(&'m Model);

impl Written for Saved<'_> {
    fn name(&self, param: &Param) -> String {
        file_name(self.0.config.family, param.name())
    }

    fn values(&self, param: &Param) -> Vec<f32> {
        self.0.merged_values(param)
    }
}
