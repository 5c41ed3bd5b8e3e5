//! Checks of options that several losses share.

use crate::{Error, error::require};

/// Refuses a β that is not a positive number.
pub(super) fn check_beta(beta: f64) -> Result<(), Error> {
    let ok = beta.is_finite() && beta > 0.0;
    require(
        ok,
        "preference.loss.beta",
        beta,
        "it must exceed 0; 0.1 is usual",
    )
}

/// Refuses a smoothing of half the labels or more, at which the preference is gone.
pub(super) fn check_label_smoothing(label_smoothing: f64) -> Result<(), Error> {
    require(
        (0.0..0.5).contains(&label_smoothing),
        "preference.loss.label_smoothing",
        label_smoothing,
        "it must be at least 0 and less than 0.5",
    )
}

/// Refuses weights of terms that are negative.
pub(super) fn check_weights(weights: &[(&'static str, f64)]) -> Result<(), Error> {
    for &(field, value) in weights {
        let ok = value.is_finite() && value >= 0.0;
        require(ok, field, value, "it must be at least 0")?;
    }
    Ok(())
}

/// Refuses numbers that are not finite.
pub(super) fn check_finite(values: &[(&'static str, f64)]) -> Result<(), Error> {
    for &(field, value) in values {
        require(value.is_finite(), field, value, "it must be finite")?;
    }
    Ok(())
}
