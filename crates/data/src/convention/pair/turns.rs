//! Turns as their column has them, before they are read.

use crate::Role;
use crate::convention::roles::{Speaker, speaker};
use crate::convention::tags::numbered_tag;
use crate::convention::written::written_turns;
use crate::formats::row::Value;

/// The turns of a value that is a conversation, also one that was written into a text.
pub(super) fn turns_of(value: &Value) -> Option<Vec<Value>> {
    let is_turn = |turn: &Value| matches!(turn, Value::Struct(_));
    match value {
        Value::Text(text) => match written_turns(text)? {
            Value::List(turns) => Some(turns),
            _ => None,
        },
        Value::List(turns) if !turns.is_empty() && turns.iter().all(is_turn) => Some(turns.clone()),
        _ => None,
    }
}

/// Who speaks a turn, where it says so in a word of the field.
pub(super) fn speaker_of(turn: &Value) -> Option<Speaker> {
    let name = turn.get("role").or_else(|| turn.get("from"));
    match name? {
        Value::Text(name) => speaker(name),
        _ => None,
    }
}

/// Whether the model speaks a turn.
pub(super) fn is_answer(turn: &Value) -> bool {
    matches!(
        speaker_of(turn),
        Some(Speaker::Role(Role::Assistant) | Speaker::ToolCall)
    )
}

/// Whether a turn belongs to a prompt alone: the system's or the user's.
pub(super) fn is_asked(turn: &Value) -> bool {
    matches!(
        speaker_of(turn),
        Some(Speaker::Role(Role::System | Role::User))
    )
}

/// Number of turns before those with which the model ends the conversation.
pub(super) fn before_answer(turns: &[Value]) -> usize {
    let asked = turns.iter().rposition(|turn| !is_answer(turn));
    asked.map_or(0, |last| last + 1)
}

/// Whether two values are equal, up to the order of fields and the nulls with which columns are padded.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let said = |fields: &[(String, Value)]| fields.iter().filter(|(_, v)| !v.is_null()).count();
    match (a, b) {
        (Value::Struct(x), Value::Struct(y)) => {
            said(x) == said(y)
                && x.iter()
                    .filter(|(_, value)| !value.is_null())
                    .all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::List(x), Value::List(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        _ => a == b,
    }
}

/// Whether two turns say the same, wherever their pictures stand.
pub(super) fn says_the_same(a: &Value, b: &Value) -> bool {
    speaker_of(a) == speaker_of(b) && spoken(a) == spoken(b)
}

/// The text of a turn, or of a prompt that is a text, without marks of pictures.
pub(super) fn spoken(turn: &Value) -> String {
    let content = turn.get("content").or_else(|| turn.get("value"));
    let mut out = String::new();
    for text in texts(content.unwrap_or(turn)) {
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let tag = ["<image>", "<video>"]
                .iter()
                .find(|tag| rest.starts_with(**tag));
            let len = tag
                .map(|tag| tag.len())
                .or(numbered_tag(rest).map(|(_, len)| len));
            if len.is_none() {
                out.push('<');
            }
            rest = &rest[len.unwrap_or(1)..];
        }
        out.push_str(rest);
    }
    out.trim().to_owned()
}

fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::Text(text) => vec![text.as_str()],
        Value::List(parts) => parts.iter().flat_map(texts).collect(),
        Value::Struct(_) => content.get("text").map(texts).unwrap_or_default(),
        _ => Vec::new(),
    }
}
