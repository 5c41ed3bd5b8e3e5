//! The rollouts of a step.

use percept_http::server::{Request, Response};
use serde_json::{Value, json};

use crate::page;
use crate::run::{RolloutRecord, Verdict};
use crate::serve::cache::Cache;
use crate::serve::query::Query;
use crate::{Error, RunDir, read_rollouts};

/// A page of rollouts, as the request filters them, with the counts of all.
pub(super) fn rollouts(
    run: &RunDir,
    cache: &Cache<RolloutRecord>,
    request: &Request,
) -> Result<Response, Error> {
    let steps = run.rollout_steps()?;
    let query = match Query::read(request, &steps, "rollouts") {
        Ok(query) => query,
        Err(refusal) => return Ok(refusal),
    };
    let all = match query.step {
        Some(step) => cache.rows(&run.rollouts_of(step), read_rollouts)?,
        None => Default::default(),
    };
    let mut types: Vec<&str> = all
        .iter()
        .filter_map(|r| r.question_type.as_deref())
        .collect();
    types.sort_unstable();
    types.dedup();
    let kind = request.parameter("question_type");
    let typed: Vec<&RolloutRecord> = all
        .iter()
        .filter(|r| kind.is_none() || r.question_type.as_deref() == kind)
        .collect();
    let verdict = request.parameter("verdict");
    let found: Vec<&RolloutRecord> = typed
        .iter()
        .copied()
        .filter(|r| verdict.is_none_or(|v| v == r.verdict().name()))
        .collect();
    let mut answer = page::rollouts(&query.page(&found), usize::MAX);
    answer["steps"] = json!(steps);
    answer["step"] = json!(query.step);
    answer["types"] = json!(types);
    answer["counts"] = counts(&typed);
    answer["offset"] = json!(query.offset);
    answer["total"] = json!(found.len());
    Ok(Response::new(200, "application/json", answer.to_string()))
}

fn counts(rollouts: &[&RolloutRecord]) -> Value {
    let count = |verdict| rollouts.iter().filter(|r| r.verdict() == verdict).count();
    json!({
        "right": count(Verdict::Right),
        "partial": count(Verdict::Partial),
        "wrong": count(Verdict::Wrong),
        "ungraded": count(Verdict::Ungraded),
    })
}
