//! Samples that have not started yet.

use std::sync::Arc;

use percept_model::Prefix;

/// A computed prompt: of the sampler's model, and of the second one where there is one.
#[derive(Clone)]
pub(crate) struct Prefixes {
    pub own: Arc<Prefix>,
    pub base: Option<Arc<Prefix>>,
}

/// Jobs (prompt, sample) in order, and the prefixes that still have samples to start.
pub(crate) struct Waiting {
    next: usize,
    total: usize,
    n: usize,
    /// Only the prompts of unstarted samples are here: at most one after each admission.
    prefixes: Vec<(usize, Prefixes)>,
}

impl Waiting {
    pub(crate) fn new(prompts: usize, n: usize) -> Self {
        Self {
            next: 0,
            total: prompts * n,
            n,
            prefixes: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, free: usize) -> Vec<(usize, usize)> {
        let end = self.total.min(self.next + free);
        let jobs = (self.next..end)
            .map(|job| (job / self.n, job % self.n))
            .collect();
        self.next = end;
        jobs
    }

    pub(crate) fn has_prefix(&self, prompt: usize) -> bool {
        self.prefixes.iter().any(|(index, _)| *index == prompt)
    }

    pub(crate) fn keep(&mut self, prompt: usize, prefixes: Prefixes) {
        self.prefixes.push((prompt, prefixes));
    }

    /// The prefixes of a job; they are given away with the prompt's last sample.
    pub(crate) fn prefixes_of(&mut self, prompt: usize, sample: usize) -> Prefixes {
        let at = self
            .prefixes
            .iter()
            .position(|(index, _)| *index == prompt)
            .expect("admit computes the prefix of every job that it takes");
        if sample + 1 == self.n {
            self.prefixes.swap_remove(at).1
        } else {
            self.prefixes[at].1.clone()
        }
    }
}
