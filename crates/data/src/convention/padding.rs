//! The nulls that Parquet and Arrow add: a column has one type for all rows, so each row carries every field
//! of any row, null where it has none.

use serde_json::Value;

/// Fields of a JSON schema in which a null says something (as in ms-swift's `remove_arrow_padding`).
const MEANT: [&str; 4] = ["default", "const", "enum", "examples"];

/// A value without the null fields of its objects.
pub(crate) fn without_padding(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_padding).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().filter_map(|(name, value)| match value {
                Value::Null => None,
                value if MEANT.contains(&name.as_str()) => Some((name, value)),
                value => Some((name, without_padding(value))),
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}
