//! Cohen's kappa of two raters.
//!
//! `κ = (p_o − p_e) / (1 − p_e)`, with `p_o` the share of equal ratings and `p_e = Σ_c p_1(c) p_2(c)` what the raters' own
//! frequencies would give by chance. Source: Cohen 1960; the numbers are those of scikit-learn's `cohen_kappa_score`.

use serde::Serialize;

/// Two raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CohenKappa {
    /// One annotator.
    pub a: String,
    /// The other.
    pub b: String,
    /// What both rated.
    pub items: usize,
    /// Share of equal ratings.
    pub observed: f64,
    /// None where chance alone gives full agreement: both said the same of everything.
    pub kappa: Option<f64>,
}

/// Kappa of two raters' categories; none without items, or where chance alone gives full agreement.
///
/// ```
/// use percept_annotate::cohen_kappa;
/// assert_eq!(cohen_kappa(&[(0, 0), (1, 1), (0, 0), (1, 0)]), Some(0.5));
/// assert_eq!(cohen_kappa(&[(1, 1), (1, 1)]), None);
/// ```
pub fn cohen_kappa(ratings: &[(usize, usize)]) -> Option<f64> {
    let categories = ratings.iter().map(|(a, b)| a.max(b) + 1).max()?;
    // In whole numbers up to one division: equal agreement and chance are equal.
    let count = |which: &dyn Fn(&(usize, usize)) -> bool| -> u128 {
        ratings.iter().filter(|pair| which(pair)).count() as u128
    };
    let items = ratings.len() as u128;
    let equal = count(&|(a, b)| a == b);
    let chance: u128 = (0..categories)
        .map(|c| count(&|(a, _)| *a == c) * count(&|(_, b)| *b == c))
        .sum();
    let over = (equal * items) as f64 - chance as f64;
    let whole = items * items;
    (chance < whole).then(|| over / (whole - chance) as f64)
}
