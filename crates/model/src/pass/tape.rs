//! A forward pass in parts, for backward passes that compute some of them again.

use burn::tensor::Tensor;
use percept_weights::{segment, send};

use crate::pass::part::Part;
use crate::{Param, ParamGrads};

/// A part that was computed, and what the backward pass finds of it.
struct TapeEntry {
    part: Part,
    input: Tensor<2>,
    /// The output, where `input` and it are the ends of an autodiff graph; else all is computed again.
    output: Option<Tensor<2>>,
}

/// The parts that were computed, in order.
#[derive(Default)]
pub(crate) struct Tape(Vec<TapeEntry>);

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
                tape.push(TapeEntry {
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
            tape.push(TapeEntry {
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
        for TapeEntry {
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
