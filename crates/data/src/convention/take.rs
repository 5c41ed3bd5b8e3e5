//! Columns, taken out of a row one after the other.

use crate::formats::row::{Row, Value};
use crate::{ColumnMap, Error};

/// Removes the first of the columns that is there and not null; those that are null go as well.
/// A column named by the user must be there.
pub(super) fn take(
    row: &mut Row,
    given: &Option<String>,
    known: &[&str],
) -> Result<Option<(String, Value)>, Error> {
    if let Some(name) = given
        && !row.iter().any(|(column, _)| column == name)
    {
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::row("row has no such column")
            .field(name.as_str())
            .found(format!("columns {}", names.join(", ")))
            .help("correct data.columns in the recipe"));
    }
    let names = ColumnMap::candidates(given, known);
    row.retain(|(column, value)| !(value.is_null() && names.contains(&column.as_str())));
    let at = names
        .iter()
        .find_map(|name| row.iter().position(|(column, _)| column == name));
    Ok(at.map(|at| row.remove(at)))
}

/// A text, or nothing.
pub(super) fn text_or_null(field: &str, value: Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        other => Err(Error::row("not text")
            .field(field)
            .found(other.describe())
            .expected("text")),
    }
}
