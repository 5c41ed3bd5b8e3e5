//! Turns as JSON.

use serde_json::{Value, json};

use crate::{Message, Part};

/// The turns of a prompt. Media are marks, in order.
pub(super) fn prompt_json(messages: &[Message]) -> Value {
    let turns = messages.iter().map(|message| {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => text_part_json(text),
            Part::Image(_) => json!({"type": "image"}),
            Part::Video(_) => json!({"type": "video"}),
        });
        turn_json(message, parts.collect())
    });
    turns.collect()
}

/// A turn with its content parts and everything else that it says.
pub fn turn_json(message: &Message, content: Vec<Value>) -> Value {
    let mut turn = json!({"role": message.role.as_str(), "content": content});
    if let Some(train) = message.train {
        turn["train"] = train.into();
    }
    for (name, value) in &message.fields {
        turn[name] = value.clone();
    }
    turn
}

/// A text as a content part, marked where it has a tag that is to stay text.
pub fn text_part_json(text: &str) -> Value {
    let mut part = json!({"type": "text", "text": text});
    if text.contains("<image") || text.contains("<video>") {
        part["tags"] = false.into();
    }
    part
}
