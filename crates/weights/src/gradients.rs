//! Gradients of all parameters, and the backward pass that recomputes activations.

use burn::tensor::{Gradients, Tensor};

use crate::{Param, ParamTensor};

/// Gradients in the order of the parameters; `None` for a parameter that is frozen
/// or that the loss does not reach.
#[derive(Debug, Clone, Default)]
pub struct ParamGrads(Vec<Option<ParamTensor>>);

impl ParamGrads {
    /// No gradient yet, for `len` parameters.
    pub fn new(len: usize) -> Self {
        Self(vec![None; len])
    }

    /// Moves the gradients of `params` out of a backward pass and adds them to these.
    pub fn collect(&mut self, params: &[Param], gradients: &mut Gradients) {
        self.0.resize(params.len(), None);
        for (slot, param) in self.0.iter_mut().zip(params) {
            if let Some(found) = param.take_grad(gradients) {
                accumulate(slot, found);
            }
        }
    }

    /// Adds the gradients of another pass, as gradient accumulation does.
    pub fn add(&mut self, other: Self) {
        self.0.resize(self.0.len().max(other.0.len()), None);
        for (slot, found) in self.0.iter_mut().zip(other.0) {
            if let Some(found) = found {
                accumulate(slot, found);
            }
        }
    }

    /// The gradient of the parameter at an index.
    pub fn get(&self, index: usize) -> Option<&ParamTensor> {
        self.0.get(index)?.as_ref()
    }

    /// Removes the gradient of the parameter at an index.
    pub fn take(&mut self, index: usize) -> Option<ParamTensor> {
        self.0.get_mut(index)?.take()
    }

    /// Gradients in the order of the parameters.
    pub fn iter(&self) -> impl Iterator<Item = Option<&ParamTensor>> {
        self.0.iter().map(Option::as_ref)
    }
}

impl IntoIterator for ParamGrads {
    type Item = Option<ParamTensor>;
    type IntoIter = std::vec::IntoIter<Option<ParamTensor>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn accumulate(slot: &mut Option<ParamTensor>, found: ParamTensor) {
    *slot = Some(match slot.take() {
        None => found,
        Some(sum) => sum.plus(found),
    });
}

/// Recomputes `y = f(x)` with autodiff, sends `dy` back, collects the parameters' gradients and
/// returns `dx`.
pub fn segment(
    params: &[Param],
    grads: &mut ParamGrads,
    x: Tensor<2>,
    dy: Tensor<2>,
    f: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Option<Tensor<2>> {
    let x = x.autodiff().require_grad();
    let y = f(x.clone());
    send(params, grads, x, y, dy)
}

/// Sends `dy` back from `y` to `x`, collects the parameters' gradients and returns `dx`.
pub fn send(
    params: &[Param],
    grads: &mut ParamGrads,
    x: Tensor<2>,
    y: Tensor<2>,
    dy: Tensor<2>,
) -> Option<Tensor<2>> {
    let mut gradients = (y * dy).sum().backward();
    grads.collect(params, &mut gradients);
    x.grad_remove(&mut gradients)
}
