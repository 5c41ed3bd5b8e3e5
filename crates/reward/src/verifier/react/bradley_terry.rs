//! Bradley–Terry with ties, in the form of Rao and Kupper.
//!
//! With `Δ = s_A − s_B` and `θ > 1`:
//!
//! ```text
//! log P(A ≻ B) = log σ(Δ − log θ)
//! log P(A ≺ B) = log σ(−Δ − log θ)
//! log P(A = B) = log σ(Δ − log θ) + log σ(−Δ − log θ) + log(θ² − 1)
//! ```
//!
//! The three probabilities add up to one. Source: arXiv 2601.04033 (REACT), with θ = 5 and the loss of VideoAlign's
//! `trainer.py` (`btt`), whose negative this is.

use percept_frames::Preference;

/// Log-probability of an outcome where the scores of A and B differ by `delta`.
pub(super) fn log_probability(outcome: Preference, delta: f64, theta: f64) -> f64 {
    let margin = theta.ln();
    match outcome {
        Preference::A => log_sigmoid(delta - margin),
        Preference::B => log_sigmoid(-delta - margin),
        Preference::Tie => {
            log_sigmoid(delta - margin) + log_sigmoid(-delta - margin) + (theta * theta - 1.0).ln()
        }
    }
}

/// The lowest log-probability of an outcome where scores differ by at most `most`.
pub(super) fn worst(outcome: Preference, most: f64, theta: f64) -> f64 {
    let wrong_way = match outcome {
        Preference::A => -most,
        Preference::B | Preference::Tie => most,
    };
    log_probability(outcome, wrong_way, theta)
}

fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [Preference; 3] = [Preference::A, Preference::B, Preference::Tie];

    #[test]
    fn the_three_outcomes_add_up_to_one() {
        for theta in [1.001, 1.5, 5.0, 40.0] {
            for step in -400..=400 {
                let delta = f64::from(step) / 20.0;
                let outcomes = OUTCOMES.iter();
                let sum: f64 = outcomes
                    .map(|&outcome| log_probability(outcome, delta, theta).exp())
                    .sum();
                assert!((sum - 1.0).abs() < 1e-12, "{theta} {delta}: {sum}");
            }
        }
    }

    #[test]
    fn it_is_the_definition_by_exponentials() {
        for (a, b, theta) in [(4.5f64, 2.1f64, 5.0), (1.0, 5.0, 5.0), (3.0, 3.0, 2.0)] {
            let (ea, eb) = (a.exp(), b.exp());
            let plain = [
                ea / (ea + theta * eb),
                eb / (theta * ea + eb),
                (theta * theta - 1.0) * ea * eb / ((ea + theta * eb) * (theta * ea + eb)),
            ];
            for (outcome, plain) in OUTCOMES.into_iter().zip(plain) {
                let found = log_probability(outcome, a - b, theta);
                assert!((found - plain.ln()).abs() < 1e-12, "{a} {b} {theta}");
            }
        }
    }

    #[test]
    fn nothing_within_reach_is_worse_than_the_worst() {
        for outcome in OUTCOMES {
            let lowest = worst(outcome, 4.0, 5.0);
            for step in -40..=40 {
                let found = log_probability(outcome, f64::from(step) / 10.0, 5.0);
                assert!(found >= lowest);
            }
        }
        assert!((worst(Preference::A, 4.0, 5.0) + 5.613).abs() < 1e-3);
        assert!((worst(Preference::Tie, 4.0, 5.0) + 2.523).abs() < 1e-3);
    }
}
