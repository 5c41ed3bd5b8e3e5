//! Rows in parts, for operators that are computed part by part on devices without a kernel: of `[tokens, tokens]` and of
//! `[tokens, vocabulary]`, one part exists at a time.

use std::ops::Range;

/// Elements of one array of a part: 128 MiB. A part has to fill a graphics card, and several arrays
/// of its size exist at a time.
pub(super) const PART: usize = 1 << 25;

/// `0..rows` in parts of `part` rows.
pub(super) fn parts(rows: usize, part: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows)
        .step_by(part)
        .map(move |start| start..(start + part).min(rows))
}

#[cfg(test)]
pub(super) mod testing {
    use burn::tensor::{Device, Tensor, TensorData};

    use crate::tensors::to_vec;

    pub(crate) fn leaf<const D: usize>(seed: usize, shape: [usize; D]) -> Tensor<D> {
        let len = shape.iter().product();
        let values: Vec<f32> = (0..len)
            .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
            .autodiff()
            .require_grad()
    }

    /// `f(leaves)`, and the gradients of `Σ c·f(leaves)`.
    pub(crate) fn evaluate<const D: usize, const E: usize, const N: usize>(
        leaves: &[Tensor<D>; N],
        f: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    ) -> Vec<Vec<f32>> {
        let out = f(leaves.clone());
        let c = leaf(99, out.dims()).inner();
        let mut grads = (out.clone() * c).sum().backward();
        let mut all = vec![to_vec(&out)];
        all.extend(
            leaves
                .iter()
                .map(|leaf| to_vec(&leaf.grad_remove(&mut grads).unwrap())),
        );
        all
    }

    pub(crate) fn close(found: Vec<Vec<f32>>, expected: Vec<Vec<f32>>) {
        for (found, expected) in found.iter().zip(&expected) {
            let scale = expected.iter().fold(1e-2f32, |m, e| m.max(e.abs()));
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= 1e-5 * scale, "{f} for {e}");
            }
        }
    }
}
