//! The signals of one rollout batch: what the credit is assigned from, each computed only when a
//! part of the algorithm asks for it.
//!
//! | signal | forward pass |
//! |---|---|
//! | log-probability under the sampler | none: the sampler reports it |
//! | log-probability and entropy before the update, nucleus entropy | one, without gradient |
//! | log-probability without the image | one more, of the prompt without its image |
//! | log-probability under the reference | one more, of the reference |
//! | visual entropy | the vision tower, once per distinct image |

use std::time::Instant;

use percept_credit::{Mismatch, Needs, Offsets, Signals};
use percept_model::Prompt;

use crate::batch::pack::PackItem;
use crate::policy::values::{TokenValues, Weights};
use crate::policy::{LocalModel, Policy};
use crate::stages::rl::group::Group;
use crate::stages::rl::setup::Setup;
use crate::stages::rl::visual_entropy;
use crate::{Error, OldLogProb};

/// The signals of one rollout batch, owned: rows are responses in the order of the groups.
pub(crate) struct Batch {
    pub offsets: Offsets,
    pub group: Vec<usize>,
    pub rewards: Vec<Option<f64>>,
    pub mask: Vec<bool>,
    /// `[rows]` whether the row is an expert's trajectory.
    pub is_expert: Vec<bool>,
    pub rollout_log_prob: Vec<f32>,
    pub old_log_prob: Vec<f32>,
    pub ref_log_prob: Option<Vec<f32>>,
    /// Entropy under the trainer before the first update; NaN where no forward pass was needed.
    pub entropy: Vec<f32>,
    /// Log-probability under the trainer before the first update; NaN likewise.
    pub trainer_log_prob: Vec<f32>,
    pub nucleus_entropy: Option<Vec<f32>>,
    pub log_prob_no_image: Option<Vec<f32>>,
    pub visual_entropy: Option<Vec<f64>>,
    /// Seconds of each pass, and tokens through all of them.
    pub cost: Cost,
}

/// What the signals cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub old_log_prob: f64,
    pub reference: f64,
    pub no_image: f64,
    pub visual_entropy: f64,
    pub tokens: usize,
}

impl Batch {
    /// The signals of `groups` that the recipe asks for.
    ///
    /// # Errors
    /// [`Error::Model`] when a prompt does not fit the model.
    pub fn of<P: Policy + LocalModel>(
        setup: &Setup<'_>,
        policy: &P,
        groups: &[Group],
    ) -> Result<Self, Error> {
        let mut batch = Self::sampled(groups);
        let needs = setup.algorithm().credit().needs();
        let recompute = setup.config.old_log_prob == OldLogProb::Recompute;
        if recompute || needs.entropy || needs.nucleus_entropy.is_some() {
            batch.before_update(setup, policy, &needs, recompute, groups)?;
        }
        if setup.algorithm().loss.needs_ref_log_prob() {
            batch.reference(setup, policy, groups)?;
        }
        if needs.no_image {
            batch.without_image(setup, policy, groups)?;
        }
        if needs.visual_entropy {
            let clock = Instant::now();
            let prompts = groups.iter().map(|group| group.prompt.as_ref());
            let found = visual_entropy::of_prompts(policy.model(), prompts)?;
            batch.visual_entropy = Some(batch.group.iter().map(|&group| found[group]).collect());
            batch.cost.visual_entropy = clock.elapsed().as_secs_f64();
        }
        Ok(batch)
    }

    /// What is known without a forward pass.
    fn sampled(groups: &[Group]) -> Self {
        let rollouts = || groups.iter().flat_map(|g| &g.rollouts);
        let offsets = Offsets::from_lengths(rollouts().map(|r| r.tokens.len()));
        let rollout_log_prob: Vec<f32> = rollouts()
            .flat_map(|r| r.log_probs.iter().copied())
            .collect();
        Self {
            group: groups
                .iter()
                .enumerate()
                .flat_map(|(index, g)| std::iter::repeat_n(index, g.rollouts.len()))
                .collect(),
            rewards: groups
                .iter()
                .flat_map(|g| g.scores.iter().copied())
                .collect(),
            is_expert: groups.iter().flat_map(Group::is_expert).collect(),
            mask: vec![true; offsets.tokens()],
            old_log_prob: rollout_log_prob.clone(),
            ref_log_prob: None,
            entropy: vec![f32::NAN; offsets.tokens()],
            trainer_log_prob: vec![f32::NAN; offsets.tokens()],
            rollout_log_prob,
            nucleus_entropy: None,
            log_prob_no_image: None,
            visual_entropy: None,
            cost: Cost::default(),
            offsets,
        }
    }

