//! Several answers between commas, `and`, `or`; names with their values; `2 hours and 30 minutes`.

use super::budget::{Stop, invalid};
use super::phrases;
use super::reader::Reader;
use super::relation::{self, Reduced};
use super::scalar;
use super::split::split;
use super::token::{Spaced, Token};
use super::value::Value;

/// One answer, or several.
pub(super) fn list(
    reader: &mut Reader<'_, '_>,
    tokens: &[Spaced],
    depth: usize,
) -> Result<Value, Stop> {
    let tokens = match tokens {
        [first, rest @ ..]
            if !rest.is_empty()
                && first
                    .word()
                    .is_some_and(|word| word.eq_ignore_ascii_case("both"))
                && rest.iter().any(|t| t.token == Token::And) =>
        {
            rest
        }
        [first, rest @ ..]
            if first
                .word()
                .is_some_and(|word| word.eq_ignore_ascii_case("between"))
                && rest.iter().any(|t| t.token == Token::And) =>
        {
            return between(reader, rest, depth);
        }
        all => all,
    };
    let separates = |token: &Token| matches!(token, Token::Punct(',' | ';') | Token::And);
    let (parts, _) = split(tokens, separates, reader.budget)?;
    // `Therefore, 6`
    let opening =
        parts.len() > 1 && matches!(parts[0], [word] if word.word().is_some_and(phrases::opens));
    let mut items = Vec::new();
    let parts = parts.into_iter().skip(usize::from(opening));
    for part in parts.filter(|part| !part.is_empty()) {
        match reader.item(part, depth)? {
            Value::Bare(more) => items.extend(more),
            one => items.push(one),
        }
    }
    match items.len() {
        0 => invalid("there is nothing to read"),
        1 => Ok(items.remove(0)),
        _ => Ok(joined(items)),
    }
}

/// `between 5 and 7` is the range, as text says it: `5 to 7`.
fn between(reader: &mut Reader<'_, '_>, tokens: &[Spaced], depth: usize) -> Result<Value, Stop> {
    let (parts, _) = split(tokens, |token| *token == Token::And, reader.budget)?;
    let [a, b] = parts[..] else {
        return invalid("between more than two");
    };
    let (a, b) = (reader.item(a, depth)?, reader.item(b, depth)?);
    match (&a, &b) {
        (Value::Scalar(..), Value::Scalar(..)) => Ok(Value::To(Box::new(a), Box::new(b))),
        _ => invalid("between what is no number"),
    }
}

/// Assignments to one name are its values, to several a record; falling units are one quantity.
fn joined(items: Vec<Value>) -> Value {
    let named: Option<Vec<(String, Value)>> = items
        .iter()
        .map(|item| match item {
            Value::Relation(sides, signs) => match relation::reduce(sides, signs) {
                Reduced::Assignment(name, values) => Some((name, values.last().copied().cloned()?)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if let Some(named) = named {
        let first = stem(&named[0].0);
        let indexed = named.iter().all(|(name, _)| stem(name) == first);
        if indexed {
            return Value::Bare(named.into_iter().map(|(_, value)| value).collect());
        }
        return Value::Record(named);
    }
    if let Some(sum) = scalar::compound(&items) {
        return sum;
    }
    Value::Bare(items)
}

/// `x` of `x_1`.
fn stem(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}
