//! Fleiss' kappa of any number of raters.
//!
//! `κ = (P̄ − P̄_e) / (1 − P̄_e)`: `P_i = (Σ_c n_ic² − n) / (n (n − 1))` is the share of equal pairs of ratings of item `i` by `n`
//! raters, `P̄` its mean, `P̄_e = Σ_c p_c²` with the categories' shares of all ratings. Source: Fleiss 1971; the numbers are
//! those of statsmodels' `fleiss_kappa(method="fleiss")`.

use serde::Serialize;

/// Several raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleissKappa {
    /// Items with `raters` ratings each.
    pub items: usize,
    /// Ratings of each item.
    pub raters: usize,
    /// None where chance alone gives full agreement.
    pub kappa: Option<f64>,
}

/// Kappa of a table of counts: `table[i][c]` raters put item `i` into category `c`. None without items, with items of
/// different numbers of raters or of fewer than two, or where chance alone gives full agreement.
///
/// ```
/// use percept_annotate::fleiss_kappa;
/// assert_eq!(fleiss_kappa(&[vec![2, 0], vec![0, 2]]), Some(1.0));
/// assert_eq!(fleiss_kappa(&[vec![1, 1], vec![1, 1]]), Some(-1.0));
/// ```
pub fn fleiss_kappa(table: &[Vec<usize>]) -> Option<f64> {
    let raters: usize = table.first()?.iter().sum();
    let even = |item: &Vec<usize>| item.iter().sum::<usize>() == raters;
    if raters < 2 || !table.iter().all(even) {
        return None;
    }
    let (items, n) = (table.len() as f64, raters as f64);
    let squares = |item: &Vec<usize>| item.iter().map(|c| (c * c) as f64).sum::<f64>();
    let of_item = |item: &Vec<usize>| (squares(item) - n) / (n * (n - 1.0));
    let observed = table.iter().map(of_item).sum::<f64>() / items;
    let categories = table.iter().map(Vec::len).max()?;
    let total = |c: usize| -> usize { table.iter().filter_map(|item| item.get(c)).sum() };
    if (0..categories).any(|c| total(c) == raters * table.len()) {
        return None;
    }
    let shares = (0..categories).map(|c| (total(c) as f64 / (items * n)).powi(2));
    let chance: f64 = shares.sum();
    Some((observed - chance) / (1.0 - chance))
}
