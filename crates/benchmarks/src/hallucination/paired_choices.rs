//! Two models on the same yes/no questions of AMBER, by its groups. The interval of a difference resamples questions, with the
//! answers of both models to each.

use std::collections::BTreeMap;

use percept_eval::stats::{DIFFERENCE, SHARE};

use super::amber::{Choice, GROUPS, belongs, choice_row, choice_shares};
use super::paired::{Change, change, paired_rows};

/// Answers of a model by question; a question that several runs (seeds) answer has the answers of each.
pub type ByQuestion = BTreeMap<u64, Vec<Choice>>;

/// What changes in accuracy and F1 of each group, over the questions that both models answer equally often; `n` of an
/// estimate is their number.
pub fn choice_changes(first: &ByQuestion, second: &ByQuestion) -> Vec<(&'static str, Change)> {
    let mut found = Vec::new();
    for group in GROUPS {
        let [first, second] = [first, second].map(|all| {
            let mine = all.iter().map(|(id, answers)| {
                let mine = answers.iter().filter(|answer| belongs(&answer.kind, group));
                (*id, mine.collect::<Vec<&Choice>>())
            });
            mine.filter(|(_, answers)| !answers.is_empty()).collect()
        });
        let rows: Vec<[f64; 10]> = paired_rows(&first, &second, |choice| choice_row(choice));
        if rows.is_empty() {
            continue;
        }
        for (metric, at) in [("accuracy", 0), ("f1", 3)] {
            let ranges = [SHARE, DIFFERENCE];
            let changed = change(metric, &rows, ranges, |both| {
                let sides: [[f64; 5]; 2] =
                    [0, 5].map(|first| std::array::from_fn(|at| both[first + at]));
                sides.map(|sums| choice_shares(group, &sums)[at])
            });
            found.push((group, changed));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hundred questions of two groups, half of them about what is not there.
    fn model(says: impl Fn(u64) -> bool) -> ByQuestion {
        let answer = |id: u64| Choice {
            id,
            kind: match id % 4 < 2 {
                true => "discriminative-attribute-number".to_owned(),
                false => "discriminative-relation".to_owned(),
            },
            truth: id.is_multiple_of(2),
            response: String::new(),
            parsed: Some(says(id)),
        };
        (0..200).map(|id| (id, vec![answer(id)])).collect()
    }

    #[test]
    fn a_model_that_denies_what_is_not_there_is_seen_to_gain_by_group() {
        // Yes to all; then right about relations, and about one in five numbers that are not so.
        let base = model(|_| true);
        let tuned = model(|id| id.is_multiple_of(2) || (id % 4 < 2 && id % 20 != 1));
        let found = choice_changes(&base, &tuned);
        let of = |group: &str, metric: &str| {
            let mut all = found.iter();
            let found = all.find(|(g, change)| *g == group && change.metric == metric);
            found.unwrap().1.clone()
        };
        let all = of("all", "accuracy");
        assert!((all.first.mean - 0.5).abs() < 1e-4 && (all.second.mean - 0.8).abs() < 2e-2);
        assert!(all.difference.low > 0.2, "{all:?}");
        assert!((of("relation", "accuracy").second.mean - 1.0).abs() < 1e-4);
        assert!((of("relation", "f1").second.mean - 1.0).abs() < 1e-3);
        assert_eq!(of("relation", "f1").first.mean, 0.0);
        assert!(of("number", "accuracy").second.mean < 0.7);
        assert!(!found.iter().any(|(group, _)| *group == "existence"));
    }

    #[test]
    fn questions_that_one_model_was_not_asked_are_left_out() {
        let mut more = model(|_| true);
        more.insert(1000, more[&0].clone());
        let found = choice_changes(&model(|_| true), &more);
        assert_eq!(found[0].1.first.n, 200);
        assert_eq!(found[0].1.difference.mean, 0.0);
    }
}
