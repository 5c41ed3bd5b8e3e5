//! Which tokens training raised and lowered.

use std::collections::{BTreeMap, BTreeSet};

use super::response::Response;

/// Tokens shown before and after one.
const CONTEXT: usize = 8;
/// Occurrences of one token text in a list: the same change at the same place of a template says
/// nothing new the fourth time.
const SAME: usize = 3;

/// A token text over all its occurrences.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenMove {
    /// The text.
    pub text: String,
    /// How often it was sampled.
    pub count: usize,
    /// Mean of Δ.
    pub mean: f64,
    /// Sum of Δ.
    pub sum: f64,
}

/// One token in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Occurrence {
    /// The question.
    pub id: String,
    /// The text before it.
    pub before: String,
    /// The token.
    pub token: String,
    /// The text after it.
    pub after: String,
    /// Its Δ.
    pub delta: f64,
    /// Its probability under the base, then under the tuned model.
    pub probabilities: [f64; 2],
    /// Score of the response.
    pub score: Option<f64>,
}

/// Token texts that occur at least `least` times, by descending mean of Δ.
pub fn token_moves(responses: &[Response], least: usize) -> Vec<TokenMove> {
    let mut sums: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for response in responses {
        for (text, delta) in response.token_text.iter().zip(response.deltas()) {
            let entry = sums.entry(text).or_default();
            entry.0 += 1;
            entry.1 += delta;
        }
    }
    let mut moves: Vec<TokenMove> = sums
        .into_iter()
        .filter(|(_, (count, _))| *count >= least)
        .map(|(text, (count, sum))| TokenMove {
            text: text.to_owned(),
            count,
            mean: sum / count as f64,
            sum,
        })
        .collect();
    moves.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    moves
}

/// The `most` most raised (else lowered) tokens of `responses` in their places, at most three of
/// each text and one of each text in a question.
pub fn occurrences(responses: &[Response], raised: bool, most: usize) -> Vec<Occurrence> {
    let mut places: Vec<(f64, &Response, usize)> = Vec::new();
    for response in responses {
        let deltas = response.deltas().enumerate();
        places.extend(deltas.map(|(i, delta)| (delta, response, i)));
    }
    places.retain(|(delta, _, _)| if raised { *delta > 0.0 } else { *delta < 0.0 });
    places.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    let mut in_question = BTreeSet::new();
    for (delta, response, i) in places {
        let text = response.token_text[i].as_str();
        let times = shown.entry(text).or_default();
        if *times == SAME || !in_question.insert((response.record.id.as_str(), text)) {
            continue;
        }
        *times += 1;
        found.push(occurrence(response, i, delta));
        if found.len() == most {
            break;
        }
    }
    found
}

fn occurrence(response: &Response, i: usize, delta: f64) -> Occurrence {
    let texts = &response.token_text;
    let end = texts.len().min(i + 1 + CONTEXT);
    let p = |log_prob: f32| f64::from(log_prob).exp();
    Occurrence {
        id: response.record.id.clone(),
        before: texts[i.saturating_sub(CONTEXT)..i].concat(),
        token: texts[i].clone(),
        after: texts[i + 1..end].concat(),
        delta,
        probabilities: [
            p(response.trace.log_prob_base[i]),
            p(response.trace.log_prob_tuned[i]),
        ],
        score: response.record.score,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direction::response::tests::response;

    #[test]
    fn planted_moves_come_first() {
        let all = [
            response("q1", &[("a", 0.0), ("b", 2.0), ("c", -1.0)]),
            response("q2", &[("a", 0.1), ("b", 1.0), ("c", -3.0), ("d", 9.0)]),
        ];
        let moves = token_moves(&all, 2);
        let names: Vec<&str> = moves.iter().map(|m| m.text.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
        assert!((moves[0].mean - 1.5).abs() < 1e-6 && moves[0].count == 2);

        let raised = occurrences(&all, true, 2);
        assert_eq!(
            (raised[0].token.as_str(), raised[1].token.as_str()),
            ("d", "b")
        );
        assert_eq!(
            (raised[0].before.as_str(), raised[0].after.as_str()),
            ("abc", "")
        );
        let lowered = occurrences(&all, false, 10);
        assert_eq!(lowered.len(), 2);
        assert!((lowered[0].delta + 3.0).abs() < 1e-6);
        assert_eq!(
            (lowered[0].before.as_str(), lowered[0].after.as_str()),
            ("ab", "d")
        );
    }

    #[test]
    fn one_text_does_not_fill_the_list() {
        let tokens: Vec<(&str, f64)> = (0..10).map(|i| ("x", 5.0 + f64::from(i))).collect();
        let mut all: Vec<Response> = (0..5)
            .map(|i| response(&format!("q{i}"), &tokens))
            .collect();
        all.push(response("r", &[("y", 1.0)]));
        let found = occurrences(&all, true, 10);
        let ids: BTreeSet<&str> = found.iter().map(|o| o.id.as_str()).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(found.iter().filter(|o| o.token == "x").count(), 3);
        assert_eq!(found.len(), 4);
    }
}
