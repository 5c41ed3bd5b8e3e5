//! The chosen response against all negatives of its pair at once: `log Σ e^r − r_chosen`.

use super::{Kind, Pairs, Scores, Terms, math::log_sum_exp};

/// Adds the loss of every pair, its slopes, and for each of `negatives` the metric `weights/<kind>`: the
/// share of the softmax that falls to it, which is the weight of its gradient.
pub(super) fn contrast(
    pairs: &Pairs<'_>,
    negatives: &[(Kind, &'static str)],
    beta: f64,
    out: &mut Terms,
) {
    let [chosen] = pairs.of([Kind::Chosen]);
    let others: Vec<(Kind, &'static str, &Scores)> = negatives
        .iter()
        .map(|&(kind, metric)| (kind, metric, pairs.of([kind])[0]))
        .collect();
    for pair in 0..pairs.len() {
        let mut rewards = vec![beta * chosen.log_ratio(pair)];
        for (_, _, scores) in &others {
            rewards.extend(
                scores.rows[pair]
                    .clone()
                    .map(|row| beta * scores.log_ratio(row)),
            );
        }
        let (total, shares) = log_sum_exp(&rewards);
        out.add(total - rewards[0]);
        let mut rest = shares[1..].iter();
        // What the negatives have, not 1 − p: exact where p rounds to 1.
        out.slope(Kind::Chosen, pair, -beta * rest.clone().sum::<f64>());
        for &(kind, metric, scores) in &others {
            let rows = scores.rows[pair].clone();
            for (row, share) in rows.zip(rest.by_ref()) {
                out.slope(kind, row, beta * share);
                out.count(metric, *share);
            }
        }
    }
}
