//! Where two answers differ.
//!
//! CHiP's and RLHF-V's reading (`get_diff_ids` of their code): what lies between matches of at least three tokens is a
//! segment; one that is empty on either side (an insertion, a deletion) is none. They match with Python's `difflib`, which
//! takes the longest common run first; here it is the shortest edit script (Myers). HALVA's phrases come annotated;
//! taking these segments for them is \[INFERRED\].

use std::ops::Range;

use percept_credit::preference::Kind;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::stages::dpo::pair::{Pair, Response};

/// Shorter matches are chance: a comma, an article.
const MATCH: usize = 3;

/// A segment in the one answer and in the other.
type Segment = [Range<usize>; 2];

/// Marks the tokens of every answer that stand in segments in which it differs from its rival: their weight, and the
/// number of the segment, from 1. The rival of the rejected answers is the chosen one; that of all others the first rejected
/// one. A pair without a rejected answer has no segments.
pub(crate) fn mark(pair: &mut Pair, weight: f64, phrases: bool) {
    if weight == 1.0 && !phrases {
        return;
    }
    let first = |kind: Kind| {
        let found = pair.responses.iter().find(|r| r.kind == kind);
        found.map(|response| response.tokens.clone())
    };
    let (chosen, rejected) = (first(Kind::Chosen), first(Kind::Rejected));
    for response in &mut pair.responses {
        let rival = match response.kind {
            Kind::Rejected | Kind::RejectedNoImage => &chosen,
            _ => &rejected,
        };
        let rival = rival.as_deref().unwrap_or_default();
        // Numbered alike from both sides.
        let swap = matches!(response.kind, Kind::Rejected | Kind::RejectedNoImage);
        let segments = match swap {
            true => segments(rival, &response.tokens),
            false => segments(&response.tokens, rival),
        };
        let own = segments
            .into_iter()
            .map(|segment| segment[usize::from(swap)].clone());
        put(response, own, weight, phrases);
    }
}

fn put(
    response: &mut Response,
    segments: impl Iterator<Item = Range<usize>>,
    weight: f64,
    phrases: bool,
) {
    let count = response.tokens.len();
    let (mut weights, mut numbers) = (vec![1.0; count], vec![0; count]);
    for (number, range) in (1..).zip(segments) {
        weights[range.clone()].fill(weight as f32);
        numbers[range].fill(number);
    }
    response.weight = (weight != 1.0).then_some(weights);
    response.phrase = phrases.then_some(numbers);
}

/// The segments in which two answers differ, in their order.
fn segments(one: &[u32], other: &[u32]) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut start = [0, 0];
    let ops = capture_diff_slices(Algorithm::Myers, one, other);
    let matches = ops.into_iter().filter_map(|op| match op {
        DiffOp::Equal {
            old_index,
            new_index,
            len,
        } if len >= MATCH => Some(([old_index, new_index], len)),
        _ => None,
    });
    let end = ([one.len(), other.len()], 0);
    for (at, len) in matches.chain([end]) {
        let segment = [start[0]..at[0], start[1]..at[1]];
        if segment.iter().all(|side| !side.is_empty()) {
            found.push(segment);
        }
        start = at.map(|place| place + len);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_matches_of_three_tokens_is_a_segment() {
        // a man with a [red hat] on a horse . / a man with a [blue scarf and gloves] on a horse .
        let one = [1, 2, 3, 1, 10, 11, 4, 1, 5, 6];
        let other = [1, 2, 3, 1, 20, 21, 22, 23, 4, 1, 5, 6];
        assert_eq!(segments(&one, &other), [[4..6, 4..8]]);
        // A match of two tokens does not part two segments.
        let one = [1, 2, 3, 10, 4, 5, 11, 6, 7, 8];
        let other = [1, 2, 3, 20, 4, 5, 21, 6, 7, 8];
        assert_eq!(segments(&one, &other), [[3..7, 3..7]]);
        // What one side lacks altogether is no segment.
        assert!(segments(&[1, 2, 3, 4, 5, 6], &[1, 2, 3, 9, 4, 5, 6]).is_empty());
        assert!(segments(&[1, 2, 3], &[1, 2, 3]).is_empty());
        assert_eq!(segments(&[1], &[2]), [[0..1, 0..1]]);
        assert!(segments(&[], &[2]).is_empty());
    }

    #[test]
    fn both_answers_number_a_segment_alike_and_the_weight_stands_on_its_tokens() {
        let response = |kind, tokens: &[u32]| Response {
            kind,
            prompt: 0,
            tokens: tokens.to_vec(),
            weight: None,
            phrase: None,
        };
        let chosen = [1, 2, 3, 10, 4, 5, 6, 11, 7];
        let rejected = [1, 2, 3, 20, 21, 4, 5, 6, 22, 7];
        let mut pair = Pair {
            responses: vec![
                response(Kind::Chosen, &chosen),
                response(Kind::Rejected, &rejected),
                response(Kind::ChosenRejectedImage, &chosen),
            ],
            ..Pair::default()
        };
        mark(&mut pair, 4.0, true);
        let phrase = |at: usize| pair.responses[at].phrase.clone().unwrap();
        assert_eq!(phrase(0), [0, 0, 0, 1, 0, 0, 0, 2, 2]);
        assert_eq!(phrase(1), [0, 0, 0, 1, 1, 0, 0, 0, 2, 2]);
        assert_eq!(phrase(2), phrase(0));
        let weight = pair.responses[0].weight.clone().unwrap();
        assert_eq!(weight, [1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 4.0, 4.0]);
    }
}
