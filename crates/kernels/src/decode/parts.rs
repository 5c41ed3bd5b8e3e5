//! Weights that become one product.

/// A weight `[outputs, inputs]`, its number of outputs, and its bias.
pub type LinearPart<'a> = (&'a [f32], usize, Option<&'a [f32]>);

/// Several weights one under the other.
pub(super) struct Stacked<'a> {
    /// The weights of each output.
    pub(super) rows: Vec<&'a [f32]>,
    /// Bias, or zeros, up to whole units of outputs.
    pub(super) bias: Vec<f32>,
    pub(super) outputs: usize,
}

impl<'a> Stacked<'a> {
    /// # Panics
    /// When a length does not fit its shape.
    pub(super) fn new(parts: &[LinearPart<'a>], inputs: usize, unit: usize) -> Self {
        let outputs = parts.iter().map(|part| part.1).sum::<usize>();
        let mut bias = vec![0.0; outputs.next_multiple_of(unit)];
        let mut rows: Vec<&[f32]> = Vec::with_capacity(outputs);
        for &(weight, count, part_bias) in parts {
            assert_eq!(
                weight.len(),
                count * inputs,
                "weight of {count} outputs and {inputs} inputs"
            );
            if let Some(values) = part_bias {
                assert_eq!(values.len(), count, "bias of {count} outputs");
                bias[rows.len()..rows.len() + count].copy_from_slice(values);
            }
            rows.extend((0..count).map(|i| &weight[i * inputs..(i + 1) * inputs]));
        }
        Self {
            rows,
            bias,
            outputs,
        }
    }
}
