//! The pairs of a step.

use percept_http::server::{Request, Response};
use serde_json::json;

use crate::page;
use crate::serve::cache::Cache;
use crate::serve::query::Query;
use crate::{Error, PairRecord, RunDir, read_pairs};

/// A page of pairs; `margin=negative` keeps those of which the policy prefers the wrong side.
pub(super) fn pairs(
    run: &RunDir,
    cache: &Cache<PairRecord>,
    request: &Request,
) -> Result<Response, Error> {
    let steps = run.pair_steps()?;
    let query = match Query::read(request, &steps, "pairs") {
        Ok(query) => query,
        Err(refusal) => return Ok(refusal),
    };
    let only_negative = match request.parameter("margin") {
        None | Some("") => false,
        Some("negative") => true,
        Some(_) => return Ok(Response::error(400, "margin is `negative`, or left out")),
    };
    let all = match query.step {
        Some(step) => cache.rows(&run.pairs_of(step), read_pairs)?,
        None => Default::default(),
    };
    let negative = |pair: &&PairRecord| pair.margin().is_some_and(|margin| margin < 0.0);
    let found: Vec<&PairRecord> = all
        .iter()
        .filter(|pair| !only_negative || negative(pair))
        .collect();
    let mut answer = page::pairs(&query.page(&found), usize::MAX);
    answer["steps"] = json!(steps);
    answer["step"] = json!(query.step);
    answer["counts"] = json!({"all": all.len(), "negative": all.iter().filter(negative).count()});
    answer["offset"] = json!(query.offset);
    answer["total"] = json!(found.len());
    Ok(Response::new(200, "application/json", answer.to_string()))
}
