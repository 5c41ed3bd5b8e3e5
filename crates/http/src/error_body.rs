//! What a server says of an error.

use serde_json::Value;

/// The message and code of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    /// The server's words.
    pub message: String,
    /// The server's code, a number or a word (`insufficient_quota`).
    pub code: Option<String>,
}

impl ErrorBody {
    /// Of the `error` of a body: a text, or an object with `message` and `code`.
    pub fn of_value(error: &Value) -> Self {
        let message = match error {
            Value::String(text) => text.clone(),
            other => match other["message"].as_str() {
                Some(text) => text.to_owned(),
                None => other.to_string(),
            },
        };
        let code = match &error["code"] {
            Value::String(code) => Some(code.clone()),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        };
        Self { message, code }
    }

    /// Of a body that came with an error status: the API's form, FastAPI's `detail`, or the beginning of the text.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
            let start: String = text.trim().chars().take(300).collect();
            let message = match start.is_empty() {
                true => "no message".into(),
                false => start,
            };
            return Self {
                message,
                code: None,
            };
        };
        let found = ["error", "detail", "message"]
            .iter()
            .find_map(|name| body.get(name).filter(|value| !value.is_null()));
        let Self { message, code } = Self::of_value(found.unwrap_or(&body));
        Self {
            message: message.chars().take(600).collect(),
            code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_many_servers_are_read() {
        for (body, message) in [
            (
                r#"{"error":{"message":"bad image","code":"x"}}"#,
                "bad image",
            ),
            (r#"{"error":"bad image"}"#, "bad image"),
            (r#"{"object":"error","message":"bad image"}"#, "bad image"),
            ("bad image\n", "bad image"),
            ("", "no message"),
        ] {
            assert_eq!(
                ErrorBody::of_bytes(body.as_bytes()).message,
                message,
                "{body}"
            );
        }
    }
}
