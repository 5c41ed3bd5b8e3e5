//! The column of rejected pictures.

use crate::convention::media::{MediaReader, is_nothing};
use crate::formats::python_literal;
use crate::formats::row::Value;
use crate::{Error, Media};

/// The value of a column that was written as text.
fn parsed(value: Value) -> Value {
    match value {
        Value::Text(text) if text.trim_start().starts_with('[') => {
            python_literal::parse(&text).unwrap_or(Value::Text(text))
        }
        other => other,
    }
}

/// Whether a column says that there are no rejected pictures: null, an empty list, a list of nothing.
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::List(items) => items.iter().all(says_nothing),
        other => is_nothing(other),
    }
}

/// The sets of rejected pictures: one, or several where the column is a list of lists.
pub(super) fn picture_sets(
    reader: &MediaReader<'_>,
    name: &str,
    value: Value,
) -> Result<Vec<Vec<Media>>, Error> {
    match parsed(value) {
        Value::List(sets) if sets.iter().any(|set| matches!(set, Value::List(_))) => {
            let sets = sets.into_iter().enumerate();
            sets.map(|(index, set)| reader.images(&format!("{name}[{index}]"), set))
                .collect()
        }
        one => Ok(vec![reader.images(name, one)?]),
    }
}

/// Each set stands in the place of all pictures of the row.
pub(super) fn check_numbers(name: &str, sets: &[Vec<Media>], pictures: usize) -> Result<(), Error> {
    let wrong = sets
        .iter()
        .enumerate()
        .find(|(_, set)| set.len() != pictures);
    let Some((index, set)) = wrong else {
        return Ok(());
    };
    let field = match sets.len() {
        1 => name.to_owned(),
        _ => format!("{name}[{index}]"),
    };
    let what = match pictures {
        0 => "rejected pictures in a row without pictures",
        _ => "number of rejected pictures and of pictures differ",
    };
    Err(Error::row(what)
        .field(field)
        .found(format!("{} rejected pictures", set.len()))
        .expected(format!("{pictures}, as many as the row has pictures"))
        .help(
            "one list stands in the place of all pictures of the row; several rejected versions are a list of lists",
        ))
}
