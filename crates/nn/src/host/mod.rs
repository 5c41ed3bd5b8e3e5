//! Decoding kernels on the host: plain f32 slices, no tensors.
//!
//! The sampler runs here. Everything is batch-invariant and deterministic: what a row becomes does not depend on the
//! rows beside it, on the number of threads, or on the instruction set (AVX-512, AVX2, or plain Rust).

pub(crate) mod attention;
pub(crate) mod grid;
mod int8;
pub(crate) mod kv;
mod linear;
pub(crate) mod lines;
mod masses;
mod product;
mod rows;
pub(crate) mod simd;
mod spread;
mod weights;

pub use attention::attend;
pub use int8::Int8Linear;
pub use kv::{BLOCK, KvCache, KvCounter, KvShape};
pub use linear::{LinearPart, PackedLinear, Threads};
pub use masses::Mass;
pub(crate) use rows::rms_norm_into;
pub use rows::{add_rms_norm_rows, rms_norm_heads, rms_norm_rows, rotary_rows, swiglu_rows};
pub use weights::{Linear, WeightDtype};

#[cfg(test)]
pub(crate) mod testing {
    /// Numbers in −1..1 that depend on `seed` alone.
    pub(crate) fn values(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03;
        (0..n)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

    /// Largest difference relative to the largest expected value.
    pub(crate) fn close(values: &[f32], expected: &[f64], tolerance: f64) {
        assert_eq!(values.len(), expected.len());
        let largest = expected.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
        for (i, (a, b)) in values.iter().zip(expected).enumerate() {
            assert!(
                (f64::from(*a) - b).abs() <= tolerance * largest,
                "{i}: {a} instead of {b}"
            );
        }
    }
}
