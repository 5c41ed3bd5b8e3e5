//! Samples that are not being decoded: those that have not started, and those that were preempted.

use std::collections::BTreeMap;

use super::computed::Computed;
use super::partial::PartialRollout;

/// A sample that may start or go on.
pub(crate) struct Job {
    pub prompt: usize,
    pub sample: usize,
    /// What it has said before it was preempted.
    pub said: Option<PartialRollout>,
}

/// Jobs in order of (prompt, sample), the preempted ones first: they are older than all that have not started.
pub(crate) struct Waiting {
    next: usize,
    total: usize,
    n: usize,
    preempted: BTreeMap<(usize, usize), PartialRollout>,
    /// Computed prompts that have unstarted samples: at most one after each admission.
    computed: Vec<(usize, Computed)>,
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

    /// The next job's prompt and how many tokens it has said.
    pub fn peek(&self) -> Option<(usize, usize)> {
        if let Some((&(prompt, _), said)) = self.preempted.first_key_value() {
            return Some((prompt, said.rollout.tokens.len()));
        }
        (self.next < self.total).then(|| (self.next / self.n, 0))
    }

    /// The next job.
    pub fn take(&mut self) -> Option<Job> {
        if let Some(((prompt, sample), said)) = self.preempted.pop_first() {
            return Some(Job {
                prompt,
                sample,
                said: Some(said),
            });
        }
        let job = (self.next < self.total).then_some(self.next)?;
        self.next += 1;
        Some(Job {
            prompt: job / self.n,
            sample: job % self.n,
            said: None,
        })
    }

    /// Takes back a sequence that goes on later.
    pub fn preempt(&mut self, said: PartialRollout) {
        self.preempted.insert(said.place(), said);
    }

    /// Tokens that the preempted ones have said.
    pub fn tokens(&self) -> usize {
        let said = self.preempted.values();
        said.map(|said| said.rollout.tokens.len()).sum()
    }

    /// The prompt, where it is computed.
    pub fn computed(&self, prompt: usize) -> Option<&Computed> {
        let mut all = self.computed.iter();
        all.find(|(index, _)| *index == prompt)
            .map(|(_, computed)| computed)
    }

    /// Keeps a computed prompt for its samples.
    pub fn keep(&mut self, prompt: usize, computed: Computed) {
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
