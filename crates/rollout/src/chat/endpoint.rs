//! An OpenAI-compatible server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use ureq::http::HeaderMap;

use super::address::{completions_url, is_loopback};
use super::pace::Pace;
use super::secrets::{Secrets, shown};
use super::setback::Setback;
use super::wire::{self, Answer};
use super::{
    Calls, ChatError, ChatModel, ChatReply, ChatRequest, Prices, RetryPolicy, Usage, lock,
};

/// No answer is larger; what is, is no answer.
const MAX_BODY_BYTES: u64 = 64 << 20;

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

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// Where and how to ask.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The server: its address (`http://localhost:8000`), the API's (`https://host/v1`) or the
    /// method's (`…/chat/completions`).
    pub url: String,
    /// The model in the server's word.
    pub model: String,
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
    /// What tokens cost.
    pub prices: Prices,
    /// Further fields of the request's body (`{"reasoning_effort": "high"}`).
    pub extra_body: Map<String, Value>,
}

impl EndpointConfig {
    /// This server and model, the key of the environment, and defaults.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            key: ApiKey::from_env(),
            max_concurrency: 16,
            requests_per_minute: None,
            timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
            prices: Prices::default(),
            extra_body: Map::new(),
        }
    }
}

/// A model behind an OpenAI-compatible server. Failures that may pass (dropped connections,
/// timeouts, cut or malformed answers, HTTP 408, 409, 429 and 5xx) are tried again; everything
/// else is reported at once.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    url: String,
    /// The address for messages.
    shown: String,
    secrets: Secrets,
    agent: ureq::Agent,
    pace: Pace,
    usage: Mutex<Usage>,
    /// OpenAI's newer models call the limit `max_completion_tokens`, most other servers only know
    /// `max_tokens`: which of them, is learned from the first refusal.
    new_length_field: AtomicBool,
}

impl Endpoint {
    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// [`ChatError::Config`].
    pub fn new(config: EndpointConfig) -> Result<Self, ChatError> {
        let url = completions_url(&config.url)?;
        Self::at(url, config)
    }

    /// With the whole address of a method.
    pub(super) fn at(url: String, config: EndpointConfig) -> Result<Self, ChatError> {
        let wrong = |field, found: String, expected| {
            Err(ChatError::Config {
                field,
                found,
                expected,
            })
        };
        if config.max_concurrency == 0 {
            return wrong("concurrency", "0".into(), "1 or more");
        }
        if let Some(rate) = config.requests_per_minute
            && !(rate > 0.0 && rate.is_finite())
        {
            return wrong("requests per minute", rate.to_string(), "a number above 0");
        }
        if config.timeout.is_zero() {
            return wrong("timeout", "0 s".into(), "more than 0");
        }
        if config.retry.attempts == 0 {
            return wrong("attempts", "0".into(), "1 or more");
        }
        if let Some(key) = &config.key
            && !key.0.bytes().all(|b| b.is_ascii_graphic())
        {
            let found = "a key with characters that no HTTP header holds".to_owned();
            return wrong("key", found, "printable ASCII without blanks");
        }
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
            usage: Mutex::default(),
            new_length_field: AtomicBool::new(false),
            config,
        })
    }

    fn one(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let new_field = self.new_length_field.load(Ordering::Relaxed);
        let asked = self.ask_with(request);
        let asked = match asked {
            Err(error) if !new_field && asks_for_new_field(&error) => {
                self.new_length_field.store(true, Ordering::Relaxed);
                self.ask_with(request)
            }
            asked => asked,
        };
        asked.inspect(|reply| lock(&self.usage).add(reply, &self.config.prices))
    }

    fn ask_with(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let body = self.body(request)?;
        self.retried(&request.id, request.stream(), || self.attempt(&body))
    }

    /// Tries until it succeeds or may not be tried again. `number` spreads the pauses of requests
    /// that failed together.
    pub(super) fn retried<T>(
        &self,
        id: &str,
        number: u64,
        attempt_once: impl Fn() -> Result<T, Setback>,
    ) -> Result<T, ChatError> {
        let policy = &self.config.retry;
        let mut attempt = 0;
        loop {
            let (kind, what, wait) = match attempt_once() {
                Ok(answer) => return Ok(answer),
                Err(Setback::Never(error)) => return Err(named(error, id)),
                Err(Setback::Again { kind, what, wait }) => (kind, what, wait),
            };
            if let Some(wait) = wait.filter(|wait| *wait > policy.longest_wait) {
                return Err(ChatError::Wait {
                    id: id.to_owned(),
                    url: self.shown.clone(),
                    seconds: wait.as_secs(),
                    limit: policy.longest_wait.as_secs(),
                });
            }
            if attempt + 1 >= policy.attempts {
                return Err(ChatError::Exhausted {
                    id: id.to_owned(),
                    url: self.shown.clone(),
                    attempts: attempt + 1,
                    last: what,
                });
            }
            *lock(&self.usage).retries.entry(kind).or_default() += 1;
            if let Some(wait) = wait {
                self.pace.hold(wait);
            }
            // The jitter comes on top, so that those who waited do not return together.
            let jitter = policy.pause(number, attempt);
            std::thread::sleep(wait.map_or(jitter, |wait| jitter.max(wait + jitter.min(wait) / 4)));
            attempt += 1;
        }
    }

    fn body(&self, request: &ChatRequest) -> Result<Vec<u8>, ChatError> {
        let field = match self.new_length_field.load(Ordering::Relaxed) {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        let body = wire::body(request, &self.config.model, field, &self.config.extra_body)?;
        Ok(body.to_string().into_bytes())
    }

    fn attempt(&self, body: &[u8]) -> Result<ChatReply, Setback> {
        let (headers, bytes) = self.post("application/json", body)?;
        match wire::answer(&bytes).map_err(Setback::of_body)? {
            Answer::Reply(mut reply) => {
                self.secrets.hide(&mut reply);
                Ok(reply)
            }
            Answer::Error { message, code } => {
                let status = code.as_deref().and_then(|c| c.parse().ok()).unwrap_or(500);
                Err(self.refused(status, &headers, (message, code)))
            }
        }
    }

    /// Sends a body; gives the headers and body of a successful answer.
    pub(super) fn post(&self, kind: &str, body: &[u8]) -> Result<(HeaderMap, Vec<u8>), Setback> {
        let _permit = self.pace.enter();
        lock(&self.usage).requests += 1;
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", kind)
            .header("accept", "application/json");
        if let Some(key) = &self.config.key {
            request = request.header("authorization", format!("Bearer {}", key.0));
        }
        let failed = |error| Setback::of_transport(error, &self.secrets);
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
            let said = wire::error_message(&bytes.unwrap_or_default());
            return Err(self.refused(status, &headers, said));
        }
        Ok((headers, bytes.map_err(failed)?))
    }

    /// An error status; servers repeat keys in their messages.
    fn refused(
        &self,
        status: u16,
        headers: &HeaderMap,
        (message, code): (String, Option<String>),
    ) -> Setback {
        let said = (self.secrets.hidden(&message), code);
        let keyed = self.config.key.is_some();
        Setback::of_status(&self.shown, status, headers, said, keyed)
    }
}

