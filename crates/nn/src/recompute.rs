//! Gradient checkpointing of one function (arXiv 1604.06174): its backward pass keeps the inputs
//! and computes the function once more.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{Device, Tensor};

type Function<const D: usize, const N: usize> = dyn Fn([Tensor<D>; N]) -> Tensor<D> + Send + Sync;

/// `f(inputs)`, of which autodiff keeps nothing but the inputs. `f` must be a function of its
/// arguments alone: what it captures has no gradient.
pub(crate) fn recomputed<const D: usize, const N: usize>(
    inputs: [Tensor<D>; N],
    f: impl Fn([Tensor<D>; N]) -> Tensor<D> + Send + Sync + 'static,
) -> Tensor<D> {
    if !inputs.iter().any(Tensor::is_tracked) {
        return f(inputs);
    }
    match inputs[0].device().inner() == Device::flex() {
        true => record::<Flex, D, N>(inputs, Arc::new(f)),
        #[cfg(any(
            feature = "cuda",
            feature = "rocm",
            feature = "metal",
            feature = "vulkan",
            feature = "wgpu"
        ))]
        false => record::<burn::backend::Cube, D, N>(inputs, Arc::new(f)),
        #[cfg(not(any(
            feature = "cuda",
            feature = "rocm",
            feature = "metal",
            feature = "vulkan",
            feature = "wgpu"
        )))]
        false => f(inputs),
    }
}

const KNOWN: &str = "the backend was looked at, and operators compute in floats";

fn record<B: Backend, const D: usize, const N: usize>(
    inputs: [Tensor<D>; N],
    f: Arc<Function<D, N>>,
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let mut primitives = Vec::with_capacity(N);
    let nodes = inputs.map(|input| {
        let tensor = input.autodiff();
        let tensor = tensor.try_into_primitive::<Autodiff<B>>().expect(KNOWN);
        let (primitive, node) = tensor.into_parts();
        primitives.push(primitive);
        node
    });
    let plain = |primitive: &FloatTensor<B>| Tensor::from_primitive::<B>(primitive.clone());
    let arguments: Vec<Tensor<D>> = primitives.iter().map(plain).collect();
    let output = call(&f, arguments);
    let output = output.try_into_primitive::<B>().expect(KNOWN);
    let step = Recompute::<D, N>.prepare::<NoCheckpointing>(nodes);
    let output = match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(Saved { primitives, f }, output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

fn call<const D: usize, const N: usize>(
    f: &Arc<Function<D, N>>,
    arguments: Vec<Tensor<D>>,
) -> Tensor<D> {
    let arguments: Result<[Tensor<D>; N], _> = arguments.try_into();
    f(arguments.expect("one argument for each input"))
}

struct Saved<B: Backend, const D: usize, const N: usize> {
    primitives: Vec<FloatTensor<B>>,
    f: Arc<Function<D, N>>,
}

impl<B: Backend, const D: usize, const N: usize> Clone for Saved<B, D, N> {
    fn clone(&self) -> Self {
        Self {
            primitives: self.primitives.clone(),
            f: Arc::clone(&self.f),
        }
    }
}

impl<B: Backend, const D: usize, const N: usize> Debug for Saved<B, D, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.primitives).finish()
    }
}

#[derive(Debug)]
struct Recompute<const D: usize, const N: usize>;

impl<B: Backend, const D: usize, const N: usize> Backward<B, N> for Recompute<D, N>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Saved<B, D, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::<D>::from_primitive::<B>(gradients.consume::<B>(&ops.node));
        let Saved { primitives, f } = ops.state;
        let leaves: Vec<Tensor<D>> = primitives
            .into_iter()
            .zip(&ops.parents)
            .map(|(primitive, parent)| {
                let leaf = Tensor::from_primitive::<B>(primitive);
                match parent {
                    Some(_) => leaf.autodiff().require_grad(),
                    None => leaf,
                }
            })
            .collect();
        // A scalar with exactly the gradient that came.
        let mut found = (call(&f, leaves.clone()) * grad).sum().backward();
        for (leaf, parent) in leaves.into_iter().zip(ops.parents) {
            let Some((node, found)) = parent.zip(leaf.grad_remove(&mut found)) else {
                continue;
            };
            let found = found.try_into_primitive::<B>().expect(KNOWN);
            gradients.register::<B>(node.id, found);
        }
    }
}
