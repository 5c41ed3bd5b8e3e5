//! Tool calls as turns of their own (ms-swift, ShareGPT), in the form that chat templates know: a field
//! `tool_calls` of the assistant's turn.

use serde_json::{Value as Json, json};

use crate::formats::python_literal;
use crate::formats::row::Value;
use crate::{Error, Message, Role};

/// The turn of a role `tool_call`, whose content is `{"name": …, "arguments": {…}}` as text or object.
pub(crate) fn from_content(field: &str, content: Option<Value>) -> Result<Message, Error> {
    let content = content.unwrap_or(Value::Null);
    let parsed = match &content {
        Value::Text(text) => python_literal::parse(text).map(Value::into_json),
        other => Some(other.clone().into_json()),
    };
    let calls = match parsed {
        Some(Json::Array(calls)) => calls,
        Some(call) => vec![call],
        None => Vec::new(),
    };
    let calls: Option<Vec<Json>> = calls.iter().map(call).collect();
    let Some(calls) = calls.filter(|calls| !calls.is_empty()) else {
        return Err(Error::row("turn is not a tool call")
            .field(format!("{field}.content"))
            .found(content.describe())
            .expected(r#"{"name": …, "arguments": {…}}"#));
    };
    let mut message = Message::new(Role::Assistant, Vec::new());
    message
        .fields
        .insert("tool_calls".into(), Json::Array(calls));
    Ok(message)
}

fn call(call: &Json) -> Option<Json> {
    let call = call.get("function").unwrap_or(call);
    let name = call.get("name")?.as_str()?;
    let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
        Some(Json::String(text)) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        Some(arguments) => arguments.clone(),
        None => json!({}),
    };
    Some(json!({"type": "function", "function": {"name": name, "arguments": arguments}}))
}

/// Adds a call to the turn of the assistant before it, as several calls at once are one turn.
pub(crate) fn join(messages: &mut Vec<Message>, mut call: Message) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant && last.train == call.train => {
            let new = call.fields.remove("tool_calls").unwrap_or_default();
            let known = last.fields.entry("tool_calls").or_insert_with(|| json!([]));
            if let (Json::Array(known), Json::Array(new)) = (known, new) {
                known.extend(new);
            }
            last.fields.extend(call.fields);
        }
        _ => messages.push(call),
    }
}
