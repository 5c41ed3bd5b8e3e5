//! Random batches for the property tests.

use percept_credit::{Offsets, Signals};
use proptest::prelude::*;

/// A batch that owns its arrays. Log-probabilities lie on a grid of 2⁻¹², so that a step of that size
/// is exact in f32.
#[derive(Clone, Debug)]
pub struct Batch {
    pub offsets: Offsets,
    pub group: Vec<usize>,
    pub rewards: Vec<Option<f64>>,
    pub mask: Vec<bool>,
    pub log_prob: Vec<f32>,
    pub old_log_prob: Vec<f32>,
    pub rollout_log_prob: Vec<f32>,
    pub ref_log_prob: Vec<f32>,
    pub entropy: Vec<f32>,
    pub advantage: Vec<f32>,
    pub nucleus_entropy: Vec<f32>,
    pub log_prob_no_image: Vec<f32>,
    pub visual_entropy: Vec<f64>,
}

pub const STEP: f32 = 1.0 / 4096.0;

impl Batch {
    pub fn signals(&self) -> Signals<'_> {
        Signals {
            offsets: &self.offsets,
            group: &self.group,
            rewards: &self.rewards,
            mask: &self.mask,
            log_prob: &self.log_prob,
            old_log_prob: &self.old_log_prob,
            rollout_log_prob: Some(&self.rollout_log_prob),
            ref_log_prob: Some(&self.ref_log_prob),
            entropy: Some(&self.entropy),
            nucleus_entropy: Some(&self.nucleus_entropy),
            log_prob_no_image: Some(&self.log_prob_no_image),
            visual_entropy: Some(&self.visual_entropy),
            ..Signals::default()
        }
    }

    /// The batch that consists of `rows`, in that order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let tokens = |values: &[f32]| self.offsets.gather(rows, values);
        Self {
            offsets: self.offsets.select(rows),
            group: rows.iter().map(|&row| self.group[row]).collect(),
            rewards: rows.iter().map(|&row| self.rewards[row]).collect(),
            mask: self.offsets.gather(rows, &self.mask),
            log_prob: tokens(&self.log_prob),
            old_log_prob: tokens(&self.old_log_prob),
            rollout_log_prob: tokens(&self.rollout_log_prob),
            ref_log_prob: tokens(&self.ref_log_prob),
            entropy: tokens(&self.entropy),
            advantage: tokens(&self.advantage),
            nucleus_entropy: tokens(&self.nucleus_entropy),
            log_prob_no_image: tokens(&self.log_prob_no_image),
            visual_entropy: rows.iter().map(|&row| self.visual_entropy[row]).collect(),
        }
    }
}

fn logs(tokens: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-8192i32..0).prop_map(|steps| steps as f32 * STEP), tokens)
}

/// 1 to 7 rows of 0 to 6 tokens in up to 3 groups; about one row in five ungraded.
pub fn batches() -> impl Strategy<Value = Batch> {
    prop::collection::vec(0usize..7, 1..8).prop_flat_map(|lengths| {
        let (rows, tokens) = (lengths.len(), lengths.iter().sum());
        let reward =
            prop_oneof![4 => (0u8..5).prop_map(|r| Some(f64::from(r) / 4.0)), 1 => Just(None)];
        let per_row = (
            prop::collection::vec(0usize..3, rows),
            prop::collection::vec(reward, rows),
        );
        let per_token = (
            prop::collection::vec(prop::bool::weighted(0.8), tokens),
            logs(tokens),
            logs(tokens),
            logs(tokens),
            logs(tokens),
            prop::collection::vec((0i32..8192).prop_map(|steps| steps as f32 * STEP), tokens),
            prop::collection::vec(-2.0f32..2.0, tokens),
        );
        (per_row, per_token).prop_map(move |((group, rewards), per_token)| {
            let (mask, log_prob, old_log_prob, rollout_log_prob, ref_log_prob, entropy, advantage) =
                per_token;
            // Signals of their own, whatever the others are.
            let nucleus_entropy = entropy.iter().map(|h| (h * 7.0).fract()).collect();
            let log_prob_no_image = ref_log_prob.iter().map(|x| x * 1.5).collect();
            let visual_entropy = group.iter().map(|&g| 0.5 + 0.25 * g as f64).collect();
            Batch {
                nucleus_entropy,
                log_prob_no_image,
                visual_entropy,
                offsets: Offsets::from_lengths(lengths.iter().copied()),
                group,
                rewards,
                mask,
                log_prob,
                old_log_prob,
                rollout_log_prob,
                ref_log_prob,
                entropy,
                advantage,
            }
        })
    })
}
