//! What a failed attempt means: try again, or do not.

use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

use crate::HttpError;
use crate::error_body::ErrorBody;
use crate::retry::retry_after;
use crate::secrets::Secrets;

/// Why an attempt brought no answer.
pub enum AttemptError {
    /// Try again, after this pause if the server named one.
    Retry {
        /// What failed, for counting: `429`, `503`, `timeout`, `connection`, `body`.
        kind: String,
        /// The failure in words.
        what: String,
        /// The pause that the server asks for.
        wait: Option<Duration>,
    },
    /// The next attempt would fail as well.
    Fatal(HttpError),
}

impl AttemptError {
    /// What an error status means; `message` and `code` are the server's, `keyed` says whether a
    /// key was sent. The row is named by who knows it.
    pub(crate) fn of_status(
        url: &str,
        status: u16,
        headers: &HeaderMap,
        ErrorBody { message, code }: ErrorBody,
        keyed: bool,
    ) -> Self {
        // OpenAI says "no credit left" with the status of "too fast".
        let broke = code.as_deref() == Some("insufficient_quota");
        if matches!(status, 408 | 409 | 429 | 500..=599) && !broke {
            return Self::Retry {
                kind: status.to_string(),
                what: format!("HTTP {status}: {message}"),
                wait: wait(headers),
            };
        }
        let status = if broke { 402 } else { status };
        Self::Fatal(HttpError::Refused {
            id: String::new(),
            url: url.to_owned(),
            status,
            message,
            help: help(status, keyed),
        })
    }

    /// What a failure below HTTP means.
    pub(crate) fn of_transport(error: ureq::Error, secrets: &Secrets) -> Self {
        let what = secrets.hidden(&error.to_string());
        let kind = match &error {
            // An address or a setting that no client can use.
            ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::Tls(_) => None,
            // A certificate does not become valid by asking again; a broken handshake may work. The handshake's errors come
            // wrapped in those of the socket.
            ureq::Error::Rustls(_) | ureq::Error::Io(_) if is_about_certificates(&what) => None,
            ureq::Error::Timeout(_) => Some("timeout"),
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_) => Some("body"),
            _ => Some("connection"),
        };
        match kind {
            Some(kind) => Self::Retry {
                kind: kind.into(),
                what,
                wait: None,
            },
            None => Self::Fatal(HttpError::Config {
                field: "connection",
                found: what,
                expected: "an address that can be asked, with a certificate that this machine trusts",
            }),
        }
    }

    /// A body that is no answer.
    pub fn of_body(what: String) -> Self {
        Self::Retry {
            kind: "body".into(),
            what,
            wait: None,
        }
    }
}

/// In the words of rustls: `invalid peer certificate: UnknownIssuer`, `received fatal alert: UnknownCA`, …
fn is_about_certificates(what: &str) -> bool {
    let what = what.to_lowercase();
    let words = [
        "certificate",
        "unknownca",
        "unknownissuer",
        "notvalidforname",
    ];
    words.iter().any(|word| what.contains(word))
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let milliseconds = header("retry-after-ms").and_then(|v| v.trim().parse().ok());
    milliseconds
        .map(Duration::from_millis)
        .or_else(|| header("retry-after").and_then(|v| retry_after(v, SystemTime::now())))
}

fn help(status: u16, keyed: bool) -> &'static str {
    match status {
        401 | 403 if keyed => {
            "\n  help: the key of PERCEPT_API_KEY (or else OPENAI_API_KEY) is not accepted here"
        }
        401 | 403 => "\n  help: set PERCEPT_API_KEY or OPENAI_API_KEY",
        402 => "\n  help: the account has no credit left",
        404 => "\n  help: check the address and the model's name",
        300..=399 => "\n  help: the server sends on to another address; give that one",
        _ => "",
    }
}