impl Endpoint {
    pub(super) fn config(&self) -> &EndpointConfig {
        &self.config
    }
}

impl ChatModel for Endpoint {
    fn identity(&self) -> Value {
        // Not the address: a server that moved is the same model.
        json!({"model": self.config.model, "extra_body": self.config.extra_body})
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        if let [request] = requests {
            return vec![self.one(request)];
        }
        let next = AtomicUsize::new(0);
        let answers: Vec<Mutex<Option<_>>> = requests.iter().map(|_| Mutex::new(None)).collect();
        std::thread::scope(|scope| {
            for _ in 0..self.config.max_concurrency.min(requests.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = requests.get(at) else {
                            break;
                        };
                        *lock(&answers[at]) = Some(self.one(request));
                    }
                });
            }
        });
        let answers = answers.into_iter();
        answers
            .map(|slot| lock(&slot).take().unwrap_or(Err(ChatError::Silent)))
            .collect()
    }

    fn calls(&self) -> Calls {
        Calls {
            at_once: self.config.max_concurrency,
            requests: 1,
        }
    }

    fn usage(&self) -> Usage {
        lock(&self.usage).clone()
    }
}

fn named(error: ChatError, row: &str) -> ChatError {
    match error {
        ChatError::Refused {
            url,
            status,
            message,
            help,
            ..
        } => ChatError::Refused {
            id: row.to_owned(),
            url,
            status,
            message,
            help,
        },
        other => other,
    }
}

fn asks_for_new_field(error: &ChatError) -> bool {
    matches!(error, ChatError::Refused { status: 400, message, .. } if message.contains("max_completion_tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey("sk-123".into());
        let mut config = EndpointConfig::new("http://localhost", "m");
        config.key = Some(key.clone());
        let endpoint = Endpoint::new(config).unwrap();
        assert!(!format!("{endpoint:?}").contains("sk-123"));
        assert!(!endpoint.identity().to_string().contains("sk-123"));
        assert_eq!(
            Secrets::of("http://h", Some(&key)).hidden("wrong key: sk-123."),
            "wrong key: ***."
        );
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let change: [fn(&mut EndpointConfig); 4] = [
            |c| c.max_concurrency = 0,
            |c| c.requests_per_minute = Some(0.0),
            |c| c.timeout = Duration::ZERO,
            |c| c.key = Some(ApiKey("a\nb".into())),
        ];
        for change in change {
            let mut config = EndpointConfig::new("http://localhost", "m");
            change(&mut config);
            assert!(Endpoint::new(config).is_err());
        }
    }
}
