//! The model: parameters and structure.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use percept_kernels::decode::WeightDtype;
use percept_nn::Precision;
use percept_weights::{Dropout, Linear, Weights};
use serde_json::Value;

use crate::lora::attached::Lora;
use crate::text::model::TextModel;
use crate::vision::encoder::VisionEncoder;
use crate::vision::names::is_vision_param;
use crate::vision::tower::Tower;
use crate::{GradientCheckpointing, ModelConfig, Param};

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
/// let tokens = VisionTokens { image: 5, video: Some(6), start: Some(3), end: Some(4) };
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
    pub(crate) tower: Option<Arc<dyn Tower>>,
    pub(crate) device: Device,
    /// All linear layers but the head: what LoRA can adapt.
    pub(crate) linears: Vec<Linear>,
    pub(crate) lora: Option<Lora>,
    pub(crate) dropout: Option<Dropout>,
    pub(crate) precision: Precision,
    pub(crate) decoder_dtype: WeightDtype,
    pub(crate) source: Option<PathBuf>,
    /// The content of generation_config.json.
    pub(crate) generation_config: Option<Value>,
}

impl Model {
    /// Shapes and options.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The data type in which activations are multiplied with weights; f32 after loading.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The data type in which a [`Decoder`](crate::Decoder) keeps its weights; f32 after loading.
    pub fn decoder_dtype(&self) -> WeightDtype {
        self.decoder_dtype
    }

    /// Changes [`Model::decoder_dtype`] for decoders that are made from now on.
    pub fn set_decoder_dtype(&mut self, dtype: impl Into<WeightDtype>) {
        self.decoder_dtype = dtype.into();
    }

    /// Changes [`Model::precision`]. Decoders have a [data type](Model::set_decoder_dtype) of their own.
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

    /// Stops training the vision tower, its merger or projector, and their adapters.
    pub fn freeze_vision(&mut self) {
        for param in &mut self.params {
            if is_vision_param(param.name()) {
                param.set_trainable(false);
            }
        }
    }

    /// The output head, `[vocabulary, hidden]`; the embedding table when tied.
    pub fn lm_head(&self) -> Tensor<2> {
        self.params[self.text.lm_head].matrix(true)
    }

    /// Numbers that the vision tower, when it is trained, keeps for the backward pass, per token of an image in the decoder;
    /// 0 for a text model.
    pub fn vision_activations(&self, checkpointing: GradientCheckpointing) -> f64 {
        self.tower
            .as_ref()
            .map_or(0.0, |tower| tower.activations(checkpointing))
    }

    pub(crate) fn weights(&self, track: bool) -> Weights<'_> {
        let params = &self.params;
        let adapters = self.lora.as_ref().map_or(&[][..], |lora| &lora.adapters);
        Weights {
            params,
            adapters,
            track,
            precision: self.precision,
            dropout: self.dropout,
        }
    }

    /// The vision tower with the weights of a pass; none for a text model.
    pub(crate) fn vision(&self, track: bool) -> Option<VisionEncoder<'_>> {
        self.tower.as_deref().map(|tower| VisionEncoder {
            tower,
            weights: self.weights(track),
            device: &self.device,
        })
    }
}