    fn before_update(
        &mut self,
        setup: &Setup<'_>,
        policy: &impl Policy,
        needs: &Needs,
        recompute: bool,
        groups: &[Group],
    ) -> Result<(), Error> {
        let clock = Instant::now();
        let items: Vec<PackItem<'_>> = groups.iter().map(Group::item).collect();
        let top_p = needs.nucleus_entropy;
        let found = setup.score(policy, &items, Weights::Current, top_p)?;
        let values = found.values;
        self.cost.tokens += found.tokens;
        self.cost.old_log_prob = clock.elapsed().as_secs_f64();
        if recompute {
            self.old_log_prob.clone_from(&values.log_prob);
        }
        self.trainer_log_prob = values.log_prob;
        self.entropy = values.entropy;
        self.nucleus_entropy = values.nucleus_entropy;
        Ok(())
    }

    fn reference(
        &mut self,
        setup: &Setup<'_>,
        policy: &impl Policy,
        groups: &[Group],
    ) -> Result<(), Error> {
        let clock = Instant::now();
        let items: Vec<PackItem<'_>> = groups.iter().map(Group::item).collect();
        let found = setup.score(policy, &items, Weights::Reference, None)?;
        self.cost.tokens += found.tokens;
        self.cost.reference = clock.elapsed().as_secs_f64();
        self.ref_log_prob = Some(found.values.log_prob);
        Ok(())
    }

    /// The same responses after the same question, with the image taken away; NaN in groups
    /// that have none.
    fn without_image(
        &mut self,
        setup: &Setup<'_>,
        policy: &impl Policy,
        groups: &[Group],
    ) -> Result<(), Error> {
        let clock = Instant::now();
        let ablation = setup.algorithm().image_ablation;
        let prompts = groups
            .iter()
            .map(|group| group.without_image(setup.processor, ablation))
            .collect::<Result<Vec<Option<Prompt>>, Error>>()?;
        let items: Vec<PackItem<'_>> = groups
            .iter()
            .zip(&prompts)
            .filter_map(|(group, prompt)| {
                Some(PackItem {
                    prompt: prompt.as_ref()?,
                    ..group.item()
                })
            })
            .collect();
        let found = setup.score(policy, &items, Weights::Current, None)?;
        let mut found_log_prob = found.values.log_prob.into_iter();
        let mut out = vec![f32::NAN; self.offsets.tokens()];
        for (row, range) in self.offsets.iter().enumerate() {
            if prompts[self.group[row]].is_some() {
                out[range].fill_with(|| found_log_prob.next().unwrap_or(f32::NAN));
            }
        }
        self.log_prob_no_image = Some(out);
        self.cost.tokens += found.tokens;
        self.cost.no_image = clock.elapsed().as_secs_f64();
        Ok(())
    }

    /// For the assignment of credit.
    pub fn signals(&self) -> Signals<'_> {
        let known = |signal: &'_ [f32]| signal.iter().all(|x| !x.is_nan());
        Signals {
            offsets: &self.offsets,
            group: &self.group,
            rewards: &self.rewards,
            mask: &self.mask,
            log_prob: &self.old_log_prob,
            old_log_prob: &self.old_log_prob,
            rollout_log_prob: Some(&self.rollout_log_prob),
            ref_log_prob: self.ref_log_prob.as_deref(),
            ref_kl: None,
            entropy: known(&self.entropy).then_some(self.entropy.as_slice()),
            nucleus_entropy: self.nucleus_entropy.as_deref(),
            log_prob_no_image: self.log_prob_no_image.as_deref(),
            visual_entropy: self.visual_entropy.as_deref(),
            is_expert: Some(&self.is_expert),
        }
    }

    /// Rows of a group.
    pub fn rows_of(&self, group: usize) -> std::ops::Range<usize> {
        let start = self.group.partition_point(|&g| g < group);
        start..self.group.partition_point(|&g| g <= group)
    }

    /// Keeps the trainer's own view of the rows before the first update.
    pub fn remember(&mut self, rows: &[usize], values: &TokenValues) {
        let mut at = 0;
        for &row in rows {
            let range = self.offsets.row(row);
            let part = at..at + range.len();
            self.entropy[range.clone()].copy_from_slice(&values.entropy[part.clone()]);
            self.trainer_log_prob[range.clone()].copy_from_slice(&values.log_prob[part]);
            at += range.len();
        }
    }

    /// Sampler against trainer before the first update, over the policy's own rows of `rows`.
    pub fn mismatch(&self, rows: &[usize]) -> Result<Mismatch, Error> {
        let own: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|&row| !self.is_expert[row])
            .collect();
        let trainer = self.offsets.gather(&own, &self.trainer_log_prob);
        let rollout = self.offsets.gather(&own, &self.rollout_log_prob);
        Ok(Mismatch::of(
            &trainer,
            &rollout,
            &vec![true; trainer.len()],
        )?)
    }
}
