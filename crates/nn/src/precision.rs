//! Products with weights, and in what numbers they are computed.

use std::sync::{Mutex, OnceLock};

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host_op::{Constant, Input, run};
use crate::kernels::gated::GatedLinear;
use crate::kernels::linear::Linear;
use crate::kernels::log_prob::{LogProb, Second};
use crate::kernels::pointwise::SwiGlu;
use crate::ops::{check_rows, has_kernel};
use crate::{Error, reference, tiled};

/// Log-probability and entropy at each row of the loss.
#[derive(Debug, Clone)]
pub struct TokenStats {
    /// `[N]` natural logarithm of the target's probability.
    pub log_prob: Tensor<1>,
    /// `[N]` entropy of the distribution, in nats.
    pub entropy: Tensor<1>,
}

/// In what numbers activations are multiplied with weights, forward and backward. Values, sums,
/// weights and gradients are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Precision {
    /// 24 bits of mantissa.
    #[default]
    #[serde(rename = "float32")]
    F32,
    /// Factors rounded to bfloat16 (8 bits of mantissa), as `torch.autocast` does it. Where the
    /// processor cannot, f32; ask for it by [`Precision::bf16`].
    #[serde(rename = "bfloat16")]
    Bf16,
}

impl Precision {
    /// bfloat16.
    ///
    /// # Errors
    /// As [`Precision::checked`].
    pub fn bf16() -> Result<Self, Error> {
        Self::Bf16.checked()
    }

    /// Itself, where this machine has it.
    ///
    /// # Errors
    /// [`Error::Bf16`] for bfloat16 without instructions for it (AVX-512 BF16, or AMX on Linux).
    pub fn checked(self) -> Result<Self, Error> {
        match self == Self::F32 || crate::gemm::has_bf16() {
            true => Ok(self),
            false => Err(Error::Bf16),
        }
    }

