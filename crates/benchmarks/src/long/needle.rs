//! Magic numbers in a haystack: RULER's `niah` in all its kinds, and the grid over depths.

use super::haystack::Haystack;
use super::plan::Plan;
use super::question::{Made, Question};
use super::random::Random;
use super::words;
use crate::Error;

/// What keys and values of needles are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Words,
    Numbers,
    Uuids,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Numbers => "numbers",
            Self::Uuids => "uuids",
        }
    }

    fn draw(self, random: &mut Random) -> String {
        match self {
            Self::Words => words::compound(random),
            Self::Numbers => random.number(),
            Self::Uuids => random.uuid(),
        }
    }
}

/// A task of the `niah` family.
#[derive(Clone, Copy)]
pub(super) struct Niah {
    pub(super) keys: usize,
    pub(super) values: usize,
    pub(super) queries: usize,
    pub(super) key: Kind,
    pub(super) value: Kind,
}

impl Default for Niah {
    fn default() -> Self {
        Self {
            keys: 1,
            values: 1,
            queries: 1,
            key: Kind::Words,
            value: Kind::Numbers,
        }
    }
}

/// Longest answer, RULER's.
pub(super) const ANSWER: usize = 128;
/// RULER places needles of an essay at some of forty depths.
const DEPTHS: usize = 40;

fn fact(kind: Kind, key: &str, value: &str) -> String {
    format!(
        "One of the special magic {} for {key} is: {value}.",
        kind.name()
    )
}

/// Where needles go.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// RULER's choice.
    Random,
    /// At this share of the pieces.
    Depth(f64),
}

impl Niah {
    /// A question whose haystack has `n` pieces; without a haystack, of other needles.
    pub(super) fn make(
        &self,
        mut random: Random,
        haystack: Option<&Haystack>,
        place: Place,
        n: usize,
    ) -> Made {
        let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
        while pairs.len() < self.keys {
            let key = self.key.draw(&mut random);
            if pairs.iter().all(|(other, _)| *other != key) {
                let values = (0..self.values).map(|_| self.value.draw(&mut random));
                pairs.push((key, values.collect()));
            }
        }
        let mut needles: Vec<String> = pairs
            .iter()
            .flat_map(|(key, values)| values.iter().map(|v| fact(self.value, key, v)))
            .collect();
        random.shuffle(&mut needles);
        let mut asked = random.places(self.queries, self.keys);
        random.shuffle(&mut asked);
        let places = place.of(needles.len(), n, haystack, &mut random);
        let (mut pieces, joint) = match haystack {
            Some(haystack) => {
                let start = random.below(haystack.len());
                (haystack.pieces(start, n), haystack.joint())
            }
            None => (self.others(n, &mut random), "\n"),
        };
        for (at, needle) in places.into_iter().zip(needles).rev() {
            pieces.insert(at, needle);
        }
        let keys: Vec<&str> = asked.iter().map(|&i| pairs[i].0.as_str()).collect();
        let outputs = asked.iter().flat_map(|&i| pairs[i].1.clone()).collect();
        self.ask(&pieces.join(joint), &keys, outputs)
    }

    /// Needles that nobody asks for.
    fn others(&self, n: usize, random: &mut Random) -> Vec<String> {
        (0..n)
            .map(|_| {
                let key = self.key.draw(random);
                fact(self.value, &key, &self.value.draw(random))
            })
            .collect()
    }

    fn ask(&self, context: &str, keys: &[&str], outputs: Vec<String>) -> Made {
        let query = match keys {
            [first @ .., last] if !first.is_empty() => {
                format!("{}, and {last}", first.join(", "))
            }
            _ => keys.concat(),
        };
        let all = self.value.name();
        let one = &all[..all.len() - 1];
        let (kind, head, what, said) = match self.queries * self.values {
            1 => (one, "A special magic", "What is", "is"),
            _ => (all, "Some special magic", "What are all", "are"),
        };
        let hidden = if self.queries * self.values == 1 {
            "is"
        } else {
            "are"
        };
        Made {
            input: format!(
                "{head} {kind} {hidden} hidden within the following text. Make sure to memorize it. I will quiz you \
                 about the {kind} afterwards.\n{context}\n{what} the special magic {kind} for {query} mentioned in \
                 the provided text?"
            ),
            answer_prefix: format!(
                " The special magic {kind} for {query} mentioned in the provided text {said}"
            ),
            outputs,
        }
    }
}

impl Place {
    /// Pieces before which the needles go, ascending.
    fn of(
        self,
        needles: usize,
        n: usize,
        haystack: Option<&Haystack>,
        random: &mut Random,
    ) -> Vec<usize> {
        match (self, haystack) {
            (Self::Depth(depth), _) => vec![(depth * n as f64).round() as usize; needles],
            (Self::Random, Some(Haystack::Essay(_))) => random
                .places(needles, DEPTHS)
                .into_iter()
                .map(|at| n * at / (DEPTHS - 1))
                .collect(),
            (Self::Random, _) => random.places(needles, n),
        }
    }
}

/// A needle at each of `depths` depths from the beginning to the end of the haystack,
/// `plan.samples` times.
///
/// # Errors
/// [`Error::Row`] when the length has no room for a question; those of `plan.count`.
pub fn grid(plan: &Plan<'_>, haystack: &Haystack, depths: usize) -> Result<Vec<Question>, Error> {
    let mut all = Vec::new();
    let mut size = None;
    for at in 0..depths {
        let depth = match depths {
            1 => 0.5,
            _ => at as f64 / (depths - 1) as f64,
        };
        for sample in 0..plan.samples {
            let random = Random::new(plan.seed, at, sample);
            let make = |n: usize| {
                let place = Place::Depth(depth);
                Niah::default().make(random.clone(), Some(haystack), place, n)
            };
            all.push(plan.fit("needle", Some(depth), ANSWER, &mut size, &make)?);
        }
    }
    Ok(all)
}
