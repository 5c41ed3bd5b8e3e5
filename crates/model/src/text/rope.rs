//! Rotary position tables of the decoder.
//!
//! Frequencies and angles are computed in f32 in the order of `transformers`
//! (`modeling_rope_utils.py` 5.23), so that long positions agree to the last bits.

use rayon::prelude::*;

use crate::{RopeConfig, RopeScaling, TextConfig};

/// `1 / theta^(2i/dim)` for `i < dim/2`.
pub(crate) fn frequencies(theta: f64, dim: usize) -> Vec<f32> {
    (0..dim / 2)
        .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / dim as f32))
        .collect()
}

/// The `head_dim / 2` frequencies of a decoder, scaled as its configuration says.
pub(crate) fn scaled_frequencies(rope: &RopeConfig, head_dim: usize) -> Vec<f32> {
    let plain = frequencies(rope.theta, head_dim);
    match rope.scaling {
        RopeScaling::Default => plain,
        RopeScaling::Linear { factor } => plain.iter().map(|f| f / factor as f32).collect(),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings: original,
        } => {
            let (long, short) = (original / low_freq_factor, original / high_freq_factor);
            let scale = |f: f32| {
                let wavelength = f64::from(std::f32::consts::TAU / f);
                if wavelength < short {
                    return f;
                }
                let low = f / factor as f32;
                if wavelength > long {
                    return low;
                }
                let smooth = (original / wavelength - low_freq_factor)
                    / (high_freq_factor - low_freq_factor);
                (1.0 - smooth as f32) * low + smooth as f32 * f
            };
            plain.into_iter().map(scale).collect()
        }
    }
}

/// Cosines and sines, each `[tokens, head_dim]` row-major with both halves equal (the
/// rotate-half form), for `(t, h, w)` positions.
pub fn rotary_tables(config: &TextConfig, positions: &[[u32; 3]]) -> (Vec<f32>, Vec<f32>) {
    let half = config.head_dim / 2;
    let frequencies = scaled_frequencies(&config.rope, config.head_dim);
    let axis: Vec<usize> = match config.rope.mrope_section {
        None => vec![0; half],
        Some(section) => (0..3)
            .flat_map(|a| std::iter::repeat_n(a, section[a]))
            .collect(),
    };
    fill(config.head_dim, positions, |position, angles| {
        for i in 0..half {
            angles[i] = position[axis[i]] as f32 * frequencies[i];
        }
    })
}

/// Tables for rows whose `dim / 2` angles `angles_of` writes.
pub(crate) fn fill<P: Sync>(
    dim: usize,
    rows: &[P],
    angles_of: impl Fn(&P, &mut [f32]) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let half = dim / 2;
    let mut cos = vec![0.0; rows.len() * dim];
    let mut sin = vec![0.0; rows.len() * dim];
    cos.par_chunks_mut(dim)
        .zip(sin.par_chunks_mut(dim))
        .zip(rows.par_iter())
        .with_min_len(64)
        .for_each(|((cos, sin), row)| {
            angles_of(row, &mut cos[..half]);
            for i in 0..half {
                let (s, c) = cos[i].sin_cos();
                (cos[i], cos[half + i]) = (c, c);
                (sin[i], sin[half + i]) = (s, s);
            }
        });
    (cos, sin)
}
