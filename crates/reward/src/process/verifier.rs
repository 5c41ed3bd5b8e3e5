//! Verdicts of a process.

use super::session::Session;
use crate::{Answer, Verdict, Verifier};

/// A process that judges, under the name of its kind.
pub(super) struct ProcessVerifier {
    pub(super) name: &'static str,
    pub(super) session: Session,
}

impl Verifier for ProcessVerifier {
    fn name(&self) -> &str {
        self.name
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        self.session.judge(batch)
    }

    fn messages(&self) -> Vec<String> {
        self.session.messages()
    }

    fn reads_alternatives(&self) -> bool {
        true // passed on as the list that the row has
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}
