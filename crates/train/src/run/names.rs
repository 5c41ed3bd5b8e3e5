//! Metric names: verl's, and TRL's on a switch.

use crate::MetricNames;
use crate::run::observer::Metrics;

/// verl's name, TRL's name. Metrics that TRL does not have keep verl's name.
const TRL: &[(&str, &str)] = &[
    ("critic/rewards/mean", "reward"),
    ("critic/rewards/std", "reward_std"),
    ("actor/pg_loss", "loss"),
    ("actor/entropy", "entropy"),
    ("actor/kl_loss", "kl"),
    ("actor/pg_clipfrac", "clip_ratio/region_mean"),
    ("actor/pg_clipfrac_high", "clip_ratio/high_mean"),
    ("actor/pg_clipfrac_low", "clip_ratio/low_mean"),
    ("actor/grad_norm", "grad_norm"),
    ("actor/lr", "learning_rate"),
    ("response_length/mean", "completions/mean_length"),
    ("response_length/min", "completions/min_length"),
    ("response_length/max", "completions/max_length"),
    ("response_length/clip_ratio", "completions/clipped_ratio"),
    ("reward/frac_zero_std", "frac_reward_zero_std"),
    ("timing_s/step", "step_time"),
    ("train/loss", "loss"),
    ("train/grad_norm", "grad_norm"),
    ("train/lr", "learning_rate"),
];

/// Metrics under the names that the recipe asks for. `reward/<function>/mean` is
/// `rewards/<function>/mean` in TRL.
pub fn translate(metrics: Metrics, names: MetricNames) -> Metrics {
    if names == MetricNames::Verl {
        return metrics;
    }
    let rename = |name: String| match TRL.iter().find(|(verl, _)| *verl == name) {
        Some((_, trl)) => (*trl).to_owned(),
        None => match name.strip_prefix("reward/") {
            Some(rest) => format!("rewards/{rest}"),
            None => name,
        },
    };
    metrics
        .into_iter()
        .map(|(name, value)| (rename(name), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trl_names_are_a_switch_and_unknown_ones_stay() {
        let metrics = vec![
            ("critic/rewards/mean".to_owned(), 0.5),
            ("perf/throughput".to_owned(), 9.0),
        ];
        assert_eq!(translate(metrics.clone(), MetricNames::Verl), metrics);
        let trl = translate(metrics, MetricNames::Trl);
        assert_eq!(trl[0].0, "reward");
        assert_eq!(trl[1].0, "perf/throughput");
    }

    #[test]
    fn no_two_metrics_of_a_stage_get_one_name() {
        for stage in ["train/", "actor/"] {
            let mut seen = std::collections::BTreeSet::new();
            for (verl, trl) in TRL {
                if verl.starts_with(stage) {
                    assert!(seen.insert(trl), "{trl}");
                }
            }
        }
    }
}