    /// `x · weightᵀ + bias`: `[T, I]`, `[O, I]` as checkpoints store it, `[O]`.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn linear(self, x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let ([rows, inputs], [outputs, weight_inputs]) = (x.dims(), weight.dims());
        assert_eq!(
            weight_inputs,
            inputs,
            "linear: x {:?}, weight {:?}",
            x.dims(),
            weight.dims()
        );
        if let Some(bias) = &bias {
            assert_eq!(
                bias.dims(),
                [outputs],
                "linear: bias of weight {:?}",
                weight.dims()
            );
        }
        if !has_kernel(&x) {
            return reference::linear(x, weight, bias);
        }
        let bias = bias.map_or_else(Input::none, Input::from);
        run(
            [x.into(), weight.into(), bias],
            Linear {
                rows,
                inputs,
                outputs,
                precision: self,
            },
        )
    }

    /// [`linear`](Precision::linear) of [`swiglu`](crate::swiglu) without a bias: `gate` and `up`
    /// `[T, I]`, `weight` `[O, I]`. Their product, which the gradient of the weight needs, is not kept
    /// for the backward pass but computed again.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn swiglu_linear(self, gate: Tensor<2>, up: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
        let ([rows, width], [outputs, inputs]) = (gate.dims(), weight.dims());
        assert!(
            up.dims() == [rows, width] && width == inputs,
            "swiglu_linear: gate {:?}, up {:?}, weight {:?}",
            gate.dims(),
            up.dims(),
            weight.dims()
        );
        if !has_kernel(&gate) {
            return reference::linear(reference::swiglu(gate, up), weight, None);
        }
        let op = GatedLinear {
            product: SwiGlu { rows, width },
            linear: Linear {
                rows,
                inputs,
                outputs,
                precision: self,
            },
        };
        run([gate.into(), up.into(), weight.into()], op)
    }

    /// Log-probability of `targets` and entropy under `softmax(hidden · weightᵀ / temperature)`:
    /// `hidden` `[N, H]`, `weight` `[V, H]`. Gradients flow from both results. An array `[N, V]` is
    /// never kept: the backward pass computes the logits again, chunk by chunk.
    ///
    /// # Panics
    /// When the shapes do not fit, a target is not in the vocabulary, or the temperature is not
    /// positive.
    pub fn linear_log_prob(
        self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        targets: &[u32],
        temperature: f32,
    ) -> TokenStats {
        check_log_prob(&hidden, &weight, targets, temperature);
        if !has_kernel(&hidden) {
            return tiled::linear_log_prob(hidden, weight, targets, temperature);
        }
        stats(&self.log_prob(hidden, weight, targets, temperature, None))
    }

    /// [`Precision::linear_log_prob`] with the divergence from a second distribution over the whole
    /// vocabulary, `KL(p ‖ q) = Σ p·(log p − log q)` in nats, `[N]`: `p` is the distribution of
    /// `hidden` and `weight`, `q` that of `second`, the hidden states `[N, H₂]` and head `[V, H₂]` of a
    /// frozen model at the same temperature. Gradients flow to `hidden` and `weight`; the second model
    /// gets none. Seen from `p`, the model in training, it is the reverse divergence, which TRL's
    /// `kl_penalty = "full"` takes too.
    ///
    /// # Panics
    /// As [`Precision::linear_log_prob`], and when the shapes of `second` do not fit.
    pub fn linear_log_prob_kl(
        self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        targets: &[u32],
        temperature: f32,
        second: [Tensor<2>; 2],
    ) -> (TokenStats, Tensor<1>) {
        check_log_prob(&hidden, &weight, targets, temperature);
        let [second_hidden, second_weight] = second.map(|x| x.inner());
        check_log_prob(&second_hidden, &second_weight, targets, temperature);
        assert_eq!(
            weight.dims()[0],
            second_weight.dims()[0],
            "linear_log_prob_kl: vocabularies"
        );
        if !has_kernel(&hidden) {
            let second = [second_hidden, second_weight];
            let kl = reference::linear_kl(hidden.clone(), weight.clone(), second, temperature);
            let stats = reference::linear_log_prob(hidden, weight, targets, temperature);
            return (stats, kl);
        }
        let second = Second {
            width: second_hidden.dims()[1],
            hidden: Constant::new(second_hidden),
            weight: Constant::new(second_weight),
            log_z: OnceLock::new(),
        };
        let all = self.log_prob(hidden, weight, targets, temperature, Some(second));
        (stats(&all), all.narrow(0, 2, 1).squeeze_dim(0))
    }

    /// `[2, N]`, or `[3, N]` with a second distribution.
    fn log_prob(
        self,
        hidden: Tensor<2>,
        weight: Tensor<2>,
        targets: &[u32],
        temperature: f32,
        second: Option<Second>,
    ) -> Tensor<2> {
        let [vocabulary, width] = weight.dims();
        let op = LogProb {
            width,
            vocabulary,
            targets: targets.to_vec(),
            temperature,
            precision: self,
            second,
            log_z: OnceLock::new(),
            recorded: hidden.is_tracked() || weight.is_tracked(),
            kept: Mutex::default(),
        };
        run([hidden.into(), weight.into(), Input::none()], op)
    }
}

fn check_log_prob(hidden: &Tensor<2>, weight: &Tensor<2>, targets: &[u32], temperature: f32) {
    let ([rows, width], [vocabulary, weight_width]) = (hidden.dims(), weight.dims());
    assert_eq!(
        width, weight_width,
        "linear_log_prob: widths of hidden and weight"
    );
    assert_eq!(rows, targets.len(), "linear_log_prob: rows and targets");
    assert!(
        temperature > 0.0,
        "linear_log_prob: temperature {temperature}"
    );
    check_rows("linear_log_prob", targets, vocabulary);
}

/// The first two rows.
fn stats(rows: &Tensor<2>) -> TokenStats {
    TokenStats {
        log_prob: rows.clone().narrow(0, 0, 1).squeeze_dim(0),
        entropy: rows.clone().narrow(0, 1, 1).squeeze_dim(0),
    }
}

/// [`Precision::linear`] in f32.
///
/// # Panics
/// As there.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    Precision::F32.linear(x, weight, bias)
}

/// [`Precision::linear_log_prob_kl`] in f32.
///
/// # Panics
/// As there.
pub fn linear_log_prob_kl(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
    second: [Tensor<2>; 2],
) -> (TokenStats, Tensor<1>) {
    Precision::F32.linear_log_prob_kl(hidden, weight, targets, temperature, second)
}

/// [`Precision::linear_log_prob`] in f32.
///
/// # Panics
/// As there.
pub fn linear_log_prob(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: &[u32],
    temperature: f32,
) -> TokenStats {
    Precision::F32.linear_log_prob(hidden, weight, targets, temperature)
}
