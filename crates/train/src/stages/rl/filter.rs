//! Dynamic sampling: which groups stay, by the metric that the filter names.

use percept_credit::GroupFilter;
use percept_reward::{Reward, RewardConfig, Verdict};

use crate::Error;
use crate::stages::rl::group::{Group, first_score};

/// verl's names of what a group is filtered by.
const VERL: [&str; 4] = ["acc", "score", "seq_reward", "seq_final_reward"];

/// Whether the group stays.
///
/// # Errors
/// [`Error::Credit`] for a reward that is not finite.
pub(crate) fn keeps(filter: &dyn GroupFilter, group: &Group) -> Result<bool, Error> {
    let graded = group.rewards.iter().zip(&group.scores);
    let values: Vec<Option<f64>> = graded
        .map(|(reward, score)| value(filter.metric(), reward, *score))
        .collect();
    Ok(filter.keeps(&values)?)
}

/// The metric of one response; none where it, or the reward, could not be graded.
fn value(metric: &str, reward: &Reward, score: Option<f64>) -> Option<f64> {
    let total = reward.total?;
    if let Some((_, verdict)) = reward.parts.iter().find(|(name, _)| name == metric) {
        return match verdict {
            Verdict::Score(value) => Some(*value),
            Verdict::Ungraded(_) => None,
        };
    }
    match metric {
        "acc" => first_score(reward),
        "score" => Some(total),
        _ => score,
    }
}

/// Refuses a metric that no response has.
///
/// # Errors
/// The metrics there are.
pub(crate) fn check(
    (name, filter): (&str, &dyn GroupFilter),
    rewards: &RewardConfig,
) -> Result<(), String> {
    let labels: Vec<&str> = rewards.functions.iter().map(|f| f.label()).collect();
    let metric = filter.metric();
    if VERL.contains(&metric) || labels.contains(&metric) {
        return Ok(());
    }
    Err(format!(
        "filter {name}: metric is {metric:?}; expected {}, or the name of a reward function: {}",
        VERL.join(", "),
        labels.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // C3
    #[test]
    fn each_of_verls_metrics_is_what_it_is_there() {
        let reward = Reward {
            total: Some(1.1),
            parts: vec![
                ("accuracy".to_owned(), Verdict::Score(1.0)),
                ("length".to_owned(), Verdict::Score(0.5)),
            ],
        };
        let of = |metric| value(metric, &reward, Some(0.9));
        assert_eq!(of("acc"), Some(1.0));
        assert_eq!(of("accuracy"), Some(1.0));
        assert_eq!(of("length"), Some(0.5));
        assert_eq!(of("score"), Some(1.1));
        assert_eq!(of("seq_reward"), Some(0.9));
        assert_eq!(of("seq_final_reward"), Some(0.9));
        let ungraded = Reward {
            total: None,
            ..reward
        };
        assert_eq!(value("acc", &ungraded, None), None);
    }
}
