//! Models that answer conversations, wherever they run: [`Endpoint`] asks an OpenAI-compatible
//! server, [`Local`] samples from a percept model, [`Recorded`] plays what was said before, and
//! [`Cached`] puts an append-only file before any of them, so that nothing is asked twice.
//!
//! ```
//! use percept_data::{Message, Role, Sample};
//! use percept_rollout::chat::{ChatModel, ChatRequest, Recorded, Turn};
//!
//! let model = Recorded::answering("parrot", |request| request.turns().last().unwrap().plain_text());
//! let sample = Sample::new("1", vec![Message::text(Role::User, "two")]);
//! let request = ChatRequest::of(&sample, Turn::default());
//! assert_eq!(model.ask(&request)?.text, "two");
//! # Ok::<(), percept_rollout::chat::ChatError>(())
//! ```

mod address;
mod cached;
mod endpoint;
mod error;
mod image_edit;
mod local;
mod log;
mod pace;
mod recorded;
mod retry;
mod secrets;
mod setback;
mod wire;

use std::collections::BTreeMap;

use percept_data::{Media, Message, Part, Role, Sample, Video};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use cached::Cached;
pub use endpoint::{ApiKey, Endpoint, EndpointConfig};
pub use error::ChatError;
pub use image_edit::ImageEndpoint;
pub use local::Local;
pub use log::{AppendLog, LogError};
pub use recorded::Recorded;
pub use retry::{RetryPolicy, retry_after};

/// A model that answers conversations.
pub trait ChatModel: Send + Sync {
    /// What answers, as far as the answer depends on it: the model's name and fixed options. It is
    /// part of [`ChatRequest::key`] and holds no secret.
    fn identity(&self) -> Value;

    /// One result for each request, in their order.
    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>>;

    /// How the model likes to be called.
    fn calls(&self) -> Calls;

    /// What was sent and received so far.
    fn usage(&self) -> Usage;

    /// One request.
    ///
    /// # Errors
    /// Those of the model.
    fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let answers = self.chat(std::slice::from_ref(request));
        answers.into_iter().next().unwrap_or(Err(ChatError::Silent))
    }
}

/// How a model likes to be called: a server many times at once, a local model with many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Calls of [`ChatModel::chat`] at the same time.
    pub at_once: usize,
    /// Requests in each.
    pub requests: usize,
}

/// How the next turn is sampled. Fields are those of the OpenAI API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Softmax temperature.
    pub temperature: f32,
    /// Nucleus.
    pub top_p: f32,
    /// Longest response in tokens.
    pub max_tokens: usize,
    /// Texts that end a response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Seed; not every server takes one, so none is sent unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Tells several answers to the same question apart; it is not sent.
    #[serde(default)]
    pub candidate: usize,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            max_tokens: 2048,
            stop: Vec::new(),
            seed: None,
            candidate: 0,
        }
    }
}

/// A conversation that is to go on.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The row it belongs to, for messages and records; it changes no answer.
    pub id: String,
    /// The conversation. Turns of the assistant at its end are left out: they are to be said.
    pub messages: Vec<Message>,
    /// Images of [`Part::Image`].
    pub images: Vec<Media>,
    /// Videos of [`Part::Video`].
    pub videos: Vec<Video>,
    /// How the answer is sampled.
    pub turn: Turn,
}

impl ChatRequest {
    /// The prompt of a row.
    pub fn of(sample: &Sample, turn: Turn) -> Self {
        Self {
            id: sample.id.clone(),
            messages: sample.messages.clone(),
            images: sample.images.clone(),
            videos: sample.videos.clone(),
            turn,
        }
    }

    /// The turns up to the last one that is not the assistant's.
    pub fn turns(&self) -> &[Message] {
        let last = self
            .messages
            .iter()
            .rposition(|m| m.role != Role::Assistant);
        last.map_or(&[], |last| &self.messages[..=last])
    }

