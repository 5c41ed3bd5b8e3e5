//! One row as its file stores it, before conventions are applied: the common ground of JSON and
//! Parquet. Unlike JSON it has bytes, which are shared and never copied.

use std::sync::Arc;

use serde_json::Number;

use crate::Error;
use crate::error::shorten;
use crate::formats::big_integers;

/// Columns of a row in file order.
pub(crate) type Row = Vec<(String, Value)>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Bytes(Arc<[u8]>),
    List(Vec<Value>),
    Struct(Vec<(String, Value)>),
}

/// Where the rows of one file come from.
pub(crate) trait Rows: Send + Sync {
    fn len(&self) -> usize;
    /// Row `i`. Errors carry no file or row; the caller adds them.
    fn row(&self, i: usize) -> Result<Row, Error>;
    /// Whether rows carry null for what they do not have, as those of a columnar file do.
    fn padded(&self) -> bool {
        false
    }
    /// The 1-based number by which a user finds row `i`: its line, or its place in the file.
    fn number(&self, i: usize) -> usize {
        i + 1
    }
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The field of a struct, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Struct(fields) = self else {
            return None;
        };
        let field = fields.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| value).filter(|v| !v.is_null())
    }

    /// The value for error messages: its type and, where short, itself.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Number(n) => format!("number {n}"),
            Self::Text(text) => format!("text \"{}\"", shorten(text, 60)),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::List(list) => format!("list of {}", list.len()),
            Self::Struct(fields) => {
                let keys: Vec<&str> = fields.iter().map(|(k, _)| k.as_str()).collect();
                shorten(&format!("struct {{{}}}", keys.join(", ")), 80)
            }
        }
    }

    /// As JSON, for `Sample::meta`. Bytes are not carried along; their size is.
    pub(crate) fn into_json(self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(b),
            Self::Number(n) => Json::Number(n),
            Self::Text(text) => Json::String(text),
            Self::Bytes(bytes) => Json::String(format!("<{} bytes>", bytes.len())),
            Self::List(list) => list.into_iter().map(Self::into_json).collect(),
            Self::Struct(fields) => Json::Object(
                fields
                    .into_iter()
                    .map(|(k, v)| (k, v.into_json()))
                    .collect(),
            ),
        }
    }

    /// Heap bytes, for the budget of the row-group cache.
    pub(crate) fn heap_size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.iter().map(|v| 32 + v.heap_size()).sum(),
            Self::Struct(fields) => row_size(fields),
        }
    }
}

/// Heap bytes of a row.
pub(crate) fn row_size(row: &[(String, Value)]) -> usize {
    row.iter().map(|(k, v)| 64 + k.len() + v.heap_size()).sum()
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => Self::Number(n),
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Json::Object(fields) => {
                Self::Struct(fields.into_iter().map(|(k, v)| (k, v.into())).collect())
            }
        }
    }
}

/// Parses one JSON object; `bytes` is a JSONL line or an element of a JSON array.
pub(crate) fn parse_json(bytes: &[u8]) -> Result<Row, Error> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Error::row("invalid UTF-8")
            .found(format!("bad byte at offset {} of the row", e.valid_up_to()))
            .help("save the file as UTF-8")
    })?;
    let quoted = big_integers::quoted(text);
    let json: serde_json::Value = serde_json::from_str(&quoted).map_err(|e| {
        let what = match e.classify() {
            serde_json::error::Category::Eof => "JSON breaks off",
            _ => "not JSON",
        };
        let message = e.to_string();
        let reason = message.split(" at line ").next().unwrap_or_default();
        let error = Error::row(what).found(format!("{reason} at column {}", e.column()));
        if text.contains("NaN") || text.contains("Infinity") {
            error.help("JSON has no NaN or Infinity; write null")
        } else {
            error.help("each row must be one complete JSON object")
        }
    })?;
    match Value::from(json) {
        Value::Struct(fields) => Ok(fields),
        other => Err(Error::row("row is not an object")
            .found(other.describe())
            .expected("{\"messages\": […], …}")),
    }
}
