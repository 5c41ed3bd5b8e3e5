//! An answer, and how it goes to the network.

use std::convert::Infallible;
use std::io;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderValue;

use super::file_body::FileBody;

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// What it holds.
    pub body: Content,
}

/// What an answer holds.
#[derive(Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// An open file of so many bytes: it is read piece by piece, as fast as the visitor takes it.
    File(std::fs::File, u64),
}

impl Response {
    /// An answer of these bytes.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            body: Content::Bytes(body.into()),
        }
    }

    /// `{"error": message}`.
    pub fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "error": message }).to_string();
        Self::new(status, "application/json", body)
    }

    pub(super) fn len(&self) -> u64 {
        match &self.body {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        }
    }

    /// An answer that no browser keeps, guesses the type of, or shows inside another page.
    pub(super) fn into_hyper(self) -> hyper::Response<BoxBody<Bytes, io::Error>> {
        let body = match self.body {
            Content::Bytes(bytes) => {
                let never = |never: Infallible| match never {};
                Full::new(Bytes::from(bytes)).map_err(never).boxed()
            }
            Content::File(file, len) => FileBody::new(file, len).boxed(),
        };
        let mut response = hyper::Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in [
            ("content-type", self.content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("connection", "close"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}
