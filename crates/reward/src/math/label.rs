//! Names on the left of `name = value`: `AB`, `f(2)`, `m\angle ABC`, `S_{\triangle ABC}`, `(x,y)`.

use super::text;
use super::token::{Spaced, Token};
use super::words;

/// The name that the tokens are, in one spelling; none where they are (or may be) an expression.
///
/// A single letter, with or without an index, is left to the parser: it is both.
pub(super) fn label(source: &str, tokens: &[Spaced]) -> Option<String> {
    let [first, .., last] = tokens else {
        return match tokens {
            [
                Spaced {
                    token: Token::Word(word),
                    upright,
                    ..
                },
            ] => (*upright || !words::is_product(word)).then(|| spelled(source, tokens)),
            [
                Spaced {
                    token: Token::Name(name),
                    ..
                },
            ] if name.starts_with("\\over") => Some(spelled(source, tokens)),
            _ => None,
        };
    };
    if tokens.len() > 24 {
        return None;
    }
    if is_derivative(tokens) {
        return Some("'".into());
    }
    if first.is('(') && last.is(')') {
        let names = tokens[1..tokens.len() - 1]
            .iter()
            .all(|t| matches!(t.token, Token::Name(_)) || t.is(','));
        return names.then(|| spelled(source, tokens));
    }
    if first.is('|') && last.is('|') && tokens.len() == 3 {
        return tokens[1].word().map(|_| spelled(source, &tokens[1..2]));
    }
    let head = tokens
        .iter()
        .position(|t| t.is('('))
        .unwrap_or(tokens.len());
    let (name, call) = tokens.split_at(head);
    if !is_name(name) {
        return None;
    }
    if call.is_empty() {
        let word = name.iter().any(|t| {
            t.word()
                .is_some_and(|word| t.upright || !words::is_product(word))
        });
        return word.then(|| spelled(source, tokens));
    }
    let words_only = name.len() > 1 && name.iter().all(|t| t.word().is_some());
    let one = matches!(name[0].token, Token::Name(_) | Token::Word(_)) && !words_only;
    let simple = call[1..call.len() - 1].iter().all(|t| {
        matches!(
            t.token,
            Token::Name(_) | Token::Word(_) | Token::Number(_) | Token::Relation(_) | Token::Cup
        ) || t.is(',')
            || t.is('|')
            || t.is('-')
            || t.is('\'')
    });
    (one && simple && last.is(')')).then(|| spelled(source, tokens))
}

/// Names, words and indices, and no sign that computes; the first is a letter or word.
fn is_name(tokens: &[Spaced]) -> bool {
    let mut at = 0;
    while let Some(spaced) = tokens.get(at) {
        at += 1;
        match &spaced.token {
            Token::Word(_) => {}
            // A product of letters is an expression: one letter, or letters after a word.
            Token::Name(_) if at == 1 || tokens[..at - 1].iter().any(|t| t.word().is_some()) => {}
            Token::Punct('\'') if at > 1 => {}
            Token::Punct('_') if at > 1 => {
                let braced = tokens.get(at).is_some_and(|next| next.is('{'));
                if braced {
                    let Some(end) = tokens[at..].iter().position(|t| t.is('}')) else {
                        return false;
                    };
                    at += end + 1;
                } else {
                    at += 1;
                }
            }
            _ => return false,
        }
    }
    // `m angle` begins with a letter that stands for "measure".
    !tokens.is_empty()
}

/// `f'(x)`, `y'`, `\frac{dy}{dx}`, `dy/dx`.
fn is_derivative(tokens: &[Spaced]) -> bool {
    let words: Vec<&Spaced> = tokens
        .iter()
        .filter(|t| !(t.is('{') || t.is('}') || t.is('/')) && t.token != Token::Frac)
        .collect();
    let differential = |t: &Spaced| {
        t.word()
            .is_some_and(|word| word.len() == 2 && word.starts_with('d'))
    };
    let fraction = tokens[0].token == Token::Frac || tokens.iter().any(|t| t.is('/'));
    if fraction {
        return matches!(words[..], [a, b] if differential(a) && differential(b));
    }
    matches!(tokens[0].token, Token::Name(_))
        && tokens[1].is('\'')
        && tokens[2..]
            .iter()
            .all(|t| matches!(t.token, Token::Name(_)) || t.is('(') || t.is(')'))
}

fn spelled(source: &str, tokens: &[Spaced]) -> String {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return String::new();
    };
    let text = source
        .get(first.from..last.to)
        .map(text::normal)
        .unwrap_or_default();
    let mut text = text.as_str();
    for word in [
        "the ",
        "measure of ",
        "m ",
        "line segment ",
        "segment ",
        "line ",
        "length of ",
        "length ",
    ] {
        text = text.strip_prefix(word).unwrap_or(text);
    }
    text.split(' ').collect()
}
