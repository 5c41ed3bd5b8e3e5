//! What changes from step to step: the learning rate (linear warm-up, then constant, linear or cosine
//! decay) and the number of blocks that attention chooses.

use crate::recipe::parts::{OptimConfig, Schedule, TopKAnnealing};

/// Learning rate of optimiser step `step` (from 0) of `total`.
pub fn learning_rate(config: &OptimConfig, step: usize, total: usize) -> f64 {
    if step < config.lr_warmup_steps {
        return config.lr * (step + 1) as f64 / config.lr_warmup_steps as f64;
    }
    let span = total.saturating_sub(config.lr_warmup_steps).max(1) as f64;
    let done = ((step - config.lr_warmup_steps) as f64 / span).min(1.0);
    let left = match config.lr_scheduler_type {
        Schedule::Constant => return config.lr,
        Schedule::Linear => 1.0 - done,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
    };
    config.lr * (config.min_lr_ratio + (1.0 - config.min_lr_ratio) * left)
}

/// Blocks chosen at step `step` (from 0) of `total` on the way to `top_k`: `start`, half of it, a
/// quarter, …, each for as many steps.
pub(crate) fn chosen_blocks(
    annealing: &TopKAnnealing,
    top_k: usize,
    step: usize,
    total: usize,
) -> usize {
    let stages = (0u32..)
        .find(|&halvings| annealing.start >> halvings <= top_k)
        .unwrap_or_default();
    let done = step as f64 / (annealing.share * total as f64);
    match done < 1.0 {
        true => top_k.max(annealing.start >> (done * f64::from(stages)) as u32),
        false => top_k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_reaches_the_peak_and_decay_ends_at_the_floor() {
        for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine] {
            let config = OptimConfig {
                lr: 2.0,
                lr_warmup_steps: 4,
                min_lr_ratio: 0.1,
                lr_scheduler_type: schedule,
                ..OptimConfig::default()
            };
            assert_eq!(learning_rate(&config, 0, 104), 0.5);
            assert_eq!(learning_rate(&config, 3, 104), 2.0);
            assert_eq!(learning_rate(&config, 4, 104), 2.0);
            let end = learning_rate(&config, 104, 104);
            let floor = if schedule == Schedule::Constant {
                2.0
            } else {
                0.2
            };
            assert!((end - floor).abs() < 1e-12, "{schedule:?} ends at {end}");
        }
    }

    #[test]
    fn chosen_blocks_halve_until_the_share_is_over() {
        let annealing = TopKAnnealing {
            start: 8,
            share: 0.3,
        };
        let chosen: Vec<usize> = (0..8)
            .map(|step| chosen_blocks(&annealing, 2, step, 20))
            .collect();
        assert_eq!(chosen, [8, 8, 8, 4, 4, 4, 2, 2]);
        assert_eq!(chosen_blocks(&annealing, 3, 2, 10), 4);
        assert_eq!(chosen_blocks(&annealing, 3, 3, 10), 3);
        assert_eq!(chosen_blocks(&annealing, 8, 0, 20), 8);
    }

    #[test]
    fn decay_never_rises() {
        let config = OptimConfig {
            lr_scheduler_type: Schedule::Cosine,
            ..OptimConfig::default()
        };
        let rates: Vec<f64> = (0..=50).map(|s| learning_rate(&config, s, 50)).collect();
        assert!(rates.windows(2).all(|w| w[1] <= w[0]));
    }
}
