//! One answer of a pair.

use crate::convention::media::MediaReader;
use crate::convention::media_list::MediaList;
use crate::convention::pair::dialogue::dialogue;
use crate::convention::pair::turns::{is_asked, turns_of};
use crate::convention::tool_calls;
use crate::formats::row::Value;
use crate::{Error, Message, Part, Role};

/// An answer as its column has it.
pub(super) struct Answer {
    pub field: String,
    pub turns: Vec<Value>,
    /// Number of turns of the column before these.
    pub skipped: usize,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A text.
    Text,
    /// One turn, as LLaMA-Factory has it.
    Turn,
    /// A list of turns.
    Turns,
}

impl Answer {
    /// A text, one turn, or a list of turns, also one that is written as a dialogue.
    pub(super) fn read(field: &str, value: Value) -> Result<Self, Error> {
        let made = |form, turns| Self {
            field: field.to_owned(),
            turns,
            skipped: 0,
            form,
        };
        if let Some(turns) = turns_of(&value) {
            return Ok(made(Form::Turns, turns));
        }
        if let Value::Text(text) = &value
            && let Some(turns) = dialogue(text)
        {
            return Ok(made(Form::Turns, turns));
        }
        match value {
            text @ Value::Text(_) => Ok(made(Form::Text, vec![text])),
            turn @ Value::Struct(_) => Ok(made(Form::Turn, vec![turn])),
            other => Err(Error::row("not an answer")
                .field(field)
                .found(other.describe())
                .expected("text, or a list of {\"role\": \"assistant\", \"content\": …}")),
        }
    }

    /// One answer, or a list of texts or of conversations.
    pub(super) fn several(field: &str, value: Value, padded: bool) -> Result<Vec<Self>, Error> {
        match value {
            Value::List(all) if !all.iter().all(|item| matches!(item, Value::Struct(_))) => all
                .into_iter()
                .enumerate()
                .filter(|(_, item)| !(padded && item.is_null()))
                .map(|(index, one)| Self::read(&format!("{field}[{index}]"), one))
                .collect(),
            one => Ok(vec![Self::read(field, one)?]),
        }
    }

    /// The turns of a column from number `from` on.
    pub(super) fn tail(field: &str, turns: &[Value], from: usize) -> Self {
        Self {
            field: field.to_owned(),
            turns: turns[from..].to_vec(),
            skipped: from,
            form: Form::Turns,
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.form == Form::Text
    }

    /// Whether it is a whole conversation and no answer alone.
    pub(super) fn repeats_prompt(&self) -> bool {
        self.form == Form::Turns && self.turns.first().is_some_and(is_asked)
    }

    /// Leaves out the first `count` turns.
    pub(super) fn skip(&mut self, count: usize) {
        self.turns.drain(..count);
        self.skipped += count;
    }

    /// Where turn `index` of those that are left stands.
    pub(super) fn place(&self, index: usize) -> String {
        match self.form {
            Form::Text | Form::Turn => self.field.clone(),
            Form::Turns => format!("{}[{}]", self.field, self.skipped + index),
        }
    }

    /// The turns as messages: the assistant's, with the results of its tool calls between them.
    pub(super) fn messages(
        self,
        reader: &MediaReader<'_>,
        padded: bool,
        unread: &mut Vec<String>,
    ) -> Result<Vec<Message>, Error> {
        if let (Form::Text, [Value::Text(text)]) = (self.form, self.turns.as_slice()) {
            if text.trim().is_empty() {
                return Err(empty(self.field.clone()));
            }
            return Ok(vec![Message::text(Role::Assistant, text.as_str())]);
        }
        let mut media = MediaList::new(Vec::new(), Vec::new(), reader, padded);
        let mut messages: Vec<Message> = Vec::with_capacity(self.turns.len());
        for (index, turn) in self.turns.iter().enumerate() {
            let place = self.place(index);
            if shows_media(turn) {
                return Err(Error::row("an answer shows a picture or a video")
                    .field(place)
                    .expected("text: the pictures of a pair stand in its prompt")
                    .help("pictures that differ belong into the column rejected_images"));
            }
            let (mut message, is_call) = media.message(&place, turn.clone())?;
            message.content = with_tags(message.content);
            if is_call {
                tool_calls::join(&mut messages, message);
                continue;
            }
            follows(&place, messages.last(), &message)?;
            messages.push(message);
        }
        unread.append(&mut media.unread);
        match messages.last() {
            Some(last) if last.role == Role::Assistant => Ok(messages),
            _ => Err(
                Error::row("an answer does not end with a turn of the assistant")
                    .field(self.field)
                    .expected("{\"role\": \"assistant\", \"content\": …} as its last turn"),
            ),
        }
    }
}

/// Whether a turn may stand behind those before it.
fn follows(place: &str, before: Option<&Message>, turn: &Message) -> Result<(), Error> {
    let silent = turn.plain_text().trim().is_empty() && turn.fields.is_empty();
    match (before.map(|turn| turn.role), turn.role) {
        (None | Some(Role::Tool), Role::Assistant) if silent => Err(empty(place.to_owned())),
        (None | Some(Role::Tool), Role::Assistant) => Ok(()),
        (Some(_), Role::Tool) => Ok(()),
        (Some(Role::Assistant), Role::Assistant) => Err(Error::row(
            "two turns of the assistant behind each other in one answer",
        )
        .field(place)
        .expected("one turn")
        .help("several answers are a list of texts, or a list of lists of turns")),
        (_, role) => Err(Error::row("an answer has a turn that is no answer")
            .field(place)
            .found(format!("role {role}"))
            .expected("turns of the assistant, with results of its tool calls between them")
            .help("put all turns before the answer into the prompt")),
    }
}

fn empty(field: String) -> Error {
    Error::row("an answer is empty")
        .field(field)
        .expected("text")
        .help("leave the row out, or leave `rejected` out where only the pictures differ")
}

/// Whether a turn carries media, or asks for some of a column. A tag in a text is text.
fn shows_media(turn: &Value) -> bool {
    let content = turn.get("content").or_else(|| turn.get("value"));
    let Some(Value::List(parts)) = content else {
        return false;
    };
    parts.iter().any(|part| match part.get("type") {
        Some(Value::Text(kind)) => kind.contains("image") || kind.contains("video"),
        _ => false,
    })
}

/// Tags of pictures are text in an answer.
fn with_tags(content: Vec<Part>) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::with_capacity(content.len());
    let mut after_tag = false;
    for part in content {
        let (text, is_tag) = match part {
            Part::Text(text) => (text, false),
            Part::Image(_) => ("<image>".to_owned(), true),
            Part::Video(_) => ("<video>".to_owned(), true),
        };
        match out.last_mut() {
            Some(Part::Text(before)) if is_tag || after_tag => before.push_str(&text),
            _ => out.push(Part::Text(text)),
        }
        after_tag = is_tag;
    }
    out
}
