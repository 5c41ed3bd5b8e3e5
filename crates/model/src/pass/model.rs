//! The model: parameters, structure and the forward pass on the packed axis.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use percept_kernels::decode::WeightDtype;
use percept_nn::Precision;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::text::gates::gates;
use crate::text::model::{TextModel, TextPass};
use crate::vision::embed::Encoded;
use crate::vision::qwen2vl::VisionTower;
use crate::weights::layers::{Adapter, Dropout, Init, Linear, Spec, Specs, Weights};
use crate::weights::random::Stream;
use crate::weights::save::{MAX_SHARD_BYTES, sync_dir, write_json, write_weights};
use crate::{
    Checkpoint, Error, LoadOptions, LoraConfig, ModelConfig, PackedBatch, Param, ParamGrads,
    PlacedImage, SaveDtype, SharedVision,
};

/// Refuses weights that this machine cannot hold, before anything is allocated.
fn fits(specs: &[Spec]) -> Result<(), Error> {
    let elements = specs
        .iter()
        .map(|spec| spec.shape.iter().map(|n| *n as f64).product::<f64>());
    let bytes = 4.0 * elements.sum::<f64>();
    let memory = memory();
    if bytes <= memory {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / (1u64 << 30) as f64;
    Err(Error::Config {
        file: "config.json".into(),
        field: "hidden_size, num_hidden_layers, vocab_size".into(),
        message: format!(
            "the weights take {:.1} GiB in float32, this machine has {:.1} GiB of memory and swap\n  help: a smaller \
             model, or a machine with more memory",
            gib(bytes),
            gib(memory)
        ),
    })
}

/// Memory and swap of the machine, in bytes; 2^50 where it does not say.
fn memory() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    match kib("MemTotal:") {
        Some(total) => 1024.0 * (total + kib("SwapTotal:").unwrap_or(0.0)),
        None => (1u64 << 50) as f64,
    }
}

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
    /// What parameters that are trained whole beside the adapters were before, by their index.
    pub(crate) originals: Vec<(usize, Param)>,
    pub(crate) dropout: Option<Dropout>,
    precision: Precision,
    decoder_dtype: WeightDtype,
    pub(crate) source: Option<PathBuf>,
    generation_config: Option<Value>,
}

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
            // Rotary tables that libraries before 2024 stored with the weights.
            known.extend(
                buffers
                    .iter()
                    .map(String::as_str)
                    .filter(|n| n.ends_with(".inv_freq")),
            );
            checkpoint.check_no_others(&known)?;
            let stored = |spec: &Spec| checkpoint.contains(&spec.name);
            let mut gates = specs.iter().filter(|spec| spec.init == Init::Gate);
            let fresh = !gates.any(stored);
            specs
                .par_iter()
                .map(|spec| match spec.init {
                    Init::Gate if fresh => Ok(vec![0.0; spec.shape.iter().product()]),
                    _ => checkpoint.read(&spec.name, &spec.shape, options),
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
            model.generation_config = Some(json.map_err(|source| Error::Json { path, source })?);
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
        let vision = config
            .vision
            .as_ref()
            .map(|vision| VisionTower::new(vision, &mut specs));
        if config.attention.branches().is_some() {
            text.gates = gates(&config.text, &mut specs);
        }
        fits(&specs.params)?;
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
            originals: Vec::new(),
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

    /// In what numbers activations are multiplied with weights; f32 after loading.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// In what numbers a [`Decoder`](crate::Decoder) keeps its weights; f32 after loading.
    pub fn decoder_dtype(&self) -> WeightDtype {
        self.decoder_dtype
    }

    /// Changes [`Model::decoder_dtype`] for decoders that are made from now on.
    pub fn set_decoder_dtype(&mut self, dtype: impl Into<WeightDtype>) {
        self.decoder_dtype = dtype.into();
    }

    /// Changes in what numbers activations are multiplied with weights. Decoders have a
    /// [numbers](Model::set_decoder_dtype) of their own.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
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
        self.pass(true, batch, &mut SharedVision::default())
    }

    /// [`Model::forward`] without autodiff.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_no_grad(&self, batch: &PackedBatch) -> Result<Tensor<2>, Error> {
        self.pass(false, batch, &mut SharedVision::default())
    }

    /// [`Model::forward_no_grad`] as one of several passes that show the same images. All must be
    /// without autodiff, and of this model.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn forward_no_grad_shared(
        &self,
        batch: &PackedBatch,
        shared: &mut SharedVision,
    ) -> Result<Tensor<2>, Error> {
        self.pass(false, batch, shared)
    }

    fn pass(
        &self,
        track: bool,
        batch: &PackedBatch,
        shared: &mut SharedVision,
    ) -> Result<Tensor<2>, Error> {
        let images = shared.divide(self.check(batch)?);
        let weights = self.weights(track);
        let own = shared.own(self, &images, |plan| Ok(self.encode(&weights, plan)))?;
        let own = own.map(|own| images.own_encoded(own));
        let others = shared.shared(self, &images, None)?;
        let hidden = self.run(&weights, batch, own.into_iter().chain(others).collect());
        shared.close(self, images, &mut ParamGrads::default());
        Ok(hidden)
    }

    /// The decoder, with rows of images in their places.
    pub(crate) fn run(
        &self,
        weights: &Weights,
        batch: &PackedBatch,
        vision: Vec<Encoded>,
    ) -> Tensor<2> {
        let pass = TextPass::new(&self.config, batch, &self.device);
        let mut x = self.embed(weights, &batch.tokens, Encoded::join(vision));
        for layer in 0..self.text.layers.len() {
            x = self.text.layer(layer, weights, &pass, x);
        }
        self.text.norm(weights, x)
    }

    /// The output head, `[vocabulary, hidden]`; the embedding table when tied.
    pub fn lm_head(&self) -> Tensor<2> {
        self.params[self.text.lm_head].matrix(true)
    }

    pub(crate) fn weights(&self, track: bool) -> Weights<'_> {
        let (params, adapters) = (&self.params, &self.adapters);
        Weights {
            params,
            adapters,
            track,
            precision: self.precision,
            dropout: self.dropout,
        }
    }

    /// The images of a batch that fits the model.
    pub(crate) fn check<'b>(&self, batch: &'b PackedBatch) -> Result<Vec<PlacedImage<'b>>, Error> {
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
        self.placed(&batch.images, &batch.vision_index, tokens)
    }

    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
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
