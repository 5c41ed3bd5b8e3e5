//! Losses of one number, the margin of a pair: value and derivative.

use super::math::{sigmoid, softplus};

/// `exp` of no more than this is taken, as TRL bounds it for f32.
pub(super) const EXP_BOUND: f64 = 80.0;

/// `max(0, 1 − x)`.
pub(super) fn hinge(x: f64) -> (f64, f64) {
    if x < 1.0 { (1.0 - x, -1.0) } else { (0.0, 0.0) }
}

/// `(δ − 1/(2β))²`.
pub(super) fn squared(delta: f64, beta: f64) -> (f64, f64) {
    let error = delta - 0.5 / beta;
    (error * error, 2.0 * error)
}

/// `(−(1 − ε) log σ(x) + ε log σ(−x)) / (1 − 2ε)`: unbiased when a share ε of labels is flipped.
pub(super) fn robust(x: f64, label_smoothing: f64) -> (f64, f64) {
    let (kept, flipped) = (1.0 - label_smoothing, label_smoothing);
    let scale = 1.0 / (1.0 - 2.0 * label_smoothing);
    let loss = kept * softplus(-x) - flipped * softplus(x);
    let slope = -kept * sigmoid(-x) - flipped * sigmoid(x);
    (scale * loss, scale * slope)
}

/// `KL(σ(±x) ‖ (1 − ε, ε))`.
pub(super) fn exo(x: f64, label_smoothing: f64) -> (f64, f64) {
    let (right, wrong) = (sigmoid(x), sigmoid(-x));
    let (log_right, log_wrong) = ((-label_smoothing).ln_1p(), label_smoothing.ln());
    let loss = right * (-softplus(-x) - log_right) + wrong * (-softplus(x) - log_wrong);
    (loss, right * wrong * (x - (log_right - log_wrong)))
}

/// `m e^−x − (1 − m) log σ(x)` with `m = σ(x/τ)`.
pub(super) fn discopop(x: f64, tau: f64) -> (f64, f64) {
    let (mix, rest) = (sigmoid(x / tau), sigmoid(-x / tau));
    let logistic = softplus(-x);
    // m e^−x as one exponential: e^−x alone overflows where m vanishes.
    let exponent = -x - softplus(-x / tau);
    let power = exponent.min(EXP_BOUND).exp();
    let inside = f64::from(exponent <= EXP_BOUND);
    let slope =
        -sigmoid(-x) * rest - logistic * mix * rest / tau + inside * power * (rest / tau - 1.0);
    (power + logistic * rest, slope)
}
