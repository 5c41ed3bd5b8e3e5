//! Verdicts of a process.

use serde_json::Map;

use super::request::Request;
use super::session::Session;
use crate::{Answer, GroupVerifier, Verdict, Verifier, rows_that_share};

/// A process that judges, under the name of its kind.
pub(super) struct ProcessVerifier {
    pub(super) name: &'static str,
    pub(super) session: Session,
    /// The column whose value rows share that it judges together.
    pub(super) group_by: Option<String>,
}

impl Verifier for ProcessVerifier {
    fn name(&self) -> &str {
        self.name
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        self.session.judge(batch)
    }

    fn groups(&self) -> Option<&dyn GroupVerifier> {
        self.group_by.is_some().then_some(self)
    }

    fn messages(&self) -> Vec<String> {
        self.session.messages()
    }

    fn reads_alternatives(&self) -> bool {
        true // passed on as the list that the row has
    }

    // What compares responses with each other reads the rows' columns.
    fn needs_ground_truth(&self) -> bool {
        self.group_by.is_none()
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl GroupVerifier for ProcessVerifier {
    fn verify_groups(&self, groups: &[&[Answer<'_>]]) -> Vec<Vec<Verdict>> {
        let empty = Map::new();
        let rows = groups
            .iter()
            .map(|group| group.first().map_or(&empty, |answer| answer.meta));
        let column = self.group_by.as_deref().unwrap_or_default();
        let bundles = rows_that_share(column, rows);
        let requests = bundles.iter().map(|bundle| {
            let of_group = |(index, &group): (usize, &usize)| {
                let answers = groups[group].iter().enumerate();
                answers.map(move |(rollout, answer)| Request::placed(answer, index, rollout))
            };
            bundle.iter().enumerate().flat_map(of_group).collect()
        });
        let requests: Vec<Vec<Request<'_>>> = requests.collect();
        let judged = self.session.judge_bundles(&requests);
        let mut verdicts: Vec<Vec<Verdict>> = groups.iter().map(|_| Vec::new()).collect();
        for (bundle, found) in bundles.iter().zip(judged) {
            let mut found = found.into_iter();
            for &group in bundle {
                verdicts[group].extend(found.by_ref().take(groups[group].len()));
            }
        }
        verdicts
    }

    fn group_by(&self) -> Option<&str> {
        self.group_by.as_deref()
    }
}
