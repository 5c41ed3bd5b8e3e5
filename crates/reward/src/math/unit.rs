//! Units after a number: `5 cm^2`, `3 \text{ m/s}`, `12 apples`.

use super::budget::{Budget, Stop};
use super::token::{Spaced, Token};
use super::words::{self, Dimension};

/// A unit of measurement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Unit {
    /// Dimensions with their exponents, sorted, and the size in base units.
    Known(Vec<(Dimension, i32)>, f64),
    /// A word that is no unit that we know ("apples"): it is dropped.
    Other,
}

/// Splits `5 cm` into the number's tokens and the unit; no unit where there is none.
pub(super) fn split<'a>(
    tokens: &'a [Spaced],
    budget: &mut Budget,
) -> Result<(&'a [Spaced], Option<Unit>), Stop> {
    budget.spend(tokens.len())?;
    let tokens = temperature(tokens);
    let start = tokens
        .iter()
        .enumerate()
        .position(|(at, spaced)| match &spaced.token {
            Token::Word(_) => true,
            // One letter is a unit only directly after a number without variables.
            Token::Name(name) => {
                at > 0
                    && words::unit(name).is_some()
                    && !tokens[..at]
                        .iter()
                        .any(|t| matches!(t.token, Token::Name(_)))
                    && matches!(tokens[at - 1].token, Token::Number(_))
            }
            _ => false,
        });
    let Some(start) = start.filter(|&start| start > 0) else {
        return Ok((tokens, None));
    };
    let named = matches!(tokens[start].token, Token::Name(_));
    match read(&tokens[start..]) {
        Some(unit) => Ok((&tokens[..start], Some(unit))),
        None if named => Ok((tokens, None)),
        None => Ok((&[], None)),
    }
}

/// `30°C` is read as `30°`.
fn temperature(tokens: &[Spaced]) -> &[Spaced] {
    match tokens {
        [
            rest @ ..,
            Spaced {
                token: Token::Name(name),
                ..
            },
        ] if (name == "C" || name == "F")
            && rest.iter().rev().take(2).any(|spaced| spaced.is('°')) =>
        {
            rest
        }
        _ => tokens,
    }
}

/// Factors with exponents between `*`, `/`, `per` and blanks.
fn read(tokens: &[Spaced]) -> Option<Unit> {
    let mut dimensions: Vec<(Dimension, i32)> = Vec::new();
    let (mut size, mut known) = (1.0, true);
    let (mut sign, mut prefix) = (1, 1);
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at].token;
        at += 1;
        let name = match token {
            Token::Punct('/') => {
                sign = -1;
                continue;
            }
            Token::Punct('*' | '{' | '}' | '(' | ')') => continue,
            Token::Word(name) | Token::Name(name) => name.as_str(),
            _ => return None,
        };
        match name {
            "per" => {
                sign = -1;
                continue;
            }
            "square" | "sq" => {
                prefix = 2;
                continue;
            }
            "cubic" | "cu" => {
                prefix = 3;
                continue;
            }
            _ => {}
        }
        let (exponent, used) = exponent(&tokens[at..])?;
        at += used;
        let exponent = exponent * sign * std::mem::replace(&mut prefix, 1);
        match words::unit(name) {
            Some((dimension, factor)) => {
                size *= f64::powi(factor, exponent);
                match dimensions.iter_mut().find(|(other, _)| *other == dimension) {
                    Some((_, total)) => *total += exponent,
                    None => dimensions.push((dimension, exponent)),
                }
            }
            None => known = false,
        }
    }
    dimensions.sort_by_key(|(dimension, _)| *dimension as u8);
    Some(if known && !dimensions.is_empty() {
        Unit::Known(dimensions, size)
    } else {
        Unit::Other
    })
}

/// `^2`, `^{-1}`: the exponent and how many tokens it takes.
fn exponent(tokens: &[Spaced]) -> Option<(i32, usize)> {
    if !tokens.first().is_some_and(|spaced| spaced.is('^')) {
        return Some((1, 0));
    }
    let (mut at, mut sign) = (1, 1);
    loop {
        match &tokens.get(at)?.token {
            Token::Punct('{') => {}
            Token::Punct('-') => sign = -sign,
            Token::Number(number) => {
                let value = i32::try_from(number.whole()?).ok()?;
                let closed = tokens.get(at + 1).is_some_and(|spaced| spaced.is('}'));
                return (value <= 9).then_some((sign * value, at + 1 + usize::from(closed)));
            }
            _ => return None,
        }
        at += 1;
    }
}
