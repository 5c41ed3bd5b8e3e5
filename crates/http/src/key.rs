//! The key of a server.

/// A secret that is never shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// From the environment: `PERCEPT_API_KEY`, else `OPENAI_API_KEY`; empty ones do not count.
    pub fn from_env() -> Option<Self> {
        ["PERCEPT_API_KEY", "OPENAI_API_KEY"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .map(|key| key.trim().to_owned())
            .find(|key| !key.is_empty())
            .map(Self)
    }

    /// The key, for the header that it is sent in.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
impl ApiKey {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}
