//! How far a project is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::agreement::Agreement;
use crate::work::{Overlap, State, Works};

/// Pieces of work by how far they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the making.
    pub open: usize,
    /// Done, not reviewed.
    pub submitted: usize,
    /// Given back by a reviewer.
    pub returned: usize,
    /// Accepted by a reviewer …
    pub accepted: usize,
    /// … after the reviewer changed something.
    pub corrected: usize,
}

/// How far a project is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Frame pairs.
    pub pairs: usize,
    /// Pieces of work that are wanted: a pair for an annotator.
    pub wanted: usize,
    /// All annotators.
    pub all: Counts,
    /// Each annotator.
    pub annotators: BTreeMap<String, Counts>,
    /// How far annotators agree.
    pub agreement: Agreement,
}

impl Status {
    /// Of all work.
    pub fn of(works: &Works, overlap: &Overlap) -> Self {
        let pairs = works.project().pairs().len();
        let mut annotators: BTreeMap<String, Counts> = BTreeMap::new();
        let mut all = Counts::default();
        for entry in works.entries() {
            let own = annotators.entry(entry.annotator.to_owned()).or_default();
            for counts in [own, &mut all] {
                match entry.work.state {
                    State::Free => {}
                    State::Open => counts.open += 1,
                    State::Submitted => counts.submitted += 1,
                    State::Returned { .. } => counts.returned += 1,
                    State::Accepted { .. } => {
                        counts.accepted += 1;
                        counts.corrected += usize::from(entry.work.corrected_by.is_some());
                    }
                }
            }
        }
        Self {
            pairs,
            wanted: (0..pairs).map(|at| overlap.wanted(at)).sum(),
            all,
            annotators,
            agreement: Agreement::of(works),
        }
    }
}
