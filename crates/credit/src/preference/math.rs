//! Logistic functions that stay finite for margins of any size.

/// `log(1 + e^x)`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + e^−x)`.
pub(super) fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    (if x >= 0.0 { 1.0 } else { small }) / (1.0 + small)
}

/// `−(1 − ε) log σ(x) − ε log σ(−x)` and its derivative: the logistic loss with label smoothing.
pub(super) fn logistic(x: f64, label_smoothing: f64) -> (f64, f64) {
    let loss = (1.0 - label_smoothing) * softplus(-x) + label_smoothing * softplus(x);
    let slope = label_smoothing * sigmoid(x) - (1.0 - label_smoothing) * sigmoid(-x);
    (loss, slope)
}

/// `log Σ e^x` and the softmax. Empty: −∞ and nothing.
pub(super) fn log_sum_exp(values: &[f64]) -> (f64, Vec<f64>) {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = values.iter().map(|value| (value - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let shares = powers.iter().map(|power| power / sum).collect();
    (top + sum.ln(), shares)
}
