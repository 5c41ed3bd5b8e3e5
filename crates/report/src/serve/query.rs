//! What a visitor asks of a step's rows.

use percept_http::server::{Request, Response};

const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

/// A page of the rows of one step.
pub(super) struct Query {
    /// The step; none where nothing was stored yet.
    pub step: Option<u64>,
    /// First row of the page.
    pub offset: usize,
    /// Rows of the page.
    pub limit: usize,
}

impl Query {
    /// Reads `step`, `offset` and `limit`; the last step where none is named. `what` was stored stands in errors.
    pub(super) fn read(request: &Request, steps: &[u64], what: &str) -> Result<Self, Response> {
        let step = match request.parameter("step").map(str::parse::<u64>) {
            None => steps.last().copied(),
            Some(Ok(step)) if steps.contains(&step) => Some(step),
            Some(_) => {
                let message = format!("no {what} were stored for this step");
                return Err(Response::error(404, &message));
            }
        };
        let number = |name, default| match request.parameter(name) {
            None => Some(default),
            Some(text) => text.parse::<usize>().ok(),
        };
        let (Some(offset), Some(limit)) = (number("offset", 0), number("limit", PAGE)) else {
            return Err(Response::error(400, "offset and limit are whole numbers"));
        };
        Ok(Self {
            step,
            offset,
            limit: limit.min(MAX_PAGE),
        })
    }

    /// The rows of the page.
    pub(super) fn page<T: Clone>(&self, found: &[&T]) -> Vec<T> {
        let page = found.iter().skip(self.offset).take(self.limit);
        page.map(|&row| row.clone()).collect()
    }
}
