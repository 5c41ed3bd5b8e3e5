//! Samples that are not being decoded: those that have not started, and those that were preempted.

use std::collections::BTreeMap;

use super::computed::ComputedPrompt;
use super::partial::PartialRollout;

/// A sample that may start or go on.
pub(crate) struct WaitingSequence {
    pub prompt: usize,
    pub sample: usize,
    /// What it has sampled before it was preempted.
    pub partial: Option<PartialRollout>,
}

/// Jobs in order of (prompt, sample), the preempted ones first: they are older than all that have not started.
pub(crate) struct Waiting {
    next: usize,
    total: usize,
    n: usize,
    preempted: BTreeMap<(usize, usize), PartialRollout>,
    /// ComputedPrompt prompts that have unstarted samples: at most one after each admission.
    computed: Vec<(usize, ComputedPrompt)>,
}

impl Waiting {
    pub fn new(prompts: usize, n: usize) -> Self {
        Self {
            next: 0,
            total: prompts * n,
            n,
            preempted: BTreeMap::new(),
            computed: Vec::new(),
        }
    }

    /// The next job's prompt and how many tokens it has sampled.
    pub fn peek(&self) -> Option<(usize, usize)> {
        if let Some((&(prompt, _), partial)) = self.preempted.first_key_value() {
            return Some((prompt, partial.rollout.tokens.len()));
        }
        (self.next < self.total).then(|| (self.next / self.n, 0))
    }

    /// The next job.
    pub fn take(&mut self) -> Option<WaitingSequence> {
        if let Some(((prompt, sample), partial)) = self.preempted.pop_first() {
            return Some(WaitingSequence {
                prompt,
                sample,
                partial: Some(partial),
            });
        }
        let job = (self.next < self.total).then_some(self.next)?;
        self.next += 1;
        Some(WaitingSequence {
            prompt: job / self.n,
            sample: job % self.n,
            partial: None,
        })
    }

    /// Takes back a sequence that goes on later.
    pub fn preempt(&mut self, partial: PartialRollout) {
        self.preempted.insert(partial.place(), partial);
    }

    /// Tokens that the preempted ones have sampled.
    pub fn tokens(&self) -> usize {
        let partial = self.preempted.values();
        partial.map(|partial| partial.rollout.tokens.len()).sum()
    }

    /// The prompt, where it is computed.
    pub fn computed(&self, prompt: usize) -> Option<&ComputedPrompt> {
        let mut all = self.computed.iter();
        all.find(|(index, _)| *index == prompt)
            .map(|(_, computed)| computed)
    }

    /// Keeps a computed prompt for its samples.
    pub fn keep(&mut self, prompt: usize, computed: ComputedPrompt) {
        self.computed.push((prompt, computed));
    }

    /// Drops the prompts whose samples have all started.
    pub fn settle(&mut self) {
        let (next, n) = (self.next, self.n);
        self.computed.retain(|(prompt, _)| next < (prompt + 1) * n);
    }

    /// Drops all computed prompts; whether there was one.
    pub fn drop_computed(&mut self) -> bool {
        let held = !self.computed.is_empty();
        self.computed.clear();
        held
    }
}
