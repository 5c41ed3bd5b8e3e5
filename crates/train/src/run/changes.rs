//! What each stage changed: paired differences of the evaluations of a run.

use std::collections::BTreeMap;

use percept_eval::{Estimate, Record, paired_difference};
use percept_report::{Change, RunDir, TypeSummary};

use crate::Error;
use crate::run::state::State;

/// Scores of one evaluation: by question, with the question's type.
struct Scores {
    by_id: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

/// Differences between the evaluations that end a stage: each to the one before it, then the last
/// to the first. `eval/*.jsonl` holds their records.
pub(crate) fn of_run(dir: &RunDir, state: &State) -> Result<Vec<Change>, Error> {
    let mut ends = Vec::new();
    for evaluation in &state.evaluations {
        if !evaluation.name.contains("-step-") {
            ends.push((evaluation.name.as_str(), scores(dir, &evaluation.name)?));
        }
    }
    let mut changes: Vec<Change> = ends
        .windows(2)
        .rev()
        .map(|pair| change(&pair[0], &pair[1]))
        .collect();
    if let ([first, .., last], true) = (ends.as_slice(), ends.len() > 2) {
        changes.push(change(first, last));
    }
    Ok(changes)
}

fn scores(dir: &RunDir, name: &str) -> Result<Scores, Error> {
    let path = dir.evaluations().join(format!("{name}.jsonl"));
    // A run made by hand may lack the file: then there is nothing to compare.
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?,
    };
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut types = BTreeMap::new();
    for line in text.lines() {
        let record: Record = serde_json::from_str(line).map_err(|e| Error::Read {
            path: path.clone(),
            source: e.into(),
        })?;
        all.entry(record.id.clone())
            .or_default()
            .extend(record.score);
        types.insert(record.id, record.question_type);
    }
    let graded = all.into_iter().filter(|(_, scores)| !scores.is_empty());
    let by_id = graded
        .map(|(id, scores)| (id, scores.iter().sum::<f64>() / scores.len() as f64))
        .collect();
    Ok(Scores { by_id, types })
}

fn change((from, before): &(&str, Scores), (to, after): &(&str, Scores)) -> Change {
    let difference = |keep: &dyn Fn(&str) -> bool| {
        let of = |scores: &Scores| {
            let kept = scores.by_id.iter().filter(|(id, _)| keep(id));
            kept.map(|(id, score)| (id.clone(), *score)).collect()
        };
        paired_difference(&[of(before)], &[of(after)])
    };
    let all = difference(&|_| true);
    let mut kinds: Vec<&String> = after.types.values().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let by_type = kinds.iter().filter(|_| kinds.len() > 1).map(|kind| {
        let found = difference(&|id| after.types.get(id) == Some(kind));
        ((*kind).clone(), summary(found))
    });
    let count = |moved: fn(f64, f64) -> bool| {
        let both = after
            .by_id
            .iter()
            .filter_map(|(id, score)| Some((before.by_id.get(id)?, score)));
        both.filter(|(before, after)| moved(**before, **after))
            .count()
    };
    Change {
        from: (*from).to_owned(),
        to: (*to).to_owned(),
        mean: all.mean,
        ci_low: all.low,
        ci_high: all.high,
        n: all.n,
        better: count(|before, after| after > before),
        worse: count(|before, after| after < before),
        by_type: by_type.collect(),
    }
}

fn summary(found: Estimate) -> TypeSummary {
    TypeSummary {
        accuracy: found.mean,
        ci_low: found.low,
        ci_high: found.high,
        n: found.n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(right: &[bool]) -> Scores {
        let id = |i: usize| format!("q{i:03}");
        let by_id = right
            .iter()
            .enumerate()
            .map(|(i, &r)| (id(i), f64::from(u8::from(r))));
        let kind = |i: usize| if i.is_multiple_of(2) { "even" } else { "odd" }.to_owned();
        let types = (0..right.len()).map(|i| (id(i), kind(i)));
        Scores {
            by_id: by_id.collect(),
            types: types.collect(),
        }
    }

    // F3
    #[test]
    fn a_gain_on_a_few_questions_is_certain_where_the_others_stay() {
        let before: Vec<bool> = (0..200).map(|i| i < 100).collect();
        let after: Vec<bool> = (0..200).map(|i| i < 116).collect();
        let found = change(&("sft", evaluation(&before)), &("rl", evaluation(&after)));
        assert_eq!(
            (found.from.as_str(), found.to.as_str(), found.n),
            ("sft", "rl", 200)
        );
        assert_eq!((found.better, found.worse), (16, 0));
        assert!((found.mean - 0.08).abs() < 1e-12);
        // Two separate intervals would each be 14 points wide and overlap.
        assert!(found.ci_low > 0.03 && found.ci_high < 0.13, "{found:?}");
        assert!((found.by_type["even"].accuracy - 0.08).abs() < 1e-12);
    }
}
