//! How structure and parameters meet: layers hold indices into the model's flat list of
//! parameters, and [`Weights`] gives the tensors for one pass.

use burn::tensor::{Tensor, TensorData};
use percept_nn::{self as nn, Precision};

use crate::{Param, Stream};

/// Index into the model's parameters.
pub type Id = usize;

/// How a parameter starts when no checkpoint gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// From N(0, the range of the configuration).
    Normal,
    /// Zero, also where a checkpoint has no parameter of this kind.
    Gate,
}

/// A parameter to be made or read.
pub struct Spec {
    /// As `save_pretrained` writes it.
    pub name: String,
    /// As `save_pretrained` writes it.
    pub shape: Vec<usize>,
    /// Its values where no checkpoint gives them.
    pub init: Init,
    /// Whether the model computes with it; else it is read and written, and nothing trains it.
    pub used: bool,
}

/// The parameters of a model in the order of its structure, and which of them are linear layers.
#[derive(Default)]
pub struct Specs {
    /// In the order of the structure.
    pub params: Vec<Spec>,
    /// What adapters can be put on.
    pub linears: Vec<Linear>,
}

impl Specs {
    /// One more parameter; its index.
    pub fn add(&mut self, name: String, shape: &[usize], init: Init) -> Id {
        self.params.push(Spec {
            name,
            shape: shape.to_vec(),
            init,
            used: true,
        });
        self.params.len() - 1
    }

    /// Says that the model does not compute with the parameters from index `first` on.
    pub fn unused(&mut self, first: Id) {
        for spec in &mut self.params[first..] {
            spec.used = false;
        }
    }

    /// `name.weight [out, inp]` and, if asked, `name.bias [out]`.
    pub fn linear(&mut self, name: &str, inp: usize, out: usize, bias: bool) -> Linear {
        let weight = self.add(format!("{name}.weight"), &[out, inp], Init::Normal);
        let bias = bias.then(|| self.add(format!("{name}.bias"), &[out], Init::Zeros));
        self.push(weight, bias, inp, out)
    }

    /// `name.weight [out, inp]`, which starts at zero.
    pub fn gate(&mut self, name: &str, inp: usize, out: usize) -> Linear {
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
pub struct Linear {
    /// `[out, inp]`.
    pub weight: Id,
    /// `[out]`.
    pub bias: Option<Id>,
    /// Width of its input.
    pub inp: usize,
    /// Width of its output.
    pub out: usize,
}

/// LoRA: `scale · dropout(x) Aᵀ Bᵀ` is added to a linear layer.
#[derive(Debug, Clone, Copy)]
pub struct Adapter {
    /// `[r, inp]`.
    pub a: Id,
    /// `[out, r]`.
    pub b: Id,
    /// `lora_alpha / r`, or what stands for it.
    pub scale: f32,
}

/// Dropout on the input of adapters, for one step.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Chance that an element is dropped.
    pub rate: f32,
    /// Masks are a function of it, of the layer and of the element.
    pub seed: u64,
}

/// The parameters as tensors of one pass.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// In the order of [`Specs::params`], then those of adapters.
    pub params: &'a [Param],
    /// By the weight's index; shorter than `params`, or empty.
    pub adapters: &'a [Option<Adapter>],
    /// Whether trainable parameters are recorded by autodiff.
    pub track: bool,
    /// Of the products with activations.
    pub precision: Precision,
    /// On the input of adapters.
    pub dropout: Option<Dropout>,
}

impl Weights<'_> {
    /// A parameter of two or more dimensions, as `[first, product of the rest]`.
    ///
    /// # Panics
    /// When it is a vector.
    pub fn matrix(&self, id: Id) -> Tensor<2> {
        self.params[id].matrix(self.track)
    }

    /// A parameter of one dimension.
    ///
    /// # Panics
    /// When it is a matrix.
    pub fn vector(&self, id: Id) -> Tensor<1> {
        self.params[id].vector(self.track)
    }

    /// RMSNorm with this weight.
    pub fn rms_norm(&self, x: Tensor<2>, weight: Id, eps: f64) -> Tensor<2> {
        nn::rms_norm(x, self.vector(weight), eps)
    }

    /// `[T, inp]` → `[T, out]`.
    pub fn linear(&self, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
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
    pub fn swiglu_linear(&self, layer: &Linear, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        if layer.bias.is_some() || self.adapter(layer).is_some() {
            return self.linear(layer, nn::swiglu(gate, up));
        }
        let weight = self.matrix(layer.weight);
        nn::swiglu_linear(self.precision, gate, up, weight)
    }

    /// The output of a linear layer in three equal parts, each contiguous: three products with
    /// row ranges of the weight, so that the activations are never split.
    pub fn linear3(&self, layer: &Linear, x: Tensor<2>) -> [Tensor<2>; 3] {
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
