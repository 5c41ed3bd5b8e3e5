//! What tests of several kernels share.

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
