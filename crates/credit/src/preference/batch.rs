//! What is known about a batch of preference pairs.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Kind, PreferenceNeeds};
use crate::{Error, Offsets, signals::same_length};

/// The responses of one kind, of all pairs: ragged per-token slices (`[tokens]`, natural logarithms),
/// cut into rows by `offsets`.
///
/// Who has only the log-probability of a whole response passes rows of one entry and says in `length`
/// how many tokens it is the sum of.
#[derive(Clone, Copy, Debug)]
pub struct Responses<'a> {
    /// Where each response's tokens are.
    pub offsets: &'a Offsets,
    /// `[pairs]` which responses belong to which pair. None: one per pair, in order.
    pub rows: Option<&'a Offsets>,
    /// `[tokens]` log-probability under the policy being trained.
    pub log_prob: Option<&'a [f32]>,
    /// `[tokens]` log-probability under the reference.
    pub ref_log_prob: Option<&'a [f32]>,
    /// `[tokens]` factor of the token in the sums over a response, in policy and reference alike:
    /// segments that were corrected (RLHF-V, CHiP) or scored (OPA-DPO). None: 1.
    pub weight: Option<&'a [f32]>,
    /// `[tokens]` `KL(π_ref ‖ π_θ)` of the next-token distributions, in nats.
    pub ref_kl: Option<&'a [f32]>,
    /// `[tokens]` number of the phrase that the token belongs to; 0 for none. Phrases of equal number
    /// in the chosen and the rejected response of a pair are aligned.
    pub phrase: Option<&'a [u32]>,
    /// `[rows]` tokens of the response, where an entry is the sum over several. None: as many as the
    /// row has entries.
    pub length: Option<&'a [usize]>,
}

impl<'a> Responses<'a> {
    /// Responses about which nothing is known yet.
    pub fn new(offsets: &'a Offsets) -> Self {
        Self {
            offsets,
            rows: None,
            log_prob: None,
            ref_log_prob: None,
            weight: None,
            ref_kl: None,
            phrase: None,
            length: None,
        }
    }

    /// Rows of `pair`.
    pub fn of_pair(&self, pair: usize) -> Range<usize> {
        self.rows.map_or(pair..pair + 1, |rows| rows.row(pair))
    }

    /// Tokens of `row`.
    pub fn tokens(&self, row: usize) -> usize {
        self.length
            .map_or_else(|| self.offsets.row(row).len(), |length| length[row])
    }

    fn one_per_pair(&self, kind: Kind) -> Result<(), Error> {
        let counts = self.rows.into_iter().flat_map(Offsets::lengths);
        for found in counts.filter(|&count| count != 1) {
            same_length(kind.name(), found, 1, "response in each pair")?;
        }
        Ok(())
    }

    fn check(&self, kind: Kind, pairs: usize) -> Result<(), Error> {
        match self.rows {
            Some(rows) => {
                same_length("rows", rows.rows(), pairs, "pairs")?;
                same_length("offsets", self.offsets.rows(), rows.tokens(), "rows")?;
            }
            None if kind == Kind::General => {}
            None => same_length(kind.name(), self.offsets.rows(), pairs, "pairs")?,
        }
        let tokens = self.offsets.tokens();
        for (field, found) in [
            ("log_prob", self.log_prob.map(<[f32]>::len)),
            ("ref_log_prob", self.ref_log_prob.map(<[f32]>::len)),
            ("weight", self.weight.map(<[f32]>::len)),
            ("ref_kl", self.ref_kl.map(<[f32]>::len)),
            ("phrase", self.phrase.map(<[u32]>::len)),
        ] {
            same_length(field, found.unwrap_or(tokens), tokens, "tokens")?;
        }
        let rows = self.offsets.rows();
        same_length(
            "length",
            self.length.map_or(rows, <[usize]>::len),
            rows,
            "rows",
        )
    }
}

/// A batch of preference pairs: some kinds of response, and what is known of each pair. End literals
/// with `..PreferenceBatch::default()`.
#[derive(Clone, Debug, Default)]
pub struct PreferenceBatch<'a> {
    /// Number of pairs.
    pub pairs: usize,
    /// The responses by kind.
    pub responses: BTreeMap<Kind, Responses<'a>>,
    /// `[pairs]` similarity of picture and text by CLIP, chosen minus rejected answer (DAMA).
    pub clip_gap: Option<&'a [f32]>,
    /// `[pairs]` how sure the annotator is, from 0 to 1 (V-DPO).
    pub confidence: Option<&'a [f32]>,
    /// `[pairs]` independent uniform numbers in (0, 1), from the trainer's generator (DAMA).
    pub draw: Option<&'a [f64]>,
}

impl PreferenceBatch<'_> {
    /// Refuses slices that do not fit each other.
    pub fn check_shapes(&self) -> Result<(), Error> {
        for (&kind, responses) in &self.responses {
            responses.check(kind, self.pairs)?;
        }
        for (field, found) in [
            ("clip_gap", self.clip_gap.map(<[f32]>::len)),
            ("confidence", self.confidence.map(<[f32]>::len)),
            ("draw", self.draw.map(<[f64]>::len)),
        ] {
            same_length(field, found.unwrap_or(self.pairs), self.pairs, "pairs")?;
        }
        Ok(())
    }

    /// Refuses slices that do not fit, and a batch without what the loss `needed_by` reads.
    pub(super) fn check(
        &self,
        needs: &PreferenceNeeds,
        needed_by: &'static str,
    ) -> Result<(), Error> {
        self.check_shapes()?;
        let missing = |field| Err(Error::Missing { field, needed_by });
        for (&kind, needs) in &needs.kinds {
            let Some(found) = self.responses.get(&kind) else {
                return missing(kind.name());
            };
            if !needs.many {
                found.one_per_pair(kind)?;
            }
            for (field, wanted, there) in [
                ("log_prob", needs.log_prob, found.log_prob.is_some()),
                (
                    "ref_log_prob",
                    needs.ref_log_prob,
                    found.ref_log_prob.is_some(),
                ),
                ("ref_kl", needs.ref_kl, found.ref_kl.is_some()),
                ("phrase", needs.phrase, found.phrase.is_some()),
            ] {
                if wanted && !there {
                    return missing(field);
                }
            }
        }
        for (field, wanted, there) in [
            ("clip_gap", needs.clip_gap, self.clip_gap.is_some()),
            ("confidence", needs.confidence, self.confidence.is_some()),
            ("draw", needs.draw, self.draw.is_some()),
        ] {
            if wanted && !there {
                return missing(field);
            }
        }
        let sums = |kind| self.responses.get(kind).is_some_and(|r| r.length.is_some());
        if needs.per_token && needs.kinds.keys().any(sums) {
            return missing("log-probabilities of single tokens (leave `length` out)");
        }
        Ok(())
    }
}
