//! Prompts and chosen answers that stand in columns of their own ways.

use crate::Error;
use crate::convention::columns::ColumnMap;
use crate::convention::experts;
use crate::convention::pair::answer::Answer;
use crate::convention::pair::prompt::split;
use crate::convention::pair::turns::turns_of;
use crate::convention::take::take;
use crate::formats::row::{Row, Value};

/// LLaMA-Factory's alpaca columns as a prompt: the instruction, and the input on a line of its own.
pub(super) fn instruction(row: &mut Row) -> Result<Option<(String, Value)>, Error> {
    let Some((name, instruction)) = take(row, &None, &["instruction"])? else {
        return Ok(None);
    };
    let input = take(row, &None, &["input"])?;
    let text = match (instruction, input.map(|(_, value)| value)) {
        (Value::Text(text), None) => text,
        (Value::Text(text), Some(Value::Text(input))) if input.is_empty() => text,
        (Value::Text(text), Some(Value::Text(input))) => format!("{text}\n{input}"),
        (Value::Text(_), Some(other)) => return Err(not_text("input", &other)),
        (other, _) => return Err(not_text("instruction", &other)),
    };
    Ok(Some((name, Value::Text(text))))
}

fn not_text(field: &str, value: &Value) -> Error {
    Error::row("not text")
        .field(field)
        .found(value.describe())
        .expected("text")
}

/// ms-swift: the chosen answer ends the conversation, or is the column `response`.
pub(super) fn chosen_elsewhere(
    given: &mut Option<(String, Value)>,
    row: &Row,
    map: &ColumnMap,
    rejected: &[Answer],
) -> Result<Answer, Error> {
    let turns = given
        .as_ref()
        .and_then(|(name, value)| Some((name.clone(), turns_of(value)?)));
    if let Some((name, turns)) = turns
        && let Some((prompt, chosen)) = split(&name, &turns, rejected)
    {
        *given = (!prompt.is_null()).then_some((name, prompt));
        return Ok(chosen);
    }
    let names = ColumnMap::candidates(&map.expert, &experts::COLUMNS);
    let response = names.iter().find_map(|name| {
        row.iter()
            .find(|(column, value)| column == name && !value.is_null())
    });
    if let Some((name, value)) = response {
        return Answer::read(name, value.clone());
    }
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    let field = rejected
        .first()
        .map_or("rejected_images", |answer| answer.field.as_str());
    Err(
        Error::row("a rejected answer or picture without a chosen answer")
            .field(field)
            .found(format!("columns {}", names.join(", ")))
            .expected("chosen, response, or messages that end with a turn of the assistant")
            .help("name the column in data.columns.chosen"),
    )
}
