//! The model: parameters, structure and the forward pass on the packed axis.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use percept_data::Patches;
use percept_nn as nn;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::layers::{Adapter, Dropout, Init, Linear, Spec, Specs, Weights};
use crate::random::Stream;
use crate::save::{MAX_SHARD_BYTES, sync_dir, write_json, write_weights};
use crate::text::{TextModel, TextPass};
use crate::vision::{VisionPass, VisionTower};
use crate::vision_plan::VisionPlan;
use crate::{
    Checkpoint, Error, LoadOptions, LoraConfig, ModelConfig, PackedBatch, Param, Prompt, SaveDtype,
};

/// A decoder with an optional vision tower and optional LoRA adapters.
///
/// All parameters are trainable after loading, as in `transformers`; see
/// [`Model::set_trainable`].
///
/// ```
/// use std::sync::Arc;
/// use percept_model::{Device, Error, Model, PackedBatch, TinyConfig, VisionTokens};
/// use percept_nn::Layout;
///
/// let tokens = VisionTokens { image: 5, video: 6, start: 3, end: 4 };
/// let model = Model::init(TinyConfig::default().config(60, tokens, 2, 0)?, 1, &Device::flex())?;
/// let batch = PackedBatch {
///     tokens: vec![10, 11, 12],
///     positions: vec![[0; 3], [1; 3], [2; 3]],
///     layout: Arc::new(Layout::packed(&[3])),
///     ..PackedBatch::default()
/// };
/// // `[tokens, hidden]`, then the gradients of their sum of squares.
/// assert_eq!(model.forward_no_grad(&batch)?.dims(), [3, 128]);
/// let (_, grads) =
///     model.forward_backward(&batch, false, |hidden| Ok::<_, Error>((hidden.square().sum(), ())))?;
/// assert!(grads.get(0).is_some(), "the embedding table");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) config: ModelConfig,
    pub(crate) params: Vec<Param>,
    pub(crate) text: TextModel,
    pub(crate) vision: Option<VisionTower>,
    pub(crate) device: Device,
    /// All linear layers but the head: what LoRA can adapt.
    pub(crate) linears: Vec<Linear>,
    /// By the index of the adapted weight.
    pub(crate) adapters: Vec<Option<Adapter>>,
    pub(crate) lora: Option<LoraConfig>,
    pub(crate) dropout: Option<Dropout>,
    pub(crate) source: Option<PathBuf>,
    generation_config: Option<Value>,
}

