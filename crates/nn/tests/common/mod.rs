//! Tensors of the tests.

#![allow(dead_code)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use percept_nn::{Layout, Span};

/// Deterministic values between −1 and 1.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// Values that autodiff tracks.
pub fn leaf<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    leaf_on(&Device::flex(), seed, shape)
}

/// Values without a gradient.
pub fn constant<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    constant_on(&Device::flex(), seed, shape)
}

/// [`leaf`] on a device.
pub fn leaf_on<const D: usize>(device: &Device, seed: u64, shape: [usize; D]) -> Tensor<D> {
    constant_on(device, seed, shape).autodiff().require_grad()
}

/// [`constant`] on a device.
pub fn constant_on<const D: usize>(device: &Device, seed: u64, shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values(seed, shape.iter().product()), shape);
    Tensor::from_data(data, device)
}

/// Differences up to `tolerance` of the largest expected value, or of 0.001 where that is less.
pub fn close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f32, |m, e| m.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{name}[{i}]: {f} for {e}"
        );
    }
}

/// Three texts, the last two behind a part of the first, and a text of one token.
pub fn layout() -> Arc<Layout> {
    let mut spans = vec![Span::alone(0, 203)];
    for (start, len) in [(203, 90), (293, 37)] {
        spans.push(Span {
            start,
            len,
            prefix_start: 0,
            prefix_len: 170,
        });
    }
    spans.push(Span::alone(330, 1));
    Arc::new(Layout::new(spans, 331).unwrap())
}

/// What `tools/operator_goldens.py` keeps of an array that PyTorch computed in float64.
#[derive(serde::Deserialize)]
pub struct Summary {
    len: usize,
    /// Largest absolute value.
    max: f64,
    /// Euclidean norm.
    norm: f64,
    /// Sums against `values(100)`, `values(101)`, …
    sums: Vec<f64>,
    /// Elements at equal distances, the first and the last among them.
    values: Vec<f64>,
}

impl Summary {
    /// Elements may differ by `tolerance` of the largest, and so may the norm and each sum of the norm:
    /// a sum has coefficients up to 1, so that rounding of all elements adds up to less.
    pub fn check(&self, name: &str, found: &[f32], tolerance: f64) {
        assert_eq!(found.len(), self.len, "{name}");
        let close = |what: &str, found: f64, expected: f64, scale: f64| {
            let off = (found - expected).abs();
            assert!(
                off <= tolerance * scale,
                "{name}, {what}: {found} for {expected}"
            );
        };
        let found: Vec<f64> = found.iter().map(|&x| f64::from(x)).collect();
        let largest = found.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        close("largest", largest, self.max, self.max);
        let norm = found.iter().map(|x| x * x).sum::<f64>().sqrt();
        close("norm", norm, self.norm, self.norm);
        for (seed, &expected) in (100..).zip(&self.sums) {
            let c = values(seed, found.len());
            let sum: f64 = found.iter().zip(c).map(|(x, c)| x * f64::from(c)).sum();
            close("sum", sum, expected, self.norm);
        }
        let last = self.values.len() - 1;
        for (index, &expected) in self.values.iter().enumerate() {
            let place = index * (found.len() - 1) / last;
            close("element", found[place], expected, self.max);
        }
    }
}
