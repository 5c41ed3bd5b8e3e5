//! What a row gives to the chat template besides its turns.

use crate::convention::padding::without_padding;
use crate::convention::take::take;
use crate::formats::python_literal;
use crate::formats::row::{Row, Value};
use crate::{Error, TemplateFields};

/// The columns that go to the chat template: `tools` and `chat_template_kwargs`, as objects or as JSON.
pub(super) fn template_fields(row: &mut Row, padded: bool) -> Result<TemplateFields, Error> {
    let read = |value: Value| {
        let value = match value {
            Value::Text(text) => python_literal::parse(&text).unwrap_or(Value::Text(text)),
            other => other,
        };
        let json = value.into_json();
        if padded { without_padding(json) } else { json }
    };
    let mut out = TemplateFields::default();
    if let Some((_, value)) = take(row, &None, &["tools"])? {
        let tools = match read(value) {
            serde_json::Value::Array(tools) => tools,
            serde_json::Value::String(text) if text.trim().is_empty() => Vec::new(),
            one => vec![one],
        };
        // Tools that are JSON in a list of texts.
        let tools = tools.into_iter().map(|tool| match tool {
            serde_json::Value::String(text) => {
                serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
            }
            tool => tool,
        });
        let tools: Vec<serde_json::Value> = tools.collect();
        // As TRL: some templates write about tools even for an empty list.
        out.tools = (!tools.is_empty()).then_some(tools.into());
    }
    if let Some((name, value)) = take(row, &None, &["chat_template_kwargs"])? {
        let described = value.describe();
        match read(value) {
            serde_json::Value::Object(kwargs) => out.kwargs = kwargs,
            _ => {
                return Err(Error::row("not named values for the chat template")
                    .field(name)
                    .found(described)
                    .expected(r#"{"enable_thinking": false}"#));
            }
        }
    }
    Ok(out)
}
