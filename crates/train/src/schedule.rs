//! Learning-rate schedule: linear warm-up, then constant, linear or cosine decay.

use crate::recipe::{OptimConfig, Schedule};

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
    fn decay_never_rises() {
        let config = OptimConfig {
            lr_scheduler_type: Schedule::Cosine,
            ..OptimConfig::default()
        };
        let rates: Vec<f64> = (0..=50).map(|s| learning_rate(&config, s, 50)).collect();
        assert!(rates.windows(2).all(|w| w[1] <= w[0]));
    }
}
