//! Turns of a conversation.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The name that chat templates use: `system`, `user`, `assistant`, `tool`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A piece of a message's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// The image with this index in [`Sample::images`](crate::Sample::images).
    Image(usize),
    /// The video with this index in [`Sample::videos`](crate::Sample::videos).
    Video(usize),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Text, images and videos in the order in which they are read.
    pub content: Vec<Part>,
    /// Whether supervised training puts a loss on this turn; `None` means "if the assistant speaks".
    pub train: Option<bool>,
    /// Everything else that the turn says, for the chat template: `tool_calls`, `reasoning_content`,
    /// `name`, `tool_call_id`, ….
    pub fields: Map<String, Value>,
}

impl Message {
    /// A turn with this content and nothing else.
    pub fn new(role: Role, content: Vec<Part>) -> Self {
        Self {
            role,
            content,
            train: None,
            fields: Map::new(),
        }
    }

    /// A turn with one piece of text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::Text(text.into())])
    }

    /// All text pieces, joined; media are left out.
    pub fn plain_text(&self) -> String {
        let texts = self.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Image(_) | Part::Video(_) => None,
        });
        texts.collect()
    }

    /// Whether supervised training puts a loss on this turn.
    pub fn trains(&self) -> bool {
        self.train.unwrap_or(self.role == Role::Assistant)
    }
}
