//! Which parts of a rendered conversation are trained: its text, cut at the turns that carry a loss.

use percept_data::{Message, Sample};

use crate::Error;
use crate::processor::chat::Chat;
use crate::processor::errors::at;

/// Pieces of a rendered conversation and whether they are trained.
pub(super) type Segments = Vec<(String, bool)>;

/// The conversation in pieces; the last one is trained. `ends` are the texts of the tokens that end a turn.
pub(super) fn segments(
    chat: &Chat,
    ends: &[String],
    sample: &Sample,
    messages: &[Message],
) -> Result<Segments, Error> {
    let found = match growing(chat, ends, sample, messages)? {
        Some(segments) => Some(segments),
        None => inside(chat, ends, sample, messages)?,
    };
    let Some(mut segments) = found else {
        let message = "the chat template rewrites earlier turns, so the loss mask of this \
                       conversation is not defined; train on its last turn only"
            .to_owned();
        return Err(at(sample, "messages", message));
    };
    // What the template writes behind the end token teaches nothing.
    while segments.last().is_some_and(|(_, trained)| !trained) {
        segments.pop();
    }
    Ok(segments)
}

/// Templates that only append: what a turn adds is its text.
fn growing(
    chat: &Chat,
    ends: &[String],
    sample: &Sample,
    messages: &[Message],
) -> Result<Option<Segments>, Error> {
    let mut segments = Segments::new();
    let mut done = String::new();
    for index in 0..messages.len() {
        if !messages[index].trains() {
            continue;
        }
        let before = chat.render(sample, &messages[..index], true)?;
        let after = chat.render(sample, &messages[..=index], false)?;
        let (Some(gap), Some(turn)) = (
            before.strip_prefix(done.as_str()),
            after.strip_prefix(before.as_str()),
        ) else {
            return Ok(None);
        };
        let end = last_end(ends, turn).unwrap_or(turn.len());
        segments.push((gap.to_owned(), false));
        segments.push((turn[..end].to_owned(), true));
        segments.push((turn[end..].to_owned(), false));
        done = after;
    }
    Ok(Some(segments))
}

/// Templates that write a turn otherwise once others follow (Qwen3 drops the thoughts of earlier turns):
/// a turn's text is looked up in the whole conversation, from its opening to its end token.
fn inside(
    chat: &Chat,
    ends: &[String],
    sample: &Sample,
    messages: &[Message],
) -> Result<Option<Segments>, Error> {
    let whole = chat.render(sample, messages, false)?;
    let mut segments = Segments::new();
    let mut done = 0;
    for index in 0..messages.len() {
        if !messages[index].trains() {
            continue;
        }
        let before = chat.render(sample, &messages[..index], true)?;
        if before.len() < done || !whole.starts_with(before.as_str()) {
            return Ok(None);
        }
        let Some(end) = first_end(ends, &whole[before.len()..]) else {
            return Ok(None);
        };
        let end = before.len() + end;
        segments.push((whole[done..before.len()].to_owned(), false));
        segments.push((whole[before.len()..end].to_owned(), true));
        done = end;
    }
    Ok(Some(segments))
}

/// Behind the last end token of a text.
fn last_end(ends: &[String], text: &str) -> Option<usize> {
    let found = ends.iter();
    found
        .filter_map(|end| text.rfind(end).map(|at| at + end.len()))
        .max()
}

/// Behind the first end token of a text.
fn first_end(ends: &[String], text: &str) -> Option<usize> {
    let found = ends.iter();
    found
        .filter_map(|end| text.find(end).map(|at| at + end.len()))
        .min()
}
