//! How structure and parameters meet: layers hold indices into the model's flat list of
//! parameters, and [`Weights`] gives the tensors for one pass.

use burn::tensor::{Tensor, TensorData};
use percept_nn::{self as nn, Precision};

use crate::Param;
use crate::weights::random::Stream;

/// Index into the model's parameters.
pub(crate) type Id = usize;

/// How a parameter starts when no checkpoint gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Init {
    Zeros,
    Ones,
    Normal,
    /// Zero, also where a checkpoint has no parameter of this kind.
    Gate,
}

/// A parameter to be made or read.
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) init: Init,
}

/// The parameters of a model in the order of its structure, and which of them are linear layers.
#[derive(Default)]
pub(crate) struct Specs {
    pub(crate) params: Vec<Spec>,
    pub(crate) linears: Vec<Linear>,
}

impl Specs {
    pub(crate) fn add(&mut self, name: String, shape: &[usize], init: Init) -> Id {
        self.params.push(Spec {
            name,
            shape: shape.to_vec(),
            init,
        });
        self.params.len() - 1
    }

    /// `name.weight [out, inp]` and, if asked, `name.bias [out]`.
    pub(crate) fn linear(&mut self, name: &str, inp: usize, out: usize, bias: bool) -> Linear {
        let weight = self.add(format!("{name}.weight"), &[out, inp], Init::Normal);
        let bias = bias.then(|| self.add(format!("{name}.bias"), &[out], Init::Zeros));
        self.push(weight, bias, inp, out)
    }

    /// `name.weight [out, inp]`, which starts at zero.
    pub(crate) fn gate(&mut self, name: &str, inp: usize, out: usize) -> Linear {
        let weight = self.add(format!("{name}.weight"), &[out, inp], Init::Gate);
        self.push(weight, None, inp, out)
    }

    fn push(&mut self, weight: Id, bias: Option<Id>, inp: usize, out: usize) -> Linear {
        let linear = Linear {
            weight,
            bias,
            inp,
            out,
        };
        self.linears.push(linear);
        linear
    }
}

/// `x Wᵀ + b`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear {
    pub(crate) weight: Id,
    pub(crate) bias: Option<Id>,
    pub(crate) inp: usize,
    pub(crate) out: usize,
}

/// LoRA: `scale · dropout(x) Aᵀ Bᵀ` is added to a linear layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adapter {
    /// `[r, inp]`.
    pub(crate) a: Id,
    /// `[out, r]`.
    pub(crate) b: Id,
    pub(crate) scale: f32,
}

/// Dropout on the input of adapters, for one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    pub(crate) rate: f32,
    pub(crate) seed: u64,
}

/// The parameters as tensors of one pass.
pub(crate) struct Weights<'a> {
    pub(crate) params: &'a [Param],
    /// By the weight's index; shorter than `params`, or empty.
    pub(crate) adapters: &'a [Option<Adapter>],
    /// Whether trainable parameters are recorded by autodiff.
    pub(crate) track: bool,
    pub(crate) precision: Precision,
    pub(crate) dropout: Option<Dropout>,
}

impl Weights<'_> {
    pub(crate) fn matrix(&self, id: Id) -> Tensor<2> {
        self.params[id].matrix(self.track)
    }

    pub(crate) fn vector(&self, id: Id) -> Tensor<1> {
        self.params[id].vector(self.track)
    }

    pub(crate) fn rms_norm(&self, x: Tensor<2>, weight: Id, eps: f64) -> Tensor<2> {
        nn::rms_norm(x, self.vector(weight), eps)
    }

    /// `[T, inp]` → `[T, out]`.
    pub(crate) fn linear(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        let bias = layer.bias.map(|id| self.vector(id));
        let Some(adapter) = self.adapter(layer) else {
            return nn::linear_in(self.precision, x, self.matrix(layer.weight), bias);
        };
        let low = self.low_rank(&adapter, x.clone());
        nn::linear_in(self.precision, x, self.matrix(layer.weight), bias)
            + nn::linear_in(self.precision, low, self.matrix(adapter.b), None)
    }

    /// A linear layer of `silu(gate)·up`, whose product is computed again in the backward pass where
    /// the layer is nothing but its weight.
    pub(crate) fn swiglu_linear(
        &self,
        layer: &Linear,
        gate: Tensor<2>,
        up: Tensor<2>,
    ) -> Tensor<2> {
        if layer.bias.is_some() || self.adapter(layer).is_some() {
            return self.linear(layer, nn::swiglu(gate, up));
        }
        let weight = self.matrix(layer.weight);
        nn::swiglu_linear(self.precision, gate, up, weight)
    }

    /// The output of a linear layer in three equal parts, each contiguous: three products with
    /// row ranges of the weight, so that the activations are never split.
    pub(crate) fn linear3(&self, layer: &Linear, x: Tensor<2>) -> [Tensor<2>; 3] {
        let (weight, part) = (self.matrix(layer.weight), layer.out / 3);
        let bias = layer.bias.map(|id| self.vector(id));
        let low = self
            .adapter(layer)
            .map(|adapter| (self.low_rank(&adapter, x.clone()), self.matrix(adapter.b)));
        std::array::from_fn(|i| {
            let rows = i * part..(i + 1) * part;
            let bias = bias.clone().map(|b| b.slice([rows.clone()]));
            let weight = weight.clone().slice([rows.clone()]);
            let y = nn::linear_in(self.precision, x.clone(), weight, bias);
            match &low {
                None => y,
                Some((low, b)) => {
                    let b = b.clone().slice([rows]);
                    y + nn::linear_in(self.precision, low.clone(), b, None)
                }
            }
        })
    }

    fn adapter(&self, layer: &Linear) -> Option<Adapter> {
        self.adapters.get(layer.weight).copied().flatten()
    }

    fn low_rank(&self, adapter: &Adapter, x: Tensor<2>) -> Tensor<2> {
        let x = match self.dropout {
            None => x,
            Some(dropout) => self.drop(dropout, self.params[adapter.a].name(), x),
        };
        nn::linear_in(self.precision, x, self.matrix(adapter.a), None) * adapter.scale
    }

    fn drop(&self, dropout: Dropout, name: &str, x: Tensor<2>) -> Tensor<2> {
        let (stream, keep) = (Stream::new(dropout.seed, name), 1.0 - dropout.rate);
        let [rows, columns] = x.dims();
        let mask = stream.fill(rows * columns, |stream, i| {
            if stream.uniform(i) < f64::from(keep) {
                1.0 / keep
            } else {
                0.0
            }
        });
        let mask = TensorData::new(mask, [rows, columns]);
        let device = x.device().inner();
        x * Tensor::from_data(mask, &device)
    }
}
