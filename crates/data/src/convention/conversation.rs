//! Turns of a conversation in the forms of the field.

use crate::convention::media_list::{MediaList, NEXT, TAG};
use crate::convention::padding::without_padding;
use crate::convention::roles::{Speaker, speaker};
use crate::convention::tags::numbered_tag;
use crate::convention::tool_calls;
use crate::convention::videos::VIDEO_FIELDS;
use crate::convention::written::written_turns;
use crate::error::shorten;
use crate::formats::python_literal;
use crate::formats::row::Value;
use crate::{Error, Message, Part, Role};

impl MediaList<'_> {
    pub(crate) fn messages(&mut self, column: &str, value: Value) -> Result<Vec<Message>, Error> {
        match value {
            Value::Text(text) => match written_turns(&text) {
                Some(turns) => self.messages(column, turns),
                None => Ok(vec![Message::new(Role::User, self.parts(&text))]),
            },
            Value::List(turns) if !turns.is_empty() => {
                let mut messages: Vec<Message> = Vec::with_capacity(turns.len());
                for (index, turn) in turns.into_iter().enumerate() {
                    let (message, is_call) = self.message(&format!("{column}[{index}]"), turn)?;
                    if is_call {
                        tool_calls::join(&mut messages, message);
                    } else {
                        messages.push(message);
                    }
                }
                Ok(messages)
            }
            other => Err(Error::row("not a conversation")
                .field(column)
                .found(other.describe())
                .expected("text, or a list of {\"role\": …, \"content\": …}")),
        }
    }

    /// ms-swift's `history`: earlier rounds of question and answer.
    pub(crate) fn history(&mut self, column: &str, value: Value) -> Result<Vec<Message>, Error> {
        let value = match value {
            Value::Text(text) => python_literal::parse(&text).unwrap_or(Value::Text(text)),
            other => other,
        };
        let wrong = |found: &Value| {
            Error::row("not rounds of a conversation")
                .field(column)
                .found(found.describe())
                .expected("a list of [question, answer]")
        };
        let Value::List(rounds) = value else {
            return Err(wrong(&value));
        };
        if rounds.iter().any(|round| matches!(round, Value::Struct(_))) {
            return self.messages(column, Value::List(rounds));
        }
        let mut messages = Vec::new();
        for round in rounds {
            let Value::List(pair) = &round else {
                return Err(wrong(&round));
            };
            if pair.len() != 2 {
                return Err(wrong(&round));
            }
            for (role, value) in [Role::User, Role::Assistant].into_iter().zip(pair) {
                match value {
                    Value::Null => {}
                    Value::Text(text) => messages.push(Message::new(role, self.parts(text))),
                    _ => return Err(wrong(&round)),
                }
            }
        }
        Ok(messages)
    }

    /// One turn, and whether it is no more than a call that belongs to the turn before.
    pub(super) fn message(&mut self, field: &str, value: Value) -> Result<(Message, bool), Error> {
        let Value::Struct(fields) = value else {
            return Err(Error::row("turn is not an object")
                .field(field)
                .found(value.describe())
                .expected("{\"role\": …, \"content\": …}"));
        };
        let (mut who, mut content, mut train) = (None, None, None);
        let mut others = serde_json::Map::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("role" | "from", value) => who = Some(self.speaker(field, value)?),
                ("content" | "value", value) => content = Some(value),
                ("train" | "loss" | "weight", value) if as_switch(&value).is_some() => {
                    train = as_switch(&value);
                }
                (_, value) => {
                    let json = value.into_json();
                    let json = if self.padded {
                        without_padding(json)
                    } else {
                        json
                    };
                    others.insert(name, json);
                }
            }
        }
        let Some(who) = who else {
            return Err(Error::row("turn has no role")
                .field(field)
                .expected("a field `role`"));
        };
        let Speaker::Role(role) = who else {
            let mut message = tool_calls::from_content(field, content)?;
            message.train = train;
            message.fields.extend(others);
            return Ok((message, true));
        };
        let content = match content {
            // The result of a tool is often an object.
            Some(object @ Value::Struct(_)) if role == Role::Tool => {
                vec![Part::Text(crate::chat::functions::python_json(
                    &object.into_json(),
                ))]
            }
            Some(Value::Text(text)) => self.parts(&text),
            Some(Value::List(items)) => {
                let mut parts = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    self.part(&format!("{field}.content[{index}]"), item, &mut parts)?;
                }
                parts
            }
            // A turn may be a call or a thought and no text.
            None if role == Role::Assistant && !others.is_empty() => Vec::new(),
            other => {
                return Err(Error::row("turn has no content")
                    .field(format!("{field}.content"))
                    .found(other.unwrap_or(Value::Null).describe())
                    .expected("text or a list of parts"));
            }
        };
        let message = Message {
            role,
            content,
            train,
            fields: others,
        };
        Ok((message, false))
    }

    fn speaker(&self, field: &str, value: Value) -> Result<Speaker, Error> {
        let found = match &value {
            Value::Text(text) => speaker(text),
            _ => None,
        };
        found.ok_or_else(|| {
            Error::row("unknown role")
                .field(format!("{field}.role"))
                .found(value.describe())
                .expected("system, user, assistant or tool")
        })
    }

    /// Text with `<image>`, `<image 1>` and `<video>` tags.
    pub(crate) fn parts(&mut self, text: &str) -> Vec<Part> {
        self.tagged(text, NEXT)
    }

    /// The same; `mark` stands where a tag shows the next of the column.
    fn tagged(&mut self, text: &str, mark: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while let Some(found) = text[at..].find('<') {
            let start = at + found;
            let rest = &text[start..];
            let (part, len) = if rest.starts_with("<image>") {
                (Some(Part::Image(mark)), "<image>".len())
            } else if rest.starts_with("<video>") {
                (Some(Part::Video(mark)), "<video>".len())
            } else {
                match numbered_tag(rest) {
                    Some((number, len)) => (self.by_number(number), len),
                    None => (None, 1),
                }
            };
            at = start + len;
            let Some(part) = part else { continue };
            if start > from {
                parts.push(Part::Text(text[from..start].to_owned()));
            }
            parts.push(part);
            from = at;
        }
        if from < text.len() || parts.is_empty() {
            parts.push(Part::Text(text[from..].to_owned()));
        }
        parts
    }

    /// The image of a column `image_N`. Every reference shows it.
    fn by_number(&mut self, number: usize) -> Option<Part> {
        let found = self.numbered.iter_mut().find(|n| n.number == number)?;
        found.shown = true;
        Some(Part::Image(found.inline))
    }

    /// One element of a content list.
    fn part(&mut self, field: &str, value: Value, out: &mut Vec<Part>) -> Result<(), Error> {
        let fields = match value {
            Value::Text(text) => {
                out.extend(self.parts(&text));
                return Ok(());
            }
            Value::Struct(fields) => fields,
            other => {
                return Err(Error::row("not a part of a turn")
                    .field(field)
                    .found(other.describe())
                    .expected("text or {\"type\": …}"));
            }
        };
        let get = |key: &str| {
            let found = fields
                .iter()
                .find(|(name, value)| name == key && !value.is_null());
            found.map(|(_, value)| value.clone())
        };
        for (name, value) in &fields {
            let read = READ_OF_PARTS.iter().chain(&VIDEO_FIELDS);
            if !read.into_iter().any(|known| known == name) && !value.is_null() {
                self.unread.push(format!("field {name} of a content part"));
            }
        }
        let kind = match get("type") {
            Some(Value::Text(kind)) => kind,
            _ => {
                return Err(Error::row("part has no type")
                    .field(field)
                    .expected("type = text, image or video"));
            }
        };
        match kind.as_str() {
            "text" | "input_text" | "output_text" => match get("text") {
                Some(Value::Text(text)) if get("tags") == Some(Value::Bool(false)) => {
                    out.push(Part::Text(text));
                }
                Some(Value::Text(text)) => out.extend(self.tagged(&text, TAG)),
                other => {
                    return Err(Error::row("part has no text")
                        .field(format!("{field}.text"))
                        .found(other.unwrap_or(Value::Null).describe()));
                }
            },
            "image" | "image_url" | "input_image" => {
                let own = ["image", "image_url", "url", "path", "base64", "bytes"];
                match own.iter().find_map(|key| get(key)) {
                    Some(value) => {
                        self.inline_images.push(self.reader.image(field, value)?);
                        out.push(Part::Image(self.inline_images.len() - 1));
                    }
                    None => out.push(Part::Image(NEXT)),
                }
            }
            "video" | "video_url" => match ["video", "video_url", "frames", "path", "url"]
                .iter()
                .find_map(|key| get(key))
            {
                Some(value) => {
                    self.inline_videos
                        .push(self.reader.video(field, value, &fields)?);
                    out.push(Part::Video(self.inline_videos.len() - 1));
                }
                None => out.push(Part::Video(NEXT)),
            },
            other => {
                return Err(Error::row("unknown type of part")
                    .field(format!("{field}.type"))
                    .found(format!("\"{}\"", shorten(other, 40)))
                    .expected("text, image, image_url or video"));
            }
        }
        Ok(())
    }
}

/// Fields of a content part that are read.
const READ_OF_PARTS: [&str; 12] = [
    "type",
    "text",
    "image",
    "image_url",
    "url",
    "path",
    "base64",
    "bytes",
    "video",
    "video_url",
    "frames",
    "tags",
];

/// A truth value, or 0 and 1 as OpenAI's `weight` and older ms-swift rows have them.
fn as_switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(bit) => Some(*bit),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        _ => None,
    }
}
