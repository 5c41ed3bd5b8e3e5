//! Judged answers, and the pairs that they make.

use std::collections::HashMap;
use std::ops::Range;

use crate::length::{LengthLimit, shorten};
use crate::pair::{Pair, PairOptions};
use crate::{Candidate, Row, SkipReason};

/// A row that gave no pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Skipped {
    pub id: String,
    pub reason: SkipReason,
    pub detail: Option<String>,
}

/// Judged answers and what was made of them.
#[derive(Debug, Clone)]
pub struct Collected {
    pub(crate) rows: usize,
    pub(crate) candidates: Vec<Candidate>,
    /// Row and the places of its two answers in `candidates`, by row.
    pub(crate) pairs: Vec<(usize, Pair)>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) too_short: usize,
    pub(crate) max_shortening: Option<f64>,
}

impl Collected {
    /// Pairs the answers, which are in the order of their rows.
    pub fn new(
        rows: &[Row],
        candidates: Vec<Candidate>,
        options: &PairOptions,
        limit: LengthLimit,
    ) -> Self {
        let mut found = Self {
            rows: rows.len(),
            pairs: Vec::new(),
            skipped: Vec::new(),
            too_short: 0,
            max_shortening: None,
            candidates,
        };
        let places = found.places();
        for (row, range) in &places {
            let shifted = |pair: Pair| Pair {
                chosen: pair.chosen + range.start,
                rejected: pair.rejected + range.start,
            };
            let pairs = options.pairs(&found.candidates[range.clone()]);
            found
                .pairs
                .extend(pairs.into_iter().map(|pair| (*row, shifted(pair))));
        }
        let possible: Vec<usize> = found.pairs.iter().map(|pair| pair.0).collect();
        found.drop_short(limit);
        found.skip(
            rows,
            &places.into_iter().collect(),
            &possible,
            options.min_gap,
        );
        found
    }

    /// Rows and where their answers are.
    fn places(&self) -> Vec<(usize, Range<usize>)> {
        let mut start = 0;
        let runs = self.candidates.chunk_by(|a, b| a.row == b.row);
        runs.map(|run| {
            start += run.len();
            (run[0].row, start - run.len()..start)
        })
        .collect()
    }

    fn drop_short(&mut self, limit: LengthLimit) {
        let words: Vec<(usize, usize)> = self.pairs.iter().map(|pair| self.words(pair)).collect();
        let (stays, share) = shorten(&words, limit);
        let mut stays = stays.into_iter();
        let before = self.pairs.len();
        self.pairs.retain(|_| stays.next().unwrap_or(true));
        self.too_short = before - self.pairs.len();
        self.max_shortening = share;
    }

    /// Says of every row without a pair why it has none; `possible` are the rows of pairs before short ones were dropped.
    fn skip(
        &mut self,
        rows: &[Row],
        places: &HashMap<usize, Range<usize>>,
        possible: &[usize],
        min_gap: f64,
    ) {
        let has = |pairs: &[usize], row: usize| pairs.binary_search(&row).is_ok();
        let paired: Vec<usize> = self.pairs.iter().map(|pair| pair.0).collect();
        for (row, Row { id, unreadable }) in rows.iter().enumerate() {
            if has(&paired, row) {
                continue;
            }
            let answers = places
                .get(&row)
                .map_or(&[][..], |range| &self.candidates[range.clone()]);
            let reason = match unreadable {
                Some(_) => SkipReason::Unreadable,
                None if has(possible, row) => SkipReason::TooShort,
                None => SkipReason::of(answers, min_gap),
            };
            let detail = match reason {
                SkipReason::Unreadable => unreadable.clone(),
                SkipReason::Answers(status) => {
                    let mut of_status = answers.iter().filter(|answer| answer.status == status);
                    of_status.find_map(|answer| answer.reason.clone())
                }
                _ => None,
            };
            let id = id.clone();
            self.skipped.push(Skipped { id, reason, detail });
        }
    }

    /// Words of the chosen and of the rejected answer.
    pub(crate) fn words(&self, (_, pair): &(usize, Pair)) -> (usize, usize) {
        let words = |at: usize| self.candidates[at].text.split_whitespace().count();
        (words(pair.chosen), words(pair.rejected))
    }

    /// The first reasons in words, at most `count`.
    pub fn reasons(&self, count: usize) -> Vec<&str> {
        let details = self
            .skipped
            .iter()
            .filter_map(|skipped| skipped.detail.as_deref());
        details.take(count).collect()
    }
}
