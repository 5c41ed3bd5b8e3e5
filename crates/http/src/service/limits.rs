//! What a service takes at most.

use std::time::Duration;

/// What a service takes at most.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of one request's body.
    pub body_bytes: usize,
    /// Bytes of the bodies of all requests that are not answered yet.
    pub pending_bytes: usize,
    /// Until the head of a request must be there.
    pub head_timeout: Duration,
    /// Until its body must be there.
    pub body_timeout: Duration,
    /// Until a client must have taken its answer; so long an idle connection is kept, too.
    pub answer_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            body_bytes: 64 << 20,
            pending_bytes: 512 << 20,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
        }
    }
}
