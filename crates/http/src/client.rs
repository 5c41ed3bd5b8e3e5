//! One server, asked politely: paced, tried again, without secrets in its messages.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use percept_base::lock;
use ureq::http::HeaderMap;

use crate::address::is_loopback;
use crate::attempt::AttemptError;
use crate::error_body::ErrorBody;
use crate::pace::Pace;
use crate::secrets::{Secrets, shown};
use crate::{ApiKey, HttpError, RetryPolicy};

/// No answer is larger; what is, is no answer.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// How a server is asked.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The key, where the server wants one.
    pub key: Option<ApiKey>,
    /// Requests under way at once.
    pub max_concurrency: usize,
    /// Requests a minute, evenly spaced (None: as fast as they go).
    pub requests_per_minute: Option<f64>,
    /// From connecting to the last byte of the answer. The default suits long reasoning.
    pub timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl Default for ClientConfig {
    /// The key of the environment, 16 requests at once, ten minutes for each.
    fn default() -> Self {
        Self {
            key: ApiKey::from_env(),
            max_concurrency: 16,
            requests_per_minute: None,
            timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
        }
    }
}

impl ClientConfig {
    fn check(&self) -> Result<(), HttpError> {
        let wrong = |field, found: String, expected| {
            Err(HttpError::Config {
                field,
                found,
                expected,
            })
        };
        if self.max_concurrency == 0 {
            return wrong("concurrency", "0".into(), "1 or more");
        }
        if let Some(rate) = self.requests_per_minute
            && !(rate > 0.0 && rate.is_finite())
        {
            return wrong("requests per minute", rate.to_string(), "a number above 0");
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "0 s".into(), "more than 0");
        }
        if self.retry.attempts == 0 {
            return wrong("attempts", "0".into(), "1 or more");
        }
        if let Some(key) = &self.key
            && !key.secret().bytes().all(|b| b.is_ascii_graphic())
        {
            let found = "a key with characters that no HTTP header holds".to_owned();
            return wrong("key", found, "printable ASCII without blanks");
        }
        Ok(())
    }
}

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, repetitions included.
    pub requests: u64,
    /// Repetitions, by what made them necessary: `429`, `503`, `timeout`, `connection`, `body`.
    pub retries: BTreeMap<String, u64>,
}

/// A client of one method of a server. Failures that may pass (dropped connections, timeouts, cut or malformed answers,
/// HTTP 408, 409, 429 and 5xx) are tried again; everything else is reported at once.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    url: String,
    /// The address for messages.
    shown: String,
    secrets: Secrets,
    agent: ureq::Agent,
    pace: Pace,
    traffic: Mutex<Traffic>,
}

impl Client {
    /// A client of the method at `url` (see [`method_url`](crate::method_url)). Checks the settings; sends nothing.
    ///
    /// # Errors
    /// [`HttpError::Config`].
    pub fn new(url: String, config: ClientConfig) -> Result<Self, HttpError> {
        config.check()?;
        let mut agent = ureq::Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            // A redirected POST loses its body, a redirected key may reach a stranger.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(config.max_concurrency)
            .max_idle_connections_per_host(config.max_concurrency)
            .user_agent(concat!("percept/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            agent = agent.proxy(None);
        }
        Ok(Self {
            pace: Pace::new(config.max_concurrency, config.requests_per_minute),
            agent: agent.build().new_agent(),
            shown: shown(&url),
            secrets: Secrets::of(&url, config.key.as_ref()),
            url,
            traffic: Mutex::default(),
            config,
        })
    }

    /// How it asks.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// What must not stand in answers that are kept.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What was sent so far.
    pub fn traffic(&self) -> Traffic {
        lock(&self.traffic).clone()
    }

    /// Tries until it succeeds or may not be tried again. `id` names the request in errors, `number` spreads the pauses
    /// of requests that failed together.
    ///
    /// # Errors
    /// Any of [`HttpError`].
    pub fn retried<T>(
        &self,
        id: &str,
        number: u64,
        attempt_once: impl Fn() -> Result<T, AttemptError>,
    ) -> Result<T, HttpError> {
        let policy = &self.config.retry;
        let mut attempt = 0;
        loop {
            let (kind, what, wait) = match attempt_once() {
                Ok(answer) => return Ok(answer),
                Err(AttemptError::Fatal(error)) => return Err(error.of_request(id)),
                Err(AttemptError::Retry { kind, what, wait }) => (kind, what, wait),
            };
            if let Some(wait) = wait.filter(|wait| *wait > policy.longest_wait) {
                return Err(HttpError::Wait {
                    id: id.to_owned(),
                    url: self.shown.clone(),
                    seconds: wait.as_secs(),
                    limit: policy.longest_wait.as_secs(),
                });
            }
            if attempt + 1 >= policy.attempts {
                return Err(HttpError::Exhausted {
                    id: id.to_owned(),
                    url: self.shown.clone(),
                    attempts: attempt + 1,
                    last: what,
                });
            }
            *lock(&self.traffic).retries.entry(kind).or_default() += 1;
            if let Some(wait) = wait {
                self.pace.hold(wait);
            }
            // The jitter comes on top, so that those who waited do not return together.
            let jitter = policy.pause(number, attempt);
            std::thread::sleep(wait.map_or(jitter, |wait| jitter.max(wait + jitter.min(wait) / 4)));
            attempt += 1;
        }
    }

    /// Sends a body of this content type once; gives the headers and body of a successful answer.
    ///
    /// # Errors
    /// What the failure of this attempt means.
    pub fn post(
        &self,
        content_type: &str,
        body: &[u8],
    ) -> Result<(HeaderMap, Vec<u8>), AttemptError> {
        let _permit = self.pace.enter();
        lock(&self.traffic).requests += 1;
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", content_type)
            .header("accept", "application/json");
        if let Some(key) = &self.config.key {
            request = request.header("authorization", format!("Bearer {}", key.secret()));
        }
        let failed = |error| AttemptError::of_transport(error, &self.secrets);
        let mut response = request.send(body).map_err(failed)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY_BYTES)
            .read_to_vec();
        if !(200..300).contains(&status) {
            // What was read of the message is better than nothing.
            let error = ErrorBody::of_bytes(&bytes.unwrap_or_default());
            return Err(self.refused(status, &headers, error));
        }
        Ok((headers, bytes.map_err(failed)?))
    }

    /// What an error status means; servers repeat keys in their messages.
    pub fn refused(&self, status: u16, headers: &HeaderMap, error: ErrorBody) -> AttemptError {
        let error = ErrorBody {
            message: self.secrets.hidden(&error.message),
            ..error
        };
        let keyed = self.config.key.is_some();
        AttemptError::of_status(&self.shown, status, headers, error, keyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::of("sk-123");
        let config = ClientConfig {
            key: Some(key.clone()),
            ..ClientConfig::default()
        };
        let client = Client::new("http://localhost".into(), config).unwrap();
        assert!(!format!("{client:?}").contains("sk-123"));
        assert_eq!(
            Secrets::of("http://h", Some(&key)).hidden("wrong key: sk-123."),
            "wrong key: ***."
        );
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let change: [fn(&mut ClientConfig); 4] = [
            |c| c.max_concurrency = 0,
            |c| c.requests_per_minute = Some(0.0),
            |c| c.timeout = Duration::ZERO,
            |c| c.key = Some(ApiKey::of("a\nb")),
        ];
        for change in change {
            let mut config = ClientConfig::default();
            change(&mut config);
            assert!(Client::new("http://localhost".into(), config).is_err());
        }
    }
}
