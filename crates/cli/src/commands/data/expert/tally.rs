//! What came of it all.

use percept_chat::{Prices, Usage};
use serde::Serialize;

use super::DataExpert;
use super::ask::{Candidate, CandidateGrade, Outcome};
use crate::shared::output::say;
use crate::shared::{Failure, Global, table};

/// Counts over all rows, earlier runs included; `this_run` is what was sent now.
#[derive(Debug, Serialize)]
pub struct Tally {
    pub rows: usize,
    /// Rows with a right trajectory.
    pub verified: usize,
    /// Right trajectories in the data set.
    pub trajectories: usize,
    /// Rows whose answer no verifier could judge; they were not asked.
    pub skipped: usize,
    /// Rows with a missing answer.
    pub failed: usize,
    pub candidates: usize,
    pub right: usize,
    pub wrong: usize,
    pub cut: usize,
    pub ungraded: usize,
    /// Share of right ones among the first candidates that were judged: later candidates are asked
    /// only where the first ones were wrong.
    pub accuracy: Option<f64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cost: f64,
    pub this_run: Usage,
    /// The first reasons of `skipped` and `failed`.
    pub reasons: Vec<String>,
}

impl Tally {
    pub fn of(found: &[Outcome], usage: &Usage, prices: &Prices) -> Self {
        let tries = || found.iter().flat_map(|outcome| &outcome.tries);
        let count = |judged: CandidateGrade| tries().filter(|t| t.judged == judged).count();
        let first: Vec<&Candidate> = found
            .iter()
            .filter_map(|outcome| outcome.tries.first())
            .filter(|t| t.judged != CandidateGrade::Ungraded)
            .collect();
        let first_right = first
            .iter()
            .filter(|t| t.judged == CandidateGrade::Right)
            .count();
        let (mut prompt_tokens, mut completion_tokens) = (0, 0);
        for t in tries() {
            prompt_tokens += t.prompt_tokens;
            completion_tokens += t.completion_tokens;
        }
        let reasons = found
            .iter()
            .filter_map(|outcome| outcome.skipped.as_ref().or(outcome.failed.as_ref()));
        Self {
            rows: found.len(),
            verified: found.iter().filter(|o| !o.right.is_empty()).count(),
            trajectories: found.iter().map(|o| o.right.len()).sum(),
            skipped: found.iter().filter(|o| o.skipped.is_some()).count(),
            failed: found.iter().filter(|o| o.failed.is_some()).count(),
            candidates: tries().count(),
            right: count(CandidateGrade::Right),
            wrong: count(CandidateGrade::Wrong),
            cut: count(CandidateGrade::Cut),
            ungraded: count(CandidateGrade::Ungraded),
            accuracy: (!first.is_empty()).then(|| first_right as f64 / first.len() as f64),
            prompt_tokens,
            completion_tokens,
            cost: prices.cost(prompt_tokens, completion_tokens),
            this_run: usage.clone(),
            reasons: reasons.take(5).cloned().collect(),
        }
    }

    pub fn print(&self, args: &DataExpert, global: &Global) -> Result<(), Failure> {
        if global.json {
            let mut line = serde_json::to_value(self)?;
            line["out"] = args.out.display().to_string().into();
            say!("{line}");
            return Ok(());
        }
        let share = |part: usize, whole: usize| match whole {
            0 => format!("{part}"),
            _ => format!("{part} ({:.1} %)", 100.0 * part as f64 / whole as f64),
        };
        let mut rows: Vec<(&str, String)> = vec![
            ("data set", args.out.display().to_string()),
            ("rows", self.rows.to_string()),
            ("  verified", share(self.verified, self.rows)),
            ("  could not be judged", self.skipped.to_string()),
            ("  without an answer", self.failed.to_string()),
            ("candidates", self.candidates.to_string()),
            ("  right", share(self.right, self.candidates)),
            ("  wrong", share(self.wrong, self.candidates)),
            ("  cut", share(self.cut, self.candidates)),
            ("  ungraded", share(self.ungraded, self.candidates)),
        ];
        if let Some(accuracy) = self.accuracy {
            rows.push((
                "accuracy (first candidates)",
                format!("{:.1} %", 100.0 * accuracy),
            ));
        }
        let now = &self.this_run;
        let retries: Vec<String> = now
            .retries
            .iter()
            .map(|(why, n)| format!("{why}: {n}"))
            .collect();
        rows.push((
            "tokens",
            format!("{} in, {} out", self.prompt_tokens, self.completion_tokens),
        ));
        rows.push((
            "this run",
            format!(
                "{} requests, {} answers, {} from the journal",
                now.requests, now.replies, now.cached
            ),
        ));
        if !retries.is_empty() {
            rows.push(("  retries", retries.join(", ")));
        }
        if args.calls.price_in > 0.0 || args.calls.price_out > 0.0 {
            let least = if now.uncounted > 0 { "at least " } else { "" };
            rows.push((
                "cost",
                format!("{least}{:.4} (this run {:.4})", self.cost, now.cost),
            ));
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
        if !global.quiet {
            for reason in &self.reasons {
                crate::shared::output::note!("{reason}");
            }
        }
        Ok(())
    }
}
