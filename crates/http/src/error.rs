//! Why a server gave no answer.

/// Why a server gave no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The server refused the request, and would refuse it again.
    #[error("{url} refused {id}: HTTP {status}: {message}{help}")]
    Refused {
        /// Name of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        message: String,
        /// What to do.
        help: &'static str,
    },
    /// Every attempt failed.
    #[error(
        "{url} gave no answer to {id} in {attempts} attempts; the last one: {last}\n  help: start again later, nothing received is lost; a longer timeout, fewer requests at once or fewer per minute may help"
    )]
    Exhausted {
        /// Name of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// The server asks to wait longer than is allowed.
    #[error(
        "{url} asks to wait {seconds} s before {id} is sent again; at most {limit} s are waited\n  help: start again later; nothing received is lost"
    )]
    Wait {
        /// Name of the request.
        id: String,
        /// Where it was sent.
        url: String,
        /// What it asks for.
        seconds: u64,
        /// What is allowed.
        limit: u64,
    },
    /// An endpoint that cannot be used as it is described.
    #[error("endpoint {field}: {found}; expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value (never the key).
        found: String,
        /// What would do.
        expected: &'static str,
    },
}

impl HttpError {
    /// The error with the name of its request, where a lower level did not know it.
    pub(crate) fn of_request(mut self, request: &str) -> Self {
        if let Self::Refused { id, .. } = &mut self {
            request.clone_into(id);
        }
        self
    }

    /// Whether every other request would meet the same: a wrong key, no such model, no credit.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 300..=399 | 401..=405),
            Self::Config { .. } | Self::Wait { .. } => true,
            Self::Exhausted { .. } => false,
        }
    }
}
