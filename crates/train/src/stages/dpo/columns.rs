//! Responses of some pairs kind by kind, as a preference loss reads them.

use std::collections::BTreeMap;

use percept_credit::Offsets;
use percept_credit::preference::{
    Kind, PreferenceBatch, PreferenceLoss, PreferenceNeeds, Responses,
};

use crate::stages::dpo::pair::{Pair, Response};

/// One number per token of each response, `[pair][response][token]`; no number where nothing is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values(pub(crate) Vec<Vec<Vec<f32>>>);

impl Values {
    /// Nothing yet.
    pub(crate) fn none(pairs: &[&Pair]) -> Self {
        let of = |pair: &&Pair| vec![Vec::new(); pair.responses.len()];
        Self(pairs.iter().map(of).collect())
    }

    /// Nothing yet, of as many responses.
    pub(crate) fn empty(&self) -> Self {
        let of = |pair: &Vec<Vec<f32>>| vec![Vec::new(); pair.len()];
        Self(self.0.iter().map(of).collect())
    }

    /// Cuts `flat`, in which the responses at `places` (pair, response) follow each other.
    pub(crate) fn put(&mut self, pairs: &[&Pair], places: &[[usize; 2]], flat: &[f32]) {
        let mut start = 0;
        for &[pair, response] in places {
            let end = start + pairs[pair].responses[response].tokens.len();
            self.0[pair][response] = flat[start..end].to_vec();
            start = end;
        }
    }

    /// Those of one response.
    pub(crate) fn of(&self, [pair, response]: [usize; 2]) -> &[f32] {
        &self.0[pair][response]
    }

    /// Those of the pairs `chosen`.
    pub(crate) fn select(&self, chosen: &[usize]) -> Self {
        Self(chosen.iter().map(|&pair| self.0[pair].clone()).collect())
    }
}

/// What is known of the tokens of some pairs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Log-probabilities under the policy.
    pub(crate) log_prob: Option<Values>,
    /// Log-probabilities under the reference.
    pub(crate) ref_log_prob: Option<Values>,
    /// Divergences from the reference.
    pub(crate) ref_kl: Option<Values>,
}

impl Known {
    /// Of the pairs `chosen`.
    pub(crate) fn select(&self, chosen: &[usize]) -> Self {
        let select = |values: &Option<Values>| values.as_ref().map(|values| values.select(chosen));
        Self {
            log_prob: select(&self.log_prob),
            ref_log_prob: select(&self.ref_log_prob),
            ref_kl: select(&self.ref_kl),
        }
    }
}

/// Responses of some pairs, kind by kind.
pub(crate) struct Columns {
    pairs: usize,
    kinds: BTreeMap<Kind, Column>,
    clip_gap: Option<Vec<f32>>,
    confidence: Option<Vec<f32>>,
}

/// The responses of one kind.
struct Column {
    /// Which they are: pair, response.
    at: Vec<[usize; 2]>,
    offsets: Offsets,
    rows: Offsets,
    log_prob: Option<Vec<f32>>,
    ref_log_prob: Option<Vec<f32>>,
    ref_kl: Option<Vec<f32>>,
    weight: Option<Vec<f32>>,
    phrase: Option<Vec<u32>>,
}

impl Columns {
    /// Of `pairs`, whose values are `known`; general responses stand behind the pairs.
    pub(crate) fn of(pairs: &[&Pair], needs: &PreferenceNeeds, known: &Known) -> Self {
        let count = pairs.iter().filter(|pair| !pair.is_general()).count();
        let column = |&kind: &Kind| (kind, Column::of(pairs, count, kind, known));
        let numbers =
            |value: fn(&Pair) -> Option<f32>| pairs[..count].iter().map(move |pair| value(pair));
        Self {
            pairs: count,
            kinds: needs.kinds.keys().map(column).collect(),
            clip_gap: numbers(|pair| pair.clip_gap).collect(),
            confidence: numbers(|pair| pair.confidence).collect(),
        }
    }

    /// How many pairs; general responses are none.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs
    }

    /// As the loss reads it; `draw` is a uniform number of each pair.
    pub(crate) fn batch<'a>(&'a self, draw: &'a [f64]) -> PreferenceBatch<'a> {
        let column = |(&kind, column): (&Kind, &'a Column)| (kind, column.responses(kind));
        PreferenceBatch {
            pairs: self.pairs,
            responses: self.kinds.iter().map(column).collect(),
            clip_gap: self.clip_gap.as_deref(),
            confidence: self.confidence.as_deref(),
            draw: Some(draw),
        }
    }

    /// The gradients of a loss, by response: of log-probabilities, and of divergences where the loss has them.
    pub(crate) fn gradients(&self, pairs: &[&Pair], found: &PreferenceLoss) -> [Values; 2] {
        let mut gradients = [Values::none(pairs), Values::none(pairs)];
        for (kind, gradient) in &found.gradients {
            let Some(column) = self.kinds.get(kind) else {
                continue;
            };
            let slopes = [&gradient.d_log_prob, &gradient.d_ref_kl];
            for (to, slopes) in gradients.iter_mut().zip(slopes) {
                if !slopes.is_empty() {
                    to.put(pairs, &column.at, slopes);
                }
            }
        }
        gradients
    }
}

impl Column {
    fn of(pairs: &[&Pair], count: usize, kind: Kind, known: &Known) -> Self {
        let places = |pair: usize| {
            let responses = pairs[pair].responses.iter().enumerate();
            let of_kind = responses.filter(move |(_, response)| response.kind == kind);
            of_kind.map(move |(response, _)| [pair, response])
        };
        let rows = Offsets::from_lengths((0..count).map(|pair| places(pair).count()));
        let at: Vec<[usize; 2]> = (0..pairs.len()).flat_map(places).collect();
        let response = |[pair, response]: [usize; 2]| &pairs[pair].responses[response];
        let offsets = Offsets::from_lengths(at.iter().map(|&place| response(place).tokens.len()));
        // A kind of which nothing was computed is left out, and the loss says if it needs it.
        let gather = |values: &Option<Values>| {
            let values = values.as_ref()?;
            let all: Vec<f32> = at
                .iter()
                .flat_map(|&place| values.of(place))
                .copied()
                .collect();
            (all.len() == offsets.tokens()).then_some(all)
        };
        Self {
            log_prob: gather(&known.log_prob),
            ref_log_prob: gather(&known.ref_log_prob),
            ref_kl: gather(&known.ref_kl),
            weight: marks(&at, response, |r| r.weight.as_deref()),
            phrase: marks(&at, response, |r| r.phrase.as_deref()),
            at,
            offsets,
            rows,
        }
    }

    fn responses(&self, kind: Kind) -> Responses<'_> {
        Responses {
            // Rows outside the pairs belong to none.
            rows: (kind != Kind::General).then_some(&self.rows),
            log_prob: self.log_prob.as_deref(),
            ref_log_prob: self.ref_log_prob.as_deref(),
            weight: self.weight.as_deref(),
            ref_kl: self.ref_kl.as_deref(),
            phrase: self.phrase.as_deref(),
            ..Responses::new(&self.offsets)
        }
    }
}

/// What every response of a kind says of its tokens; none where one does not.
fn marks<'a, T: Copy + 'a>(
    at: &[[usize; 2]],
    response: impl Fn([usize; 2]) -> &'a Response,
    of: impl Fn(&'a Response) -> Option<&'a [T]>,
) -> Option<Vec<T>> {
    let all: Option<Vec<&[T]>> = at.iter().map(|&place| of(response(place))).collect();
    Some(all?.concat())
}
