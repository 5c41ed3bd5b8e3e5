//! What came of it all.

use std::collections::BTreeMap;

use percept_chat::{Prices, Usage};
use serde::Serialize;

use super::DataReactCot;
use super::ask::Asked;
use crate::shared::output::{note, result, say};
use crate::shared::{Failure, Global, table};

/// Counts over all frames, earlier runs included; `this_run` is what was sent now.
#[derive(Debug, Serialize)]
pub struct Tally {
    pub frames: usize,
    /// Frames with a right trace: the rows of the data set.
    pub kept: usize,
    /// Frames of which an answer is missing.
    pub failed: usize,
    /// Traces that were looked at.
    pub traces: usize,
    /// Traces that were dropped, by reason.
    pub dropped: BTreeMap<&'static str, usize>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub cost: f64,
    pub this_run: Usage,
    /// The first of each reason.
    pub reasons: Vec<String>,
}

impl Tally {
    pub fn of(asked: &Asked, usage: &Usage, prices: &Prices) -> Self {
        Self {
            frames: asked.responses.len(),
            kept: asked.responses.iter().flatten().count(),
            failed: asked.failed,
            traces: asked.traces,
            dropped: asked.dropped.clone(),
            prompt_tokens: asked.prompt_tokens,
            completion_tokens: asked.completion_tokens,
            cost: prices.cost(asked.prompt_tokens, asked.completion_tokens),
            this_run: usage.clone(),
            reasons: asked.reasons.iter().take(10).cloned().collect(),
        }
    }

    pub fn print(&self, args: &DataReactCot, global: &Global) -> Result<(), Failure> {
        if global.json {
            let mut line = serde_json::to_value(self)?;
            line["out"] = args.out.display().to_string().into();
            say!("{line}");
            return Ok(());
        }
        let mut rows = vec![
            ("data set".to_owned(), args.out.display().to_string()),
            ("frames".to_owned(), self.frames.to_string()),
            ("  with reasoning".to_owned(), self.kept.to_string()),
            ("  without an answer".to_owned(), self.failed.to_string()),
            ("traces".to_owned(), self.traces.to_string()),
        ];
        for (why, count) in &self.dropped {
            rows.push((format!("  dropped: {why}"), count.to_string()));
        }
        let now = &self.this_run;
        rows.push((
            "tokens".to_owned(),
            format!("{} in, {} out", self.prompt_tokens, self.completion_tokens),
        ));
        rows.push((
            "this run".to_owned(),
            format!(
                "{} requests, {} answers, {} from the journal",
                now.requests, now.replies, now.cached
            ),
        ));
        if args.calls.price_in > 0.0 || args.calls.price_out > 0.0 {
            let least = if now.uncounted > 0 { "at least " } else { "" };
            let cost = format!("{least}{:.4} (this run {:.4})", self.cost, now.cost);
            rows.push(("cost".to_owned(), cost));
        }
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(k, v)| vec![k, v]).collect();
        result(format_args!("{}", table::format(&rows)))?;
        if !global.quiet {
            for reason in &self.reasons {
                note!("{reason}");
            }
        }
        Ok(())
    }
}
