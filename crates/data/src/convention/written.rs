//! Values that were written into a text column.

use crate::formats::python_literal;
use crate::formats::row::Value;

/// Whether a prompt is a list of turns, also one that was written into a text.
pub(crate) fn is_conversation(prompt: &Value) -> bool {
    match prompt {
        Value::List(_) => true,
        Value::Text(text) => written_turns(text).is_some(),
        _ => false,
    }
}

/// A conversation that was written into a text column, as verl's exports and CSV files have it.
pub(super) fn written_turns(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let is_turn = |value: &Value| {
        (value.get("role").is_some() || value.get("from").is_some())
            && matches!(value, Value::Struct(fields) if fields.len() > 1)
    };
    match python_literal::parse(text)? {
        Value::List(turns) if !turns.is_empty() && turns.iter().all(is_turn) => {
            Some(Value::List(turns))
        }
        turn @ Value::Struct(_) if is_turn(&turn) => Some(Value::List(vec![turn])),
        _ => None,
    }
}
