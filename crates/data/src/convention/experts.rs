//! Expert trajectories.

use crate::convention::media_list::MediaList;
use crate::convention::take::text_or_null;
use crate::formats::row::Value;
use crate::{Error, Message, Part, Role};

/// Columns of an expert.
pub(super) const COLUMNS: [&str; 3] = ["expert", "completion", "response"];

/// One expert trajectory, or a list of several; the turns of one that is more than a text.
pub(super) fn experts(
    media: &mut MediaList<'_>,
    field: &str,
    value: Value,
) -> Result<(Vec<String>, Vec<Message>), Error> {
    let is_one = |one: &Value| matches!(one, Value::Text(_) | Value::List(_));
    match value {
        Value::List(all) if !all.is_empty() && all.iter().all(is_one) => {
            let mut texts = Vec::new();
            for (index, one) in all.into_iter().enumerate() {
                texts.extend(expert(media, &format!("{field}[{index}]"), one)?.0);
            }
            Ok((texts, Vec::new()))
        }
        one => {
            let (text, turns) = expert(media, field, one)?;
            Ok((text.into_iter().collect(), turns))
        }
    }
}

/// A text, or a conversation whose last turn is the assistant's: its text, and all turns where they are
/// more than that.
fn expert(
    media: &mut MediaList<'_>,
    field: &str,
    value: Value,
) -> Result<(Option<String>, Vec<Message>), Error> {
    let value = match value {
        turn @ Value::Struct(_) => Value::List(vec![turn]),
        value => value,
    };
    if !matches!(value, Value::List(_)) {
        return Ok((text_or_null(field, value)?, Vec::new()));
    }
    let missing = || {
        Error::row("no turn of the assistant")
            .field(field)
            .expected("text, or a list that has {\"role\": \"assistant\", \"content\": text}")
    };
    let described = value.describe();
    let turns = media
        .messages(field, value)
        .map_err(|_| missing().found(described))?;
    let shows = |turn: &Message| {
        turn.content
            .iter()
            .any(|part| !matches!(part, Part::Text(_)))
    };
    if turns.iter().any(shows) {
        return Err(missing().help("images stand in the prompt's turns"));
    }
    let last = turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    let text = last.ok_or_else(missing)?.plain_text();
    let text = (!text.is_empty()).then_some(text);
    let plain = turns.len() == 1 && turns[0].fields.is_empty() && turns[0].train != Some(false);
    Ok((text, if plain { Vec::new() } else { turns }))
}
