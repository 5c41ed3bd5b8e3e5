//! What a service answers: JSON.

use std::time::Duration;

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What it says.
    pub body: Value,
    /// When a refused client may come back.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// 200.
    pub fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body,
            retry_after: None,
        }
    }

    /// A refusal, in the form that clients of OpenAI's API read.
    pub fn error(status: u16, message: &str) -> Self {
        let kind = match status {
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        Self {
            status,
            body: json!({"error": {"message": message, "type": kind, "code": status}}),
            retry_after: None,
        }
    }

    /// 429, with the time after which to come back.
    pub fn busy(message: &str, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::error(429, message)
        }
    }

    pub(super) fn into_hyper(self) -> hyper::Response<Full<Bytes>> {
        let body = Full::new(Bytes::from(self.body.to_string()));
        let mut response = hyper::Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if let Some(pause) = self.retry_after {
            // Whole seconds, and never 0: a client that comes back at once is refused again.
            let seconds = pause.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        response
    }
}