impl Model {
    /// Reads a Hugging Face checkpoint folder; weights become f32.
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
            // Rotary tables that libraries before 2024 stored with the weights.
            known.extend(
                buffers
                    .iter()
                    .map(String::as_str)
                    .filter(|n| n.ends_with(".inv_freq")),
            );
            checkpoint.check_no_others(&known)?;
            specs
                .par_iter()
                .map(|s| checkpoint.read(&s.name, &s.shape, options))
                .collect()
        })?;
        if tied && checkpoint.contains("lm_head.weight") {
            model.check_tied(&checkpoint, options)?;
        }
        let path = dir.join("generation_config.json");
        if path.exists() {
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            let json = serde_json::from_slice(&bytes);
            model.generation_config = Some(json.map_err(|source| Error::Json { path, source })?);
        }
        model.source = Some(dir.to_path_buf());
        Ok(model)
    }

    /// Makes a model with fresh weights: matrices from N(0, `initializer_range`), biases 0, norms
    /// 1. A weight depends on the seed, its name and its index alone.
    ///
    /// # Errors
    /// None today; the signature is that of [`Model::load`].
    pub fn init(config: ModelConfig, seed: u64, device: &Device) -> Result<Self, Error> {
        let std = config.text.initializer_range;
        Self::build(config, device, |specs| {
            let make = |spec: &Spec| {
                let len = spec.shape.iter().product();
                match spec.init {
                    Init::Zeros => vec![0.0; len],
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
        let text = TextModel::new(&config, &mut specs);
        let vision = config
            .vision
            .as_ref()
            .map(|vision| VisionTower::new(vision, &mut specs));
        let values = values(&specs.params)?;
        let params = specs.params.into_iter().zip(values);
        Ok(Self {
            params: params
                .map(|(spec, values)| Param::new(spec.name, spec.shape, values, &device))
                .collect(),
            config,
            text,
            vision,
            device,
            linears: specs.linears,
            adapters: Vec::new(),
            lora: None,
            dropout: None,
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
            file: "config.json".into(),
            field: "tie_word_embeddings".into(),
            message: "true, but the checkpoint stores an lm_head.weight that differs from the \
                      embedding table; set it to false to use that head"
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
        write_weights(dir, &params, dtype, MAX_SHARD_BYTES, &|param| {
            self.merged_values(param)
        })?;
        let generation = match &self.generation_config {
            Some(json) => json.clone(),
            None => json!({
                "bos_token_id": self.config.bos_token_id,
                "eos_token_id": self.config.eos_token_id,
            }),
        };
        write_json(&dir.join("generation_config.json"), &generation)?;
        sync_dir(dir)
    }

    /// Shapes and options.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All parameters, adapters last.
    pub fn parameters(&self) -> &[Param] {
        &self.params
    }

    /// All parameters, adapters last.
    pub fn parameters_mut(&mut self) -> &mut [Param] {
        &mut self.params
    }

    /// The parameter of a Hugging Face name.
    pub fn parameter(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name() == name)
    }

    /// Trains exactly the parameters whose name `choose` accepts.
    pub fn set_trainable(&mut self, choose: impl Fn(&str) -> bool) {
        for param in &mut self.params {
            let trainable = choose(param.name());
            param.set_trainable(trainable);
        }
    }

    /// Stops training the vision tower, its merger and their adapters.
    pub fn freeze_vision(&mut self) {
        for param in &mut self.params {
            if param.name().starts_with("visual.") || param.name().contains(".visual.") {
                param.set_trainable(false);
            }
        }
    }

    /// Hidden states after the final norm, `[tokens, hidden]`. Trainable parameters are recorded
    /// by autodiff.
    ///
    /// # Errors
    /// [`Error::Batch`] when the batch does not fit the model.
    pub fn forward(&self, batch: &PackedBatch) -> Result<Tensor<2>, Error> {
        self.run(batch, true)
    }

    /// [`Model::forward`] without autodiff.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_no_grad(&self, batch: &PackedBatch) -> Result<Tensor<2>, Error> {
        self.run(batch, false)
    }

    fn run(&self, batch: &PackedBatch, track: bool) -> Result<Tensor<2>, Error> {
        self.check(batch)?;
        let weights = self.weights(track);
        let pass = TextPass::new(&self.config.text, batch, &self.device);
        let plan = self.vision_plan(&batch.images, &batch.vision_index, batch.tokens.len())?;
        let rows = plan.map(|plan| self.encode(&weights, plan));
        let mut x = self.embed(&weights, &batch.tokens, rows, &batch.vision_index);
        for layer in 0..self.text.layers.len() {
            x = self.text.layer(layer, &weights, &pass, x);
        }
        Ok(self.text.norm(&weights, x))
    }

    /// The output head, `[vocabulary, hidden]`; the embedding table when tied.
    pub fn lm_head(&self) -> Tensor<2> {
        self.params[self.text.lm_head].matrix(true)
    }

    /// Input of the first layer for one prompt, `[tokens × hidden]` row-major, without autodiff:
    /// token rows, and merged vision rows in their places.
    ///
    /// # Errors
    /// [`Error::Batch`] when the prompt does not fit the model.
    pub fn embed_prompt(&self, prompt: &Prompt) -> Result<Vec<f32>, Error> {
        self.check_tokens(&prompt.tokens)?;
        let weights = self.weights(false);
        let plan = self.vision_plan(&prompt.vision, &prompt.vision_index, prompt.tokens.len())?;
        let rows = plan.map(|plan| self.encode(&weights, plan));
        let x = self.embed(&weights, &prompt.tokens, rows, &prompt.vision_index);
        Ok(x.into_data().try_into_vec().expect("hidden states are f32"))
    }

    /// Merged vision embeddings, `[merged tokens, hidden]`, in the order of the images' tokens.
    /// Trainable parameters are recorded by autodiff.
    ///
    /// # Errors
    /// [`Error::Batch`] when the model has no vision tower or an image does not fit it.
    pub fn vision_embeddings(&self, images: &[Arc<Patches>]) -> Result<Tensor<2>, Error> {
        let (config, _) = self.tower()?;
        let plan = VisionPlan::new(config, images)?;
        let rows = self.encode(&self.weights(true), plan);
        Ok(rows.rows.select(0, self.indices(&rows.sources)))
    }

    pub(crate) fn weights(&self, track: bool) -> Weights<'_> {
        let (params, adapters) = (&self.params, &self.adapters);
        Weights {
            params,
            adapters,
            track,
            dropout: self.dropout,
        }
    }

    pub(crate) fn tower(&self) -> Result<(&crate::VisionConfig, &VisionTower), Error> {
        match (&self.config.vision, &self.vision) {
            (Some(config), Some(tower)) => Ok((config, tower)),
            _ => {
                let architecture = self.config.family.architecture();
                let message = format!("{architecture} has no vision tower");
                Err(Error::batch("images", message))
            }
        }
    }

    pub(crate) fn vision_plan(
        &self,
        images: &[Arc<Patches>],
        index: &[u32],
        tokens: usize,
    ) -> Result<Option<VisionPlan>, Error> {
        let plan = match images.is_empty() {
            true => None,
            false => Some(VisionPlan::new(self.tower()?.0, images)?),
        };
        let merged = plan.as_ref().map_or(0, |plan| plan.sources.len());
        if merged != index.len() {
            let message = format!(
                "{} placeholder rows for {merged} merged vision tokens of {} images",
                index.len(),
                images.len()
            );
            return Err(Error::batch("vision_index", message));
        }
        let ascending = index.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || index.last().is_some_and(|&last| last as usize >= tokens) {
            let message = format!("must ascend and stay below the number of tokens, {tokens}");
            return Err(Error::batch("vision_index", message));
        }
        Ok(plan)
    }

    /// The whole tower: merged embeddings of all distinct images.
    fn encode(&self, weights: &Weights, plan: VisionPlan) -> Encoded {
        let (config, tower) = self.tower().expect("a plan is made with a tower");
        let mut pass = VisionPass::new(config, plan, &self.device);
        let mut x = tower.embed(weights, tower.pixels(&mut pass, &self.device));
        for block in 0..tower.blocks.len() {
            x = tower.block(block, weights, &pass, x);
        }
        Encoded::new(tower.merge(weights, x), &pass.plan)
    }

    /// Input of the first layer.
    pub(crate) fn embed(
        &self,
        weights: &Weights,
        tokens: &[u32],
        vision: Option<Encoded>,
        index: &[u32],
    ) -> Tensor<2> {
        let x = self.text.embed(weights, tokens);
        match vision {
            None => x,
            Some(vision) => vision.place(x, index),
        }
    }

    fn indices(&self, rows: &[u32]) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let len = rows.len();
        Tensor::from_data(TensorData::new(rows, [len]), &self.device)
    }

    pub(crate) fn check(&self, batch: &PackedBatch) -> Result<(), Error> {
        self.check_tokens(&batch.tokens)?;
        let tokens = batch.tokens.len();
        if batch.positions.len() != tokens {
            let message = format!("{} for {tokens} tokens", batch.positions.len());
            return Err(Error::batch("positions", message));
        }
        if batch.layout.len() != tokens {
            let message = format!("covers {} tokens of {tokens}", batch.layout.len());
            return Err(Error::batch("layout", message));
        }
        Ok(())
    }

    fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        let size = self.config.text.vocab_size;
        if tokens.is_empty() {
            return Err(Error::batch("tokens", "no token at all"));
        }
        match tokens.iter().position(|&token| token as usize >= size) {
            None => Ok(()),
            Some(row) => {
                let token = tokens[row];
                let message = format!(
                    "row {row} is {token}, not below vocab_size = {size}; tokenizer and model \
                     belong to different checkpoints?"
                );
                Err(Error::batch("tokens", message))
            }
        }
    }
}

/// Merged embeddings of distinct images, and where they go.
pub(crate) struct Encoded {
    pub(crate) rows: Tensor<2>,
    sources: Vec<u32>,
    distinct: bool,
}

impl Encoded {
    pub(crate) fn new(rows: Tensor<2>, plan: &VisionPlan) -> Self {
        Self {
            rows,
            sources: plan.sources.clone(),
            distinct: plan.distinct,
        }
    }

    /// Replaces row `index[i]` of `x` by the i-th merged token of the prompt's images.
    pub(crate) fn place(self, x: Tensor<2>, index: &[u32]) -> Tensor<2> {
        if !self.distinct {
            // A gather whose backward adds up what the occurrences of an image receive.
            let rows = nn::gather_rows(self.rows, &self.sources);
            return nn::scatter_rows(x, index, rows);
        }
        let mut targets = vec![0; index.len()];
        for (&source, &row) in self.sources.iter().zip(index) {
            targets[source as usize] = row;
        }
        nn::scatter_rows(x, &targets, self.rows)
    }
}
