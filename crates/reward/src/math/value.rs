//! Answers: scalars with units, text, lists, sets, intervals, relations, matrices.

use super::budget::{Budget, Stop, invalid};
use super::expr::{Expr, Order};
use super::lexer;
use super::parser::{self, MAX_DEPTH};
use super::token::{Spaced, Token};
use super::unit::{self, Unit};
use super::words;

/// What an answer is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Expr, Option<Unit>),
    /// Prose, in lower case with single blanks.
    Text(String),
    /// `1, 2` or `1 and 2`, without brackets.
    Bare(Vec<Value>),
    /// `\{1, 2\}`.
    Set(Vec<Value>),
    /// Points, tuples and intervals: `(1, 2]`.
    Sequence(char, Vec<Value>, char),
    Union(Vec<Value>),
    Relation(Vec<Value>, Vec<Order>),
    Matrix(Vec<Vec<Value>>),
}

/// An answer as read, with its letters where it has nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) value: Value,
    /// The text in lower case, if it is letters and blanks alone and longer than one letter: `AB`
    /// is read as a product, but `Red` and `red` are one answer.
    pub(super) letters: Option<String>,
}

/// Reads an answer.
pub(super) fn parse(text: &str, budget: &mut Budget) -> Result<Parsed, Stop> {
    let tokens = lexer::tokens(text, budget)?;
    let trimmed = text.trim();
    let letters = trimmed.len() > 1 && trimmed.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
    Ok(Parsed {
        value: list(&tokens, 0, budget)?,
        letters: letters.then(|| trimmed.to_ascii_lowercase()),
    })
}

fn opens(token: &Token) -> bool {
    matches!(
        token,
        Token::Punct('(' | '[' | '{' | '⟨') | Token::BeginMatrix
    )
}

fn closes(token: &Token) -> bool {
    matches!(
        token,
        Token::Punct(')' | ']' | '}' | '⟩') | Token::EndMatrix
    )
}

/// Parts between the tokens outside all brackets for which `separates` holds, and those tokens.
fn split<'a>(
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

/// One answer, or several between commas, `and`, `or`.
fn list(tokens: &[Spaced], depth: usize, budget: &mut Budget) -> Result<Value, Stop> {
    let separates = |token: &Token| matches!(token, Token::Punct(',' | ';') | Token::And);
    let (parts, _) = split(tokens, separates, budget)?;
    let mut items = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        match item(part, depth, budget)? {
            Value::Bare(more) => items.extend(more),
            one => items.push(one),
        }
    }
    match items.len() {
        0 => invalid("there is nothing to read"),
        1 => Ok(items.remove(0)),
        _ => Ok(Value::Bare(items)),
    }
}

fn item(tokens: &[Spaced], depth: usize, budget: &mut Budget) -> Result<Value, Stop> {
    if depth > MAX_DEPTH {
        return invalid(format!("nested deeper than {MAX_DEPTH}"));
    }
    if tokens.iter().any(|t| t.is('±') || t.is('∓')) {
        budget.spend(2 * tokens.len())?;
        let upper = item(&signed(tokens, '+', '-'), depth + 1, budget)?;
        let lower = item(&signed(tokens, '-', '+'), depth + 1, budget)?;
        return Ok(Value::Bare(vec![upper, lower]));
    }
    let (parts, _) = split(tokens, |token| *token == Token::In, budget)?;
    if let [_, set] = parts[..] {
        return item(set, depth + 1, budget);
    }
    let (sides, signs) = split(tokens, |token| matches!(token, Token::Relation(_)), budget)?;
    if sides.len() > 1 {
        let sides = sides
            .into_iter()
            .map(|side| item(side, depth + 1, budget))
            .collect::<Result<_, _>>()?;
        let signs = signs.into_iter().filter_map(order).collect();
        return Ok(Value::Relation(sides, signs));
    }
    let (parts, _) = split(tokens, |token| *token == Token::Cup, budget)?;
    if parts.len() > 1 {
        let parts = parts
            .into_iter()
            .map(|part| item(part, depth + 1, budget))
            .collect::<Result<_, _>>()?;
        return Ok(Value::Union(parts));
    }
    match tokens {
        [only] if only.token == Token::EmptySet => return Ok(Value::Set(Vec::new())),
        [only] if only.token == Token::Name("\\mathbb{R}".into()) => return Ok(reals()),
        _ => {}
    }
    match bracketed(tokens) {
        Some(inner) => brackets(tokens, inner, depth, budget),
        None => scalar(tokens, budget),
    }
}

fn order(token: &Token) -> Option<Order> {
    match token {
        Token::Relation(order) => Some(*order),
        _ => None,
    }
}

fn reals() -> Value {
    let infinity = || Value::Scalar(Expr::Infinity, None);
    let below = Value::Scalar(Expr::Negative(Box::new(Expr::Infinity)), None);
    Value::Sequence('(', vec![below, infinity()], ')')
}

