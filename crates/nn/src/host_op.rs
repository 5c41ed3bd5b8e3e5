//! One custom operation of Burn that carries any differentiable function of host arrays.
//!
//! A [`HostOp`] computes on f32 slices and knows its own backward. [`run`] puts it into Burn's
//! autodiff graph; the glue below exists once, so a kernel is one file of plain Rust.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind, Flex,
    TensorMetadata, backend_extension,
};
use burn::tensor::{Device, Tensor, TensorData};
use percept_kernels::train::HostArray;
use percept_kernels::{HostOp, INPUTS, Keep};

/// Burn backends that run a [`HostOp`].
#[backend_extension(Flex, Autodiff)]
pub trait HostOps: Backend {
    /// Runs the operation; a recorded one keeps `keep`.
    fn host_op(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        op: Arc<dyn HostOp>,
        keep: Keep,
    ) -> FloatTensor<Self>;
}

/// Backends whose tensors are host memory.
pub trait HostMemory: Backend {
    /// The tensor with its elements in row-major order.
    fn row_major(tensor: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The elements of a row-major tensor.
    fn elements(tensor: &FloatTensor<Self>) -> &[f32];
    /// A tensor of these elements.
    fn tensor(elements: Vec<f32>, shape: Vec<usize>) -> FloatTensor<Self>;
}

impl HostMemory for Flex {
    fn row_major(tensor: FlexTensor) -> FlexTensor {
        tensor.to_contiguous()
    }

    fn elements(tensor: &FlexTensor) -> &[f32] {
        tensor
            .as_slice()
            .expect("row_major made it contiguous; operators checked that it is f32")
    }

    fn tensor(elements: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(elements, shape))
    }
}

impl HostOps for Flex {
    fn host_op(
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        op: Arc<dyn HostOp>,
        _: Keep,
    ) -> FlexTensor {
        forward::<Flex>(&[a, b, c].map(Flex::row_major), op.as_ref())
    }
}

fn forward<B: HostMemory>(inputs: &[FloatTensor<B>; INPUTS], op: &dyn HostOp) -> FloatTensor<B> {
    let output = op.forward(inputs.each_ref().map(B::elements));
    B::tensor(output, op.shape())
}

impl<B: HostOps + HostMemory, C: CheckpointStrategy> HostOps for Autodiff<B, C> {
    fn host_op(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        op: Arc<dyn HostOp>,
        keep: Keep,
    ) -> FloatTensor<Self> {
        let [(a, node_a), (b, node_b), (c, node_c)] = [a, b, c].map(|t| t.into_parts());
        let nodes = [node_a, node_b, node_c];
        let inputs = [a, b, c].map(B::row_major);
        match HostBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = forward::<B>(&inputs, op.as_ref());
                let shapes = inputs.each_ref().map(|input| input.shape().to_vec());
                let [a, b, c] = inputs;
                let [keep_a, keep_b, keep_c] = keep.inputs;
                let inputs = [
                    keep_a.then_some(a),
                    keep_b.then_some(b),
                    keep_c.then_some(c),
                ];
                let kept = keep.output.then(|| output.clone());
                prepared.finish(
                    Saved {
                        inputs,
                        shapes,
                        output: kept,
                        op,
                    },
                    output,
                )
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward::<B>(&inputs, op.as_ref())),
        }
    }
}

/// What a recorded operation keeps; the arrays share memory with the tensors.
#[derive(Debug, Clone)]
struct Saved<B: Backend> {
    inputs: [Option<FloatTensor<B>>; INPUTS],
    shapes: [Vec<usize>; INPUTS],
    output: Option<FloatTensor<B>>,
    op: Arc<dyn HostOp>,
}

#[derive(Debug)]
struct HostBackward;

impl<B: HostMemory> Backward<B, INPUTS> for HostBackward {
    type State = Saved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, INPUTS>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let grad = B::row_major(gradients.consume::<B>(&ops.node));
        let Saved {
            inputs,
            shapes,
            output,
            op,
        } = ops.state;
        let found = op.backward(
            inputs
                .each_ref()
                .map(|kept| kept.as_ref().map_or(&[][..], B::elements)),
            output.as_ref().map_or(&[][..], B::elements),
            B::elements(&grad),
            ops.parents.each_ref().map(Option::is_some),
        );
        drop((inputs, output, grad));
        for ((node, shape), elements) in ops.parents.into_iter().zip(shapes).zip(found) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, B::tensor(elements, shape));
            }
        }
    }
}

/// An input of a [`HostOp`].
pub(crate) struct Input {
    tensor: DispatchTensor,
    tracked: bool,
}

impl Input {
    /// Stands for an input that an operation does not have.
    pub(crate) fn none() -> Self {
        Tensor::<1>::zeros([0], &Device::flex()).into()
    }
}

impl<const D: usize> From<Tensor<D>> for Input {
    fn from(tensor: Tensor<D>) -> Self {
        Self {
            tracked: tensor.is_tracked(),
            tensor: tensor.into_dispatch(),
        }
    }
}

/// An array that an operation reads beside its inputs and that has no gradient; shares memory with
/// its tensor.
#[derive(Debug, Clone)]
pub(crate) struct Constant(FlexTensor);

impl Constant {
    /// The values of a tensor, row-major.
    ///
    /// # Panics
    /// When the tensor is not one of the CPU backend.
    pub(crate) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        match tensor.inner().into_dispatch().kind {
            DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Self(Flex::row_major(tensor)),
            other => panic!("expected floats in host memory, found {other:?}"),
        }
    }
}

impl HostArray for Constant {
    fn elements(&self) -> &[f32] {
        Flex::elements(&self.0)
    }
}

/// Runs `op` on tensors of the CPU backend, inside autodiff or outside of it.
pub(crate) fn run<const D: usize>(inputs: [Input; INPUTS], op: impl HostOp + 'static) -> Tensor<D> {
    let keep = op.keep(inputs.each_ref().map(|input| input.tracked));
    let [a, b, c] = inputs.map(|input| input.tensor);
    Tensor::from_dispatch(Dispatch::host_op(a, b, c, Arc::new(op), keep))
}
