//! How complex a picture is to the model that looks at it ([`percept_credit::Signals::visual_entropy`]).
//!
//! With the merged patch features of an image, `F` `[P, d]`, centred over its patches, and the
//! eigenvalues `λ` of their covariance: `H = −Σ p_k log p_k`, `p_k = λ_k / Σ λ`. Source: Durian,
//! arXiv 2602.21743, §3; that the features are those behind the patch merger is our reading.
//! Features come from the weights of the moment: a resumed run sees the same ones.

use std::sync::Arc;

use nalgebra::{DMatrix, SymmetricEigen};
use percept_data::Patches;
use percept_model::{Model, Prompt};

use crate::Error;

/// Visual entropy of each prompt, in nats: the mean over its images and videos, NaN where it has
/// none. A picture that several prompts share is looked at once.
pub(crate) fn of_prompts<'a>(
    model: &Model,
    prompts: impl IntoIterator<Item = &'a Prompt>,
) -> Result<Vec<f64>, Error> {
    let mut known: Vec<(&Patches, f64)> = Vec::new();
    let mut out = Vec::new();
    for prompt in prompts {
        let mut sum = 0.0;
        for image in &prompt.vision {
            let seen = known.iter().find(|(other, _)| other.same_picture(image));
            let entropy = match seen {
                Some((_, entropy)) => *entropy,
                None => {
                    let entropy = of_image(model, image)?;
                    known.push((image, entropy));
                    entropy
                }
            };
            sum += entropy;
        }
        out.push(sum / prompt.vision.len() as f64);
    }
    Ok(out)
}

fn of_image(model: &Model, image: &Arc<Patches>) -> Result<f64, Error> {
    let features = model
        .vision_embeddings(std::slice::from_ref(image))?
        .inner();
    let [rows, width] = features.dims();
    Ok(spectral_entropy(
        &percept_nn::to_vec(&features),
        rows,
        width,
    ))
}

/// Entropy of the normalised spectrum of the covariance of `features` `[rows, width]`: 0 for one
/// direction, `ln(min(rows − 1, width))` at most. 0 when all rows are equal.
fn spectral_entropy(features: &[f32], rows: usize, width: usize) -> f64 {
    let mut centred =
        DMatrix::from_row_iterator(rows, width, features.iter().map(|&x| f64::from(x)));
    for mut column in centred.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    // Both products have the same non-zero spectrum; their scale cancels.
    let product = match rows <= width {
        true => &centred * centred.transpose(),
        false => centred.transpose() * &centred,
    };
    let values = SymmetricEigen::new(product).eigenvalues;
    let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let shares = values.iter().map(|v| v.max(0.0) / total);
    shares.filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_directions_have_the_largest_entropy() {
        // Centred rows ±e1, ±e2: two equal eigenvalues.
        let features = [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        assert!((spectral_entropy(&features, 4, 2) - 2f64.ln()).abs() < 1e-12);
        // The same spectrum whichever product is smaller.
        let wide = [1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, -3.0, 0.0];
        let p: [f64; 2] = [0.1, 0.9];
        let expected: f64 = p.iter().map(|p| -p * p.ln()).sum();
        assert!((spectral_entropy(&wide, 4, 3) - expected).abs() < 1e-9);
    }

    #[test]
    fn a_plain_picture_has_none() {
        assert_eq!(spectral_entropy(&[0.5; 12], 4, 3), 0.0);
        assert_eq!(spectral_entropy(&[0.5, 1.0], 1, 2), 0.0);
    }
}
