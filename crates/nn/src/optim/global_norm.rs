//! The norm that gradients are clipped by.

use burn::tensor::Tensor;
use percept_kernels::train::sum_of_squares;

use super::owned::{elements, host, nothing};
use crate::tensors::{has_kernel, to_vec};

/// Euclidean norm over all gradients. On the CPU added up in f64 in a fixed order, and none is
/// copied that nothing else holds; on other devices each is added up in f32, the sums in f64.
pub fn global_norm(gradients: &mut [Tensor<1>]) -> f64 {
    let mut sum = 0.0;
    let mut sums = Vec::new();
    for gradient in gradients {
        if !has_kernel(gradient) {
            sums.push(gradient.clone().square().sum());
            continue;
        }
        let values = elements(std::mem::replace(gradient, nothing()));
        sum += sum_of_squares(&values);
        *gradient = host(values);
    }
    if !sums.is_empty() {
        // One transfer for all.
        let sums = to_vec(&Tensor::cat(sums, 0));
        sum += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
    sum.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let norm = global_norm(&mut [host(vec![3.0]), host(vec![0.0, 4.0])]);
        assert!((norm - 5.0).abs() < 1e-12);
    }
}
