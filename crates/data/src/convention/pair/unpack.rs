//! RLHF-V's first form: a column `text` that is a JSON object with `question`, `chosen` and `rejected`.

use crate::formats::python_literal;
use crate::formats::row::{Row, Value};

/// Puts the fields of such a column into the row. A column that is there stands before a field of its name,
/// and such a field stays in `text`.
pub(in crate::convention) fn unpack_text(row: &mut Row) {
    let has = |row: &Row, name: &str| row.iter().any(|(column, v)| column == name && !v.is_null());
    if has(row, "chosen") || has(row, "rejected") {
        return;
    }
    let Some(at) = row.iter().position(|(name, _)| name == "text") else {
        return;
    };
    let Value::Text(text) = &row[at].1 else {
        return;
    };
    if !text.trim_start().starts_with('{') {
        return;
    }
    let Some(Value::Struct(fields)) = python_literal::parse(text) else {
        return;
    };
    let holds = |name: &str| fields.iter().any(|(field, _)| field == name);
    if !holds("chosen") || !holds("rejected") {
        return;
    }
    row.remove(at);
    let (double, fields): (Row, Row) = fields.into_iter().partition(|(name, _)| has(row, name));
    row.retain(|(name, _)| !fields.iter().any(|(field, _)| field == name));
    row.extend(fields);
    if !double.is_empty() {
        row.push(("text".to_owned(), Value::Struct(double)));
    }
}
