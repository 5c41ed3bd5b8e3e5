//! A conversation that is to go on, and how the answer is sampled.

use percept_base::hex;
use percept_base::random::fnv1a;
use percept_data::{Media, Message, Part, Role, Sample, Video};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ChatError;

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
    /// How many of the likeliest first tokens are asked for, with their log-probabilities (0: none; servers give up
    /// to 20).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub top_logprobs: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
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
            top_logprobs: 0,
        }
    }
}

/// A conversation that is to go on.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The row it belongs to, for messages and records; it changes no answer.
    pub id: String,
    /// The conversation. Turns of the assistant at its end are left out: they are what is asked for.
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

    /// The request with further instructions: at the end of its system turn, or as one.
    #[must_use]
    pub fn with_system(mut self, system: &str) -> Self {
        match self.messages.first_mut() {
            Some(first) if first.role == Role::System => {
                let text = format!("{}\n\n{system}", first.plain_text());
                *first = Message::text(Role::System, text);
            }
            _ => self.messages.insert(0, Message::text(Role::System, system)),
        }
        self
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
        fnv1a(bytes)
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
