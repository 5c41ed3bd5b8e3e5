//! A forward pass in parts, for backward passes that compute some of them again.

use burn::tensor::Tensor;

use crate::pass::gradients::{segment, send};
use crate::{GradientCheckpointing, Param, ParamGrads};

/// A part of a decoder or of a vision tower, by the index of its layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Layer(usize),
    /// Norm, attention and the sum with the part's input.
    Attention(usize),
    /// Norm, MLP and the sum with the part's input.
    Mlp(usize),
}

/// The parts of `layers` layers in order, and whether the backward pass finds their activations.
pub(crate) fn parts(
    checkpointing: GradientCheckpointing,
    layers: usize,
) -> impl Iterator<Item = (Part, bool)> {
    (0..layers).flat_map(move |layer| match checkpointing {
        GradientCheckpointing::Off => vec![(Part::Layer(layer), true)],
        GradientCheckpointing::Selective => {
            vec![(Part::Attention(layer), false), (Part::Mlp(layer), true)]
        }
        GradientCheckpointing::Full => vec![(Part::Layer(layer), false)],
    })
}

/// What was kept of a part.
struct Kept {
    part: Part,
    input: Tensor<2>,
    /// The output, where `input` and it are the ends of an autodiff graph; else all is computed again.
    output: Option<Tensor<2>>,
}

/// The parts that were computed, in order.
#[derive(Default)]
pub(crate) struct Tape(Vec<Kept>);

impl Tape {
    /// Runs all parts from `x` on: `run(part, tracked, x)` computes one of them. Returns the output,
    /// without autodiff.
    pub(crate) fn record(
        parts: impl Iterator<Item = (Part, bool)>,
        mut x: Tensor<2>,
        run: impl Fn(Part, bool, Tensor<2>) -> Tensor<2>,
    ) -> (Self, Tensor<2>) {
        let mut tape = Vec::new();
        for (part, keep) in parts {
            if !keep {
                tape.push(Kept {
                    part,
                    input: x.clone(),
                    output: None,
                });
                x = run(part, false, x);
                continue;
            }
            let input = x.autodiff().require_grad();
            let output = run(part, true, input.clone());
            x = output.clone().inner();
            tape.push(Kept {
                part,
                input,
                output: Some(output),
            });
        }
        (Self(tape), x)
    }

    /// Sends the gradient of the output back through all parts, from the last to the first; what was
    /// kept of each is given back on the way. Returns the gradient of the input.
    pub(crate) fn backward(
        self,
        params: &[Param],
        grads: &mut ParamGrads,
        mut dy: Option<Tensor<2>>,
        run: impl Fn(Part, Tensor<2>) -> Tensor<2>,
    ) -> Option<Tensor<2>> {
        for Kept {
            part,
            input,
            output,
        } in self.0.into_iter().rev()
        {
            dy = match output {
                None => segment(params, grads, input, dy?, |x| run(part, x)),
                Some(output) => send(params, grads, input, output, dy?),
            };
        }
        dy
    }
}
