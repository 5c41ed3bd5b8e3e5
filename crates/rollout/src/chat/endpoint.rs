//! An OpenAI-compatible server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use ureq::http::HeaderMap;

use super::pace::Pace;
use super::wire::{self, Answer};
use super::{
    Calls, ChatError, ChatModel, ChatReply, ChatRequest, Prices, RetryPolicy, Usage, lock,
    retry_after,
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

    /// `text` without the key: servers repeat it in their error messages.
    fn remove_from(&self, text: &str) -> String {
        text.replace(&self.0, "***")
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
    agent: ureq::Agent,
    pace: Pace,
    usage: Mutex<Usage>,
    /// OpenAI's newer models call the limit `max_completion_tokens`, most other servers only know
    /// `max_tokens`: which of them, is learned from the first refusal.
    new_length_field: AtomicBool,
}

/// What an attempt came to, when it did not come to a reply.
enum Setback {
    /// Try again, after this pause if the server named one.
    Again {
        kind: String,
        what: String,
        wait: Option<Duration>,
    },
    /// Do not.
    Never(ChatError),
}

impl Endpoint {
    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// [`ChatError::Config`].
    pub fn new(config: EndpointConfig) -> Result<Self, ChatError> {
        let url = completions_url(&config.url)?;
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
            url,
            usage: Mutex::default(),
            new_length_field: AtomicBool::new(false),
            config,
        })
    }

    fn one(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let number = request.stream();
        let policy = &self.config.retry;
        let mut body = self.body(request)?;
        let mut attempt = 0;
        loop {
            let new_field = self.new_length_field.load(Ordering::Relaxed);
            let setback = match self.attempt(&body) {
                Ok(reply) => {
                    lock(&self.usage).add(&reply, &self.config.prices);
                    return Ok(reply);
                }
                Err(setback) => setback,
            };
            let (kind, what, wait) = match setback {
                Setback::Never(error) => {
                    if !new_field && asks_for_new_field(&error) {
                        self.new_length_field.store(true, Ordering::Relaxed);
                        body = self.body(request)?;
                        continue;
                    }
                    return Err(named(error, &request.id));
                }
                Setback::Again { kind, what, wait } => (kind, what, wait),
            };
            if let Some(wait) = wait.filter(|wait| *wait > policy.longest_wait) {
                return Err(ChatError::Wait {
                    id: request.id.clone(),
                    url: self.url.clone(),
                    seconds: wait.as_secs(),
                    limit: policy.longest_wait.as_secs(),
                });
            }
            if attempt + 1 >= policy.attempts {
                return Err(ChatError::Exhausted {
                    id: request.id.clone(),
                    url: self.url.clone(),
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
            std::thread::sleep(wait.map_or(jitter, |wait| wait + jitter.min(wait) / 4));
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
        let _permit = self.pace.enter();
        lock(&self.usage).requests += 1;
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json");
        if let Some(key) = &self.config.key {
            request = request.header("authorization", format!("Bearer {}", key.0));
        }
        let mut response = request.send(body).map_err(|e| self.transport(e))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY_BYTES)
            .read_to_vec();
        if !(200..300).contains(&status) {
            // What was read of the message is better than nothing.
            let (message, code) = wire::error_message(&bytes.unwrap_or_default());
            return Err(self.status(status, &headers, &message, code.as_deref()));
        }
        let bytes = bytes.map_err(|e| self.transport(e))?;
        match wire::answer(&bytes) {
            Ok(Answer::Reply(reply)) => Ok(reply),
            Ok(Answer::Error { message, code }) => {
                let status = code.as_deref().and_then(|c| c.parse().ok()).unwrap_or(500);
                Err(self.status(status, &headers, &message, code.as_deref()))
            }
            Err(what) => Err(Setback::Again {
                kind: "body".into(),
                what,
                wait: None,
            }),
        }
    }

    /// What an error status means.
    fn status(
        &self,
        status: u16,
        headers: &HeaderMap,
        message: &str,
        code: Option<&str>,
    ) -> Setback {
        let message = match &self.config.key {
            Some(key) => key.remove_from(message),
            None => message.to_owned(),
        };
        // OpenAI says "no credit left" with the status of "too fast".
        let broke = code == Some("insufficient_quota");
        if matches!(status, 408 | 409 | 429 | 500..=599) && !broke {
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
            let milliseconds = header("retry-after-ms").and_then(|v| v.trim().parse().ok());
            let wait = milliseconds
                .map(Duration::from_millis)
                .or_else(|| header("retry-after").and_then(|v| retry_after(v, SystemTime::now())));
            return Setback::Again {
                kind: status.to_string(),
                what: format!("HTTP {status}: {message}"),
                wait,
            };
        }
        Setback::Never(ChatError::Refused {
            id: String::new(),
            url: self.url.clone(),
            status: if broke { 402 } else { status },
            message,
            help: self.help(status),
        })
    }

    fn help(&self, status: u16) -> &'static str {
        match (status, &self.config.key) {
            (401 | 403, None) => "\n  help: set PERCEPT_API_KEY or OPENAI_API_KEY",
            (401 | 403, Some(_)) => {
                "\n  help: PERCEPT_API_KEY (or else OPENAI_API_KEY) is not accepted here"
            }
            (404, _) => "\n  help: check the address and the model's name",
            (300..=399, _) => "\n  help: the server sends on to another address; give that one",
            (402 | 429, _) => "\n  help: the account has no credit left",
            _ => "",
        }
    }

    /// What a failure below HTTP means.
    fn transport(&self, error: ureq::Error) -> Setback {
        let kind = match &error {
            ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => None,
            // A certificate does not become valid by asking again.
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => None,
            ureq::Error::Timeout(_) => Some("timeout"),
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_) => Some("body"),
            _ => Some("connection"),
        };
        match kind {
            Some(kind) => Setback::Again {
                kind: kind.into(),
                what: error.to_string(),
                wait: None,
            },
            None => Setback::Never(ChatError::Config {
                field: "connection",
                found: error.to_string(),
                expected: "a server that can be reached",
            }),
        }
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

/// The address of the method, from that of the server, of the API or of the method itself.
fn completions_url(url: &str) -> Result<String, ChatError> {
    let wrong = |found: &str, expected| {
        Err(ChatError::Config {
            field: "address",
            found: found.to_owned(),
            expected,
        })
    };
    let form = "http://HOST[:PORT][/v1] or https://…";
    let (address, query) = match url.trim().split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url.trim(), String::new()),
    };
    let Some((scheme, rest)) = address.split_once("://") else {
        return wrong(address, form);
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(scheme, "http" | "https") || host.is_empty() {
        return wrong(address, form);
    }
    if host.contains('@') {
        return wrong(
            "an address with a password in it",
            "the key in the environment: PERCEPT_API_KEY",
        );
    }
    let path = path.trim_end_matches('/');
    let path = match path {
        "" => "v1/chat/completions".to_owned(),
        path if path.ends_with("chat/completions") => path.to_owned(),
        path => format!("{path}/chat/completions"),
    };
    Ok(format!("{scheme}://{host}/{path}{query}"))
}

/// A proxy has no business between two programs on one machine.
fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_server_api_and_method_are_one() {
        for (given, made) in [
            (
                "http://localhost:8000",
                "http://localhost:8000/v1/chat/completions",
            ),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("https://h/api/v1", "https://h/api/v1/chat/completions"),
            (
                "https://h/v1/chat/completions",
                "https://h/v1/chat/completions",
            ),
            (
                "https://h/x?api-version=2",
                "https://h/x/chat/completions?api-version=2",
            ),
        ] {
            assert_eq!(completions_url(given).unwrap(), made);
        }
        for bad in ["localhost:8000", "ftp://h/v1", "http://", ""] {
            assert!(completions_url(bad).is_err(), "{bad}");
        }
        let error = completions_url("https://u:secret@h/v1").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey("sk-123".into());
        let mut config = EndpointConfig::new("http://localhost", "m");
        config.key = Some(key.clone());
        let endpoint = Endpoint::new(config).unwrap();
        assert!(!format!("{endpoint:?}").contains("sk-123"));
        assert!(!endpoint.identity().to_string().contains("sk-123"));
        assert_eq!(key.remove_from("wrong key: sk-123."), "wrong key: ***.");
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
