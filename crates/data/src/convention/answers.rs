//! The right answers in a column.

use crate::formats::row::Value;

/// The right answers in a column, the first one first: several where it holds a list of texts, any of which is
/// right (`["4", "four"]`, also with numbers among them). Anything else is one answer: a list of numbers is
/// coordinates or a list to be named whole, and stays the text `[4,8]`.
pub(super) fn answers(value: Value) -> Vec<String> {
    let scalars = |items: &[Value]| {
        items
            .iter()
            .all(|item| matches!(item, Value::Text(_) | Value::Number(_) | Value::Bool(_)))
    };
    // `["A", "C"]`: the letters of a multiple-choice question, all of which must be named.
    let letters = |items: &[Value]| {
        items.len() > 1
            && items.iter().all(|item| {
                matches!(item, Value::Text(text) if matches!(text.as_bytes(), [b'A'..=b'Z']))
            })
    };
    match value {
        Value::List(items) if letters(&items) => {
            let all = items.into_iter().filter_map(scalar);
            vec![all.collect::<Vec<_>>().join(", ")]
        }
        Value::List(items)
            if scalars(&items) && items.iter().any(|item| matches!(item, Value::Text(_))) =>
        {
            items.into_iter().filter_map(scalar).collect()
        }
        other => scalar(other).into_iter().collect(),
    }
}

/// A text, number or truth value as text; anything else as JSON.
pub(super) fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bit) => Some(bit.to_string()),
        other => Some(other.into_json().to_string()),
    }
}

/// The right answers in a column's value, as [`crate::Sample::answer`] and
/// [`crate::Sample::alternatives`] hold them: several for a list of texts, none for null.
pub fn right_answers(value: serde_json::Value) -> Vec<String> {
    answers(value.into())
}
