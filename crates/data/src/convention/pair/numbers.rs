//! Numbers that some losses take from a pair.

use crate::Error;
use crate::convention::take::take;
use crate::formats::row::{Row, Value};

/// `confidence`: how sure the annotator is, from 0 to 1.
pub(super) fn confidence(row: &mut Row) -> Result<Option<f64>, Error> {
    number(row, "confidence", "a number from 0 to 1", |value| {
        (0.0..=1.0).contains(&value)
    })
}

/// `clip_gap`: similarity of picture and text by CLIP, chosen minus rejected.
pub(super) fn clip_gap(row: &mut Row) -> Result<Option<f64>, Error> {
    number(row, "clip_gap", "a finite number", f64::is_finite)
}

fn number(
    row: &mut Row,
    name: &str,
    expected: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<Option<f64>, Error> {
    let Some((name, value)) = take(row, &None, &[name])? else {
        return Ok(None);
    };
    let read = match &value {
        Value::Number(number) => number.as_f64(),
        // A table of text has its numbers as text.
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match read {
        Some(read) if fits(read) => Ok(Some(read)),
        _ => Err(Error::row("not a number that a pair can have")
            .field(name)
            .found(value.describe())
            .expected(expected)),
    }
}