fn signed(tokens: &[Spaced], plus_minus: char, minus_plus: char) -> Vec<Spaced> {
    let mut tokens = tokens.to_vec();
    for spaced in &mut tokens {
        if spaced.is('±') {
            spaced.token = Token::Punct(plus_minus);
        } else if spaced.is('∓') {
            spaced.token = Token::Punct(minus_plus);
        }
    }
    tokens
}

/// What stands between the first and the last token, if they are brackets of one another.
fn bracketed(tokens: &[Spaced]) -> Option<&[Spaced]> {
    let [first, inner @ .., last] = tokens else {
        return None;
    };
    if !opens(&first.token) || !closes(&last.token) {
        return None;
    }
    let mut depth = 0usize;
    for spaced in inner {
        if opens(&spaced.token) {
            depth += 1;
        } else if closes(&spaced.token) {
            depth = depth.checked_sub(1)?;
        }
    }
    Some(inner)
}

fn brackets(
    tokens: &[Spaced],
    inner: &[Spaced],
    depth: usize,
    budget: &mut Budget,
) -> Result<Value, Stop> {
    let (open, close) = match (&tokens[0].token, &tokens[tokens.len() - 1].token) {
        (Token::BeginMatrix, Token::EndMatrix) => return matrix(inner, depth, budget),
        (Token::Punct(open), Token::Punct(close)) => (*open, *close),
        _ => return invalid("brackets do not match"),
    };
    let comma = |token: &Token| matches!(token, Token::Punct(',' | ';'));
    let (parts, _) = split(inner, comma, budget)?;
    match (open, close) {
        ('{', '}') if parts.len() == 1 => list(inner, depth + 1, budget),
        ('(' | '[', ')' | ']') if parts.len() == 1 => scalar(tokens, budget),
        ('{', '}') | ('⟨', '⟩') => {
            if inner.is_empty() {
                return Ok(Value::Set(Vec::new()));
            }
            Ok(Value::Set(match list(inner, depth + 1, budget)? {
                Value::Bare(items) => items,
                one => vec![one],
            }))
        }
        ('(' | '[', ')' | ']') => {
            let items = parts
                .into_iter()
                .map(|part| item(part, depth + 1, budget))
                .collect::<Result<_, _>>()?;
            Ok(Value::Sequence(open, items, close))
        }
        _ => invalid("brackets do not match"),
    }
}

fn matrix(inner: &[Spaced], depth: usize, budget: &mut Budget) -> Result<Value, Stop> {
    let (rows, _) = split(inner, |token| *token == Token::Punct('⏎'), budget)?;
    let mut matrix = Vec::new();
    for row in rows.into_iter().filter(|row| !row.is_empty()) {
        let (cells, _) = split(row, |token| *token == Token::Punct('&'), budget)?;
        let cells = cells
            .into_iter()
            .map(|cell| item(cell, depth + 1, budget))
            .collect::<Result<Vec<_>, _>>()?;
        matrix.push(cells);
    }
    if matrix.is_empty() {
        return invalid("an empty matrix");
    }
    Ok(Value::Matrix(matrix))
}

/// An expression with the words around it: a unit after it, an introduction before it.
fn scalar(tokens: &[Spaced], budget: &mut Budget) -> Result<Value, Stop> {
    let word = |spaced: &Spaced| matches!(spaced.token, Token::Word(_));
    if tokens.is_empty() {
        return invalid("an operand is missing");
    }
    if let [
        Spaced {
            token: Token::Word(name),
            ..
        },
    ] = tokens
        && let Some(number) = words::number(name)
    {
        return Ok(Value::Scalar(Expr::Number(number), None));
    }
    if tokens.iter().any(negates) {
        return Ok(text(tokens));
    }
    let head = tokens.iter().take_while(|spaced| word(spaced)).count();
    let mut body = &tokens[head..];
    if head > 0
        && let [colon, rest @ ..] = body
        && colon.is('/')
    {
        body = rest;
    }
    if body.is_empty() {
        return Ok(text(tokens));
    }
    let (number, unit) = unit::split(body, budget)?;
    if number.is_empty() || number.iter().any(word) {
        return Ok(text(tokens));
    }
    match parser::expression(number, budget) {
        Ok(expr) => Ok(Value::Scalar(expr, unit)),
        Err(Stop::Invalid(_)) if tokens.iter().any(word) => Ok(text(tokens)),
        Err(stop) => Err(stop),
    }
}

fn negates(spaced: &Spaced) -> bool {
    matches!(&spaced.token, Token::Word(name) if words::negates(name))
}

fn text(tokens: &[Spaced]) -> Value {
    let mut out = String::new();
    for spaced in tokens {
        if spaced.space && !out.is_empty() {
            out.push(' ');
        }
        match &spaced.token {
            Token::Word(word) => out.push_str(&word.to_ascii_lowercase()),
            Token::Name(name) => out.push_str(&name.to_ascii_lowercase()),
            Token::Number(number) => out.push_str(&number.digits),
            Token::Punct(c) => out.push(*c),
            other => out.push_str(&format!("{other:?}")),
        }
    }
    Value::Text(out)
}
