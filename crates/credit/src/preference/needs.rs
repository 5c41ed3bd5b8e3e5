//! What a preference loss asks of the trainer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Kind;

/// What is needed of one kind of response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindNeeds {
    /// Log-probabilities under the policy.
    pub log_prob: bool,
    /// Whether they carry a gradient. False: a forward pass suffices.
    pub gradient: bool,
    /// Log-probabilities under the reference.
    pub ref_log_prob: bool,
    /// `KL(π_ref ‖ π_θ)` at each token.
    pub ref_kl: bool,
    /// Numbers of aligned phrases.
    pub phrase: bool,
    /// Whether a pair may have any number of them, none included, instead of one.
    pub many: bool,
}

/// What a preference loss reads. A trainer makes the forward passes that are listed and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreferenceNeeds {
    /// By kind of response; kinds that are absent are not looked at.
    pub kinds: BTreeMap<Kind, KindNeeds>,
    /// One log-probability per token instead of one per response.
    pub per_token: bool,
    /// [`super::PreferenceBatch::clip_gap`].
    pub clip_gap: bool,
    /// [`super::PreferenceBatch::confidence`].
    pub confidence: bool,
    /// [`super::PreferenceBatch::draw`].
    pub draw: bool,
    /// The pairs of a mini-batch depend on each other (sorted, or measured against their mean): the
    /// mini-batch cannot be split.
    pub whole_batch: bool,
}

impl PreferenceNeeds {
    /// Policy and reference, trained: what DPO needs of a response.
    pub(super) fn ratio(kinds: &[Kind]) -> Self {
        Self::of(kinds, true)
    }

    /// Policy alone, trained.
    pub(super) fn policy(kinds: &[Kind]) -> Self {
        Self::of(kinds, false)
    }

    fn of(kinds: &[Kind], ref_log_prob: bool) -> Self {
        let needs = KindNeeds {
            log_prob: true,
            gradient: true,
            ref_log_prob,
            ..KindNeeds::default()
        };
        Self {
            kinds: kinds.iter().map(|&kind| (kind, needs)).collect(),
            ..Self::default()
        }
    }

    /// The same, where a pair may have any number of the responses of `kind`.
    pub(super) fn with_many(mut self, kind: Kind) -> Self {
        self.kinds.entry(kind).or_default().many = true;
        self
    }

    /// What is needed of `kind`.
    pub fn of_kind(&self, kind: Kind) -> KindNeeds {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }
}
