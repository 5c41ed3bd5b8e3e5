//! Brackets and what stands between separators outside them.

use super::budget::{Budget, Stop, invalid};
use super::token::{Spaced, Token};

pub(super) fn opens(token: &Token) -> bool {
    matches!(
        token,
        Token::Punct('(' | '[' | '{' | '⟨') | Token::BeginMatrix
    )
}

pub(super) fn closes(token: &Token) -> bool {
    matches!(
        token,
        Token::Punct(')' | ']' | '}' | '⟩') | Token::EndMatrix
    )
}

/// Parts between the tokens outside all brackets for which `separates` holds, and those tokens.
pub(super) fn split<'a>(
    tokens: &'a [Spaced],
    separates: impl Fn(&Token) -> bool,
    budget: &mut Budget,
) -> Result<(Vec<&'a [Spaced]>, Vec<&'a Token>), Stop> {
    budget.spend(tokens.len())?;
    let (mut parts, mut separators, mut start, mut depth) = (Vec::new(), Vec::new(), 0, 0usize);
    for (at, spaced) in tokens.iter().enumerate() {
        if opens(&spaced.token) {
            depth += 1;
        } else if closes(&spaced.token) {
            let Some(less) = depth.checked_sub(1) else {
                return invalid("a bracket is closed that was not opened");
            };
            depth = less;
        } else if depth == 0 && separates(&spaced.token) {
            parts.push(&tokens[start..at]);
            separators.push(&spaced.token);
            start = at + 1;
        }
    }
    if depth > 0 {
        return invalid("a bracket is not closed");
    }
    parts.push(&tokens[start..]);
    Ok((parts, separators))
}

/// Whether every bracket that opens is closed.
pub(super) fn brackets_match(tokens: &[Spaced]) -> bool {
    let mut depth = 0usize;
    for spaced in tokens {
        if opens(&spaced.token) {
            depth += 1;
        } else if closes(&spaced.token) {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            }
        }
    }
    depth == 0
}

/// What stands between the first and the last token, if they are brackets of one another.
pub(super) fn inside(tokens: &[Spaced]) -> Option<&[Spaced]> {
    let [first, inner @ .., last] = tokens else {
        return None;
    };
    let both = opens(&first.token) && closes(&last.token);
    (both && brackets_match(inner)).then_some(inner)
}