    /// A number for the random draws of this request: FNV-1a of its row and candidate.
    pub(crate) fn stream(&self) -> u64 {
        let candidate = (self.turn.candidate as u64).to_le_bytes();
        let bytes = self.id.bytes().chain(candidate);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// SHA-256 of everything that the answer depends on: who answers, the conversation with the
    /// content of its images, and how the answer is sampled.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn key(&self, identity: &Value) -> Result<String, ChatError> {
        let image = |media: &Media| Ok::<String, percept_data::Error>(hex(&media.hash()?));
        let part = |part: &Part| {
            Ok::<Value, percept_data::Error>(match *part {
                Part::Text(ref text) => json!({ "text": text }),
                Part::Image(at) => match self.images.get(at) {
                    Some(media) => json!({"image": image(media)?}),
                    None => Value::Null,
                },
                Part::Video(at) => match self.videos.get(at) {
                    Some(video) => {
                        let frames = video.frames.iter().map(image);
                        let frames = frames.collect::<Result<Vec<_>, _>>()?;
                        json!({"frames": frames, "fps": video.fps})
                    }
                    None => Value::Null,
                },
            })
        };
        let mut turns = Vec::new();
        for message in self.turns() {
            let content = message.content.iter().map(part);
            let content = content.collect::<Result<Vec<_>, _>>()?;
            turns.push(json!({"role": message.role.as_str(), "content": content}));
        }
        let whole = json!({"by": identity, "messages": turns, "turn": self.turn});
        Ok(hex(&Sha256::digest(whole.to_string().as_bytes())))
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatFinish {
    /// The model ended it.
    Stop,
    /// Cut at the length limit.
    Length,
    /// The server kept it back.
    ContentFilter,
    /// Something else, in the server's word.
    Other(String),
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// The answer.
    pub text: String,
    /// What it thought before, where the server tells it apart (`reasoning_content`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish_reason: ChatFinish,
    /// Tokens of the prompt; 0 where the server does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer, its reasoning included; 0 where the server does not say.
    pub completion_tokens: u64,
    /// The model in the server's word.
    pub model: String,
    /// Whether it was said earlier and read from a file.
    #[serde(skip)]
    pub cached: bool,
}

impl ChatReply {
    /// Reasoning between `<think>` tags, then the answer: the form in which open models train.
    pub fn trajectory(&self) -> String {
        match &self.reasoning {
            Some(reasoning) if !reasoning.trim().is_empty() => {
                format!("<think>\n{}\n</think>\n\n{}", reasoning.trim(), self.text)
            }
            _ => self.text.clone(),
        }
    }
}

/// Prices of an endpoint, per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
}

impl Prices {
    /// Cost of this many tokens.
    pub fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.input + completion_tokens as f64 * self.output) / 1e6
    }
}

/// What was sent and received.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Requests sent, repetitions included.
    pub requests: u64,
    /// Repetitions, by what made them necessary: `429`, `503`, `timeout`, `connection`, `body`.
    pub retries: BTreeMap<String, u64>,
    /// Answers received.
    pub replies: u64,
    /// Answers that were read from a file instead.
    pub cached: u64,
    /// Prompt tokens of the answers received.
    pub prompt_tokens: u64,
    /// Tokens of the answers received.
    pub completion_tokens: u64,
    /// Answers that came without a count of tokens: the sums and the cost are too low.
    pub uncounted: u64,
    /// What the answers received cost, at the given prices.
    pub cost: f64,
}

impl Usage {
    pub(crate) fn add(&mut self, reply: &ChatReply, prices: &Prices) {
        self.replies += 1;
        self.prompt_tokens += reply.prompt_tokens;
        self.completion_tokens += reply.completion_tokens;
        self.uncounted += u64::from(reply.prompt_tokens == 0 && reply.completion_tokens == 0);
        self.cost += prices.cost(reply.prompt_tokens, reply.completion_tokens);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A lock whose holder may have panicked: what it guards here is whole after every statement.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
