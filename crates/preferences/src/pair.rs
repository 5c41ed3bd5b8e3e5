//! Which answers become pairs.

use percept_base::random::{SplitMix, fnv1a};

use crate::Candidate;

/// Two answers to one row, by their places in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The better one.
    pub chosen: usize,
    /// The worse one.
    pub rejected: usize,
}

/// What decides between equal scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TieBreak {
    /// Nothing: they make no pair.
    #[default]
    None,
    /// The answer that names more objects of the picture is better.
    Coverage,
}

/// Which of the possible pairs of a row are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PairChoice {
    /// As many as allowed, drawn at random (RLAIF-V).
    #[default]
    Random,
    /// The best answer with the worst.
    BestWorst,
}

/// How pairs are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PairOptions {
    /// Smallest difference of scores.
    pub min_gap: f64,
    /// What decides between equal scores.
    pub tie_break: TieBreak,
    /// Which pairs are taken.
    pub choice: PairChoice,
    /// At most this many pairs of a row (0: all).
    pub per_row: usize,
    /// Seed of random choices.
    pub seed: u64,
}

impl PairOptions {
    /// Whether `a` is better than `b` by enough. Equal texts make no pair, whatever a judge says of them.
    fn prefers(&self, a: &Candidate, b: &Candidate) -> bool {
        let (Some(x), Some(y)) = (a.score, b.score) else {
            return false;
        };
        let covers = self.tie_break == TieBreak::Coverage && x == y && a.coverage > b.coverage;
        (x - y >= self.min_gap || covers) && a.text.trim() != b.text.trim()
    }

    /// The pairs of a row's answers, in the order of the answers.
    pub fn pairs(&self, answers: &[Candidate]) -> Vec<Pair> {
        match self.choice {
            PairChoice::BestWorst => self.best_worst(answers).into_iter().collect(),
            PairChoice::Random => self.random(answers),
        }
    }

    fn best_worst(&self, answers: &[Candidate]) -> Option<Pair> {
        let scored = || (0..answers.len()).filter(|&at| answers[at].score.is_some());
        let order = |&a: &usize, &b: &usize| {
            let [x, y] = [a, b].map(|at| &answers[at]);
            let scores = x
                .score
                .unwrap_or_default()
                .total_cmp(&y.score.unwrap_or_default());
            match self.tie_break {
                TieBreak::None => scores,
                TieBreak::Coverage => scores.then(x.coverage.cmp(&y.coverage)),
            }
        };
        // The first of equal ones in both directions.
        let chosen = scored().rev().max_by(order)?;
        let rejected = scored().min_by(order)?;
        let pair = Pair { chosen, rejected };
        self.prefers(&answers[chosen], &answers[rejected])
            .then_some(pair)
    }

    fn random(&self, answers: &[Candidate]) -> Vec<Pair> {
        let places = 0..answers.len();
        let all = places.clone().flat_map(|chosen| {
            let pair = move |rejected| Pair { chosen, rejected };
            places.clone().map(pair)
        });
        let fits = |pair: &Pair| self.prefers(&answers[pair.chosen], &answers[pair.rejected]);
        let mut pairs: Vec<Pair> = all.filter(fits).collect();
        if self.per_row > 0 && self.per_row < pairs.len() {
            let row = answers.first().map_or("", |answer| answer.id.as_str());
            SplitMix::new(self.seed ^ fnv1a(row.bytes())).shuffle(&mut pairs);
            pairs.truncate(self.per_row);
            pairs.sort_by_key(|pair| (pair.chosen, pair.rejected));
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(scores: &[Option<f64>]) -> Vec<Candidate> {
        let one = |(at, score): (usize, &Option<f64>)| Candidate {
            score: *score,
            coverage: Some(at),
            ..Candidate::of(0, &format!("answer {at}"))
        };
        scores.iter().enumerate().map(one).collect()
    }

    fn options() -> PairOptions {
        PairOptions {
            min_gap: 1.0,
            tie_break: TieBreak::None,
            choice: PairChoice::Random,
            per_row: 0,
            seed: 0,
        }
    }

    #[test]
    fn every_pair_with_the_gap_is_possible_and_no_other() {
        let answers = answers(&[Some(-2.0), None, Some(0.0), Some(-0.5), Some(0.0)]);
        let found = options().pairs(&answers);
        let pair = |chosen, rejected| Pair { chosen, rejected };
        assert_eq!(found, [pair(2, 0), pair(3, 0), pair(4, 0)]);
        let two = PairOptions {
            per_row: 2,
            ..options()
        };
        let drawn = two.pairs(&answers);
        assert!(
            drawn.len() == 2 && drawn.iter().all(|p| found.contains(p)),
            "{drawn:?}"
        );
        assert_eq!(drawn, two.pairs(&answers));
    }

    #[test]
    fn best_and_worst_are_the_first_of_equal_ones() {
        let best = PairOptions {
            choice: PairChoice::BestWorst,
            ..options()
        };
        let found = best.pairs(&answers(&[
            Some(-1.0),
            Some(0.0),
            Some(0.0),
            Some(-1.0),
            None,
        ]));
        assert_eq!(
            found,
            [Pair {
                chosen: 1,
                rejected: 0
            }]
        );
        assert!(best.pairs(&answers(&[Some(0.0), Some(-0.5)])).is_empty());
        assert!(best.pairs(&answers(&[None])).is_empty());
    }

    #[test]
    fn coverage_decides_between_equal_scores_alone() {
        let covering = PairOptions {
            tie_break: TieBreak::Coverage,
            choice: PairChoice::BestWorst,
            ..options()
        };
        let found = covering.pairs(&answers(&[Some(0.0), Some(0.0), Some(0.0)]));
        assert_eq!(
            found,
            [Pair {
                chosen: 2,
                rejected: 0
            }]
        );
        // The gap is too small, and the scores are not equal.
        assert!(covering.pairs(&answers(&[Some(0.0), Some(0.5)])).is_empty());
    }

    #[test]
    fn equal_texts_make_no_pair() {
        let mut two = answers(&[Some(0.0), Some(1.0)]);
        two[1].text = format!(" {}\n", two[0].text);
        assert!(options().pairs(&two).is_empty());
    }
}
