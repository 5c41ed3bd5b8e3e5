//! Whitening over the trained tokens of a batch, as REINFORCE++ does it.

/// Gives the masked `values` mean 0 and variance 1: `(x − mean) / sqrt(var + 1e-8)`, with the sample
/// variance (verl `masked_whiten`, its 1e-8). Other entries become 0, and so does a lone token.
pub(super) fn whiten(values: &mut [f64], mask: &[bool]) {
    let trained = || (0..mask.len()).filter(|&token| mask[token]);
    let count = trained().count() as f64;
    let Some(first) = trained().next().map(|token| values[token]) else {
        values.fill(0.0);
        return;
    };
    // Relative to the first value, so that equal values whiten to exactly 0.
    let mean = first + trained().map(|token| values[token] - first).sum::<f64>() / count;
    let squares: f64 = trained().map(|token| (values[token] - mean).powi(2)).sum();
    let scale = (squares / (count - 1.0).max(1.0) + 1e-8).sqrt();
    for (value, &trained) in values.iter_mut().zip(mask) {
        *value = if trained {
            (*value - mean) / scale
        } else {
            0.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_equal_values_are_not_blown_up() {
        let mut values = [0.0, 1e-4, 7.0];
        whiten(&mut values, &[true, true, false]);
        let expected = 5e-5 / (5e-9f64 + 1e-8).sqrt();
        assert!((values[0] + expected).abs() < 1e-12 && (values[1] - expected).abs() < 1e-12);
        assert_eq!(values[2], 0.0);
    }

    #[test]
    fn a_lone_token_has_no_advantage() {
        let mut values = [3.0, 5.0];
        whiten(&mut values, &[false, true]);
        assert_eq!(values, [0.0, 0.0]);
    }
}
