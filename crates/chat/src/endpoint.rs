//! An OpenAI-compatible server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_base::{lock, map_jobs};
use percept_http::{AttemptError, Client, ClientConfig, HttpError, Secrets, method_url};
use serde_json::{Map, Value, json};

use crate::wire::{self, Answer};
use crate::{Calls, ChatError, ChatModel, ChatReply, ChatRequest, Prices, Usage};

/// Where and how to ask.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The server: its address (`http://localhost:8000`), the API's (`https://host/v1`) or the
    /// method's (`…/chat/completions`).
    pub url: String,
    /// The model in the server's word.
    pub model: String,
    /// Key, pace and retries.
    pub client: ClientConfig,
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
            client: ClientConfig::default(),
            prices: Prices::default(),
            extra_body: Map::new(),
        }
    }
}

/// A model behind an OpenAI-compatible server, asked by a [`Client`].
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    model: String,
    prices: Prices,
    extra_body: Map<String, Value>,
    /// Answers received; what was sent is counted by the client.
    received: Mutex<Usage>,
    /// OpenAI's newer models call the limit `max_completion_tokens`, most other servers only know
    /// `max_tokens`: which of them, is learned from the first refusal.
    new_length_field: AtomicBool,
}

impl Endpoint {
    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// [`HttpError::Config`].
    pub fn new(config: EndpointConfig) -> Result<Self, ChatError> {
        let url = method_url(&config.url, "chat/completions")?;
        Ok(Self {
            client: Client::new(url, config.client)?,
            model: config.model,
            prices: config.prices,
            extra_body: config.extra_body,
            received: Mutex::default(),
            new_length_field: AtomicBool::new(false),
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
        asked.inspect(|reply| lock(&self.received).add(reply, &self.prices))
    }

    fn ask_with(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let body = self.body(request)?;
        let once = || self.attempt(&body);
        Ok(self.client.retried(&request.id, request.stream(), once)?)
    }

    fn body(&self, request: &ChatRequest) -> Result<Vec<u8>, ChatError> {
        let field = match self.new_length_field.load(Ordering::Relaxed) {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        let body = wire::body(request, &self.model, field, &self.extra_body)?;
        Ok(body.to_string().into_bytes())
    }

    fn attempt(&self, body: &[u8]) -> Result<ChatReply, AttemptError> {
        let (headers, bytes) = self.client.post("application/json", body)?;
        match wire::answer(&bytes).map_err(AttemptError::of_body)? {
            Answer::Reply(mut reply) => {
                hide(self.client.secrets(), &mut reply);
                Ok(reply)
            }
            Answer::Error(error) => {
                let code = error.code.as_deref();
                let status = code.and_then(|c| c.parse().ok()).unwrap_or(500);
                Err(self.client.refused(status, &headers, error))
            }
        }
    }
}

impl ChatModel for Endpoint {
    fn identity(&self) -> Value {
        // Not the address: a server that moved is the same model.
        json!({"model": self.model, "extra_body": self.extra_body})
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        if let [request] = requests {
            return vec![self.one(request)];
        }
        let at_once = self.client.config().max_concurrency;
        map_jobs(requests.len(), at_once, |at| self.one(&requests[at]))
    }

    fn calls(&self) -> Calls {
        Calls {
            at_once: self.client.config().max_concurrency,
            requests: 1,
        }
    }

    fn usage(&self) -> Usage {
        let traffic = self.client.traffic();
        Usage {
            requests: traffic.requests,
            retries: traffic.retries,
            ..lock(&self.received).clone()
        }
    }
}

/// An answer without secrets: it is kept in files.
fn hide(secrets: &Secrets, reply: &mut ChatReply) {
    for text in [&mut reply.text, &mut reply.model]
        .into_iter()
        .chain(&mut reply.reasoning)
    {
        *text = secrets.hidden(text);
    }
}

fn asks_for_new_field(error: &ChatError) -> bool {
    matches!(error, ChatError::Http(HttpError::Refused { status: 400, message, .. }) if message.contains("max_completion_tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_holds_no_key() {
        let mut config = EndpointConfig::new("http://localhost/v1?api-key=sk-123456", "m");
        config.client.key = None;
        let endpoint = Endpoint::new(config).unwrap();
        assert!(!endpoint.identity().to_string().contains("sk-123456"));
        assert_eq!(endpoint.identity()["model"], "m");
    }
}
