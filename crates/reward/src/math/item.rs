//! One answer: a relation, a union, a ratio, a range, brackets, a scalar or words.

use super::budget::{Stop, invalid};
use super::expr::{Expr, Order};
use super::parser::MAX_DEPTH;
use super::phrases;
use super::reader::Reader;
use super::split::{inside, split};
use super::token::{Spaced, Token};
use super::value::{Value, reals};
use super::{label, list};

impl Reader<'_, '_> {
    /// One answer without commas: relations, unions, ratios, ranges, brackets, a scalar, words.
    pub(super) fn item(&mut self, tokens: &[Spaced], depth: usize) -> Result<Value, Stop> {
        if depth > MAX_DEPTH {
            return invalid(format!("nested deeper than {MAX_DEPTH}"));
        }
        if tokens.iter().any(|t| t.is('±') || t.is('∓')) {
            self.budget.spend(2 * tokens.len())?;
            let upper = self.item(&signed(tokens, '+', '-'), depth + 1)?;
            let lower = self.item(&signed(tokens, '-', '+'), depth + 1)?;
            return Ok(Value::Bare(vec![upper, lower]));
        }
        match tokens {
            [
                Spaced {
                    token: Token::Relation(Order::Equal | Order::Approximate),
                    ..
                },
                rest @ ..,
            ] if !rest.is_empty() => {
                return self.item(rest, depth + 1);
            }
            [colon, rest @ ..] if colon.is(':') && !rest.is_empty() => {
                return self.item(rest, depth + 1);
            }
            _ => {}
        }
        if let Some(remark) = remark(tokens) {
            return self.item(remark, depth + 1);
        }
        let (parts, _) = split(tokens, |token| *token == Token::In, self.budget)?;
        if let [element, set] = parts[..]
            && element.len() <= 12
        {
            return self.item(set, depth + 1);
        }
        let (sides, signs) = split(
            tokens,
            |token| matches!(token, Token::Relation(_)),
            self.budget,
        )?;
        if sides.len() > 1 {
            let sides = sides
                .into_iter()
                .map(|side| self.side(side, depth + 1))
                .collect::<Result<_, _>>()?;
            let signs = signs.into_iter().filter_map(order).collect();
            return Ok(Value::Relation(sides, signs));
        }
        let (parts, _) = split(tokens, |token| *token == Token::Cup, self.budget)?;
        if parts.len() > 1 {
            let parts = parts
                .into_iter()
                .map(|part| self.item(part, depth + 1))
                .collect::<Result<_, _>>()?;
            return Ok(Value::Union(parts));
        }
        let (parts, _) = split(tokens, |token| *token == Token::Minus, self.budget)?;
        if let [from, points] = parts[..] {
            return self.without(from, points, depth);
        }
        let (parts, _) = split(tokens, |token| *token == Token::Punct(':'), self.budget)?;
        if parts.len() > 1 {
            return self.colons(&parts, depth);
        }
        if let Some(range) = self.range(tokens, depth)? {
            return Ok(range);
        }
        match tokens {
            [only] if only.token == Token::EmptySet => return Ok(Value::Set(Vec::new())),
            [only] if only.token == Token::Name("\\mathbb{R}".into()) => return Ok(reals()),
            _ => {}
        }
        self.brackets(tokens, depth)
    }

    /// A side of a relation: a name that stands for what follows, or an item.
    fn side(&mut self, tokens: &[Spaced], depth: usize) -> Result<Value, Stop> {
        if tokens.is_empty() {
            return invalid("an operand is missing");
        }
        if let Some(label) = label::label(self.source, tokens) {
            return Ok(Value::Label(label));
        }
        match tokens {
            // A difference of two numbers is one here.
            [a, minus, b] if minus.is('-') && a.is_number() && b.is_number() => self.scalar(tokens),
            _ => self.item(tokens, depth),
        }
    }

    /// `1:2:3`, or `name: value`.
    fn colons(&mut self, parts: &[&[Spaced]], depth: usize) -> Result<Value, Stop> {
        if let [name, value] = parts
            && !name.is_empty()
            && name.iter().all(|t| t.word().is_some())
        {
            let words: Vec<&str> = name.iter().filter_map(Spaced::word).collect();
            if phrases::introduces(&words) {
                return self.item(value, depth + 1);
            }
            return invalid("words before a colon");
        }
        let mut all = Vec::new();
        for part in parts {
            match self.item(part, depth + 1)? {
                value @ Value::Scalar(..) => all.push(value),
                _ => return invalid("a ratio of what is no number"),
            }
        }
        Ok(Value::Ratio(all))
    }

    /// `5-7`, `5 to 7`, `from 5 to 7`, `between 5 and 7` (whose `and` was read as a comma).
    fn range(&mut self, tokens: &[Spaced], depth: usize) -> Result<Option<Value>, Stop> {
        let tokens = match tokens {
            [first, rest @ ..] if first.word().is_some_and(|w| w.eq_ignore_ascii_case("from")) => {
                rest
            }
            all => all,
        };
        if let Some(at) = tokens.iter().position(|t| t.word() == Some("to"))
            && at > 0
            && at + 1 < tokens.len()
            && tokens[..at].iter().any(Spaced::is_number)
            && !tokens[at + 1..].iter().any(|t| t.word() == Some("to"))
        {
            let a = self.item(&tokens[..at], depth + 1)?;
            let b = self.item(&tokens[at + 1..], depth + 1)?;
            return Ok(match (&a, &b) {
                (Value::Scalar(..), Value::Scalar(..)) => Some(Value::To(Box::new(a), Box::new(b))),
                _ => None,
            });
        }
        let odd = tokens.len() % 2 == 1 && tokens.len() >= 3;
        let alternate = odd
            && tokens.iter().enumerate().all(|(at, t)| {
                if at % 2 == 0 {
                    matches!(&t.token, Token::Number(number) if number.exponent <= 0)
                } else {
                    t.is('-')
                }
            });
        if !alternate {
            return Ok(None);
        }
        let apart = tokens[1].space && tokens[2].space;
        if apart && tokens.len() > 3 {
            return Ok(None);
        }
        let numbers = tokens
            .iter()
            .filter_map(|t| match &t.token {
                Token::Number(number) => Some(number.clone()),
                _ => None,
            })
            .collect();
        Ok(Some(Value::Dashed(numbers, apart)))
    }

    fn brackets(&mut self, tokens: &[Spaced], depth: usize) -> Result<Value, Stop> {
        if let Some(matrix) = self.transposed(tokens, depth)? {
            return Ok(matrix);
        }
        if let [name, rest @ ..] = tokens
            && matches!(&name.token, Token::Name(letter) if letter.len() == 1 && letter.as_bytes()[0].is_ascii_uppercase())
            && !rest.first().is_some_and(|open| open.space && open.is('{'))
            && let Some(inner) = inside(rest)
            && rest[0].is('(')
            && inner.iter().any(|t| t.is(',') || t.is(';'))
        {
            // `P(3,-4)` is the point; `C(10,3)` is also a number.
            let point = self.bracketed(rest, inner, depth)?;
            if let (Token::Name(letter), Value::Sequence(_, items, _)) = (&name.token, &point)
                && letter == "C"
                && let [Value::Scalar(n, None), Value::Scalar(k, None)] = &items[..]
            {
                let number = Expr::Binomial(Box::new(n.clone()), Box::new(k.clone()));
                return Ok(Value::Scalar(number, None));
            }
            return Ok(point);
        }
        match inside(tokens) {
            Some(inner) => self.bracketed(tokens, inner, depth),
            None => self.scalar(tokens),
        }
    }

    fn bracketed(
        &mut self,
        tokens: &[Spaced],
        inner: &[Spaced],
        depth: usize,
    ) -> Result<Value, Stop> {
        let (open, close) = match (&tokens[0].token, &tokens[tokens.len() - 1].token) {
            (Token::BeginMatrix, Token::EndMatrix) => return self.matrix(inner, depth),
            (Token::Punct(open), Token::Punct(close)) => (*open, *close),
            _ => return invalid("brackets do not match"),
        };
        let comma = |token: &Token| matches!(token, Token::Punct(',' | ';'));
        let (parts, _) = split(inner, comma, self.budget)?;
        match (open, close) {
            ('{', '}') if parts.len() == 1 => list::list(self, inner, depth + 1),
            ('(' | '[', ')' | ']') if parts.len() == 1 => {
                let wraps = inner.iter().any(|t| {
                    matches!(
                        t.token,
                        Token::Word(_)
                            | Token::BeginMatrix
                            | Token::Relation(_)
                            | Token::Currency(_)
                    )
                });
                if wraps || inside(inner).is_some_and(|_| inner[0].is('[') || inner[0].is('(')) {
                    return match self.item(inner, depth + 1)? {
                        // `[[1, 2]]` is a matrix of one row.
                        Value::Sequence('[', items, ']') if open == '[' => Ok(Value::Sequence(
                            '[',
                            vec![Value::Sequence('[', items, ']')],
                            ']',
                        )),
                        other => Ok(other),
                    };
                }
                self.scalar(tokens)
            }
            ('{', '}') | ('⟨', '⟩') => {
                if inner.is_empty() {
                    return Ok(Value::Set(Vec::new()));
                }
                if let Some(condition) = condition(inner) {
                    return self.item(condition, depth + 1);
                }
                Ok(Value::Set(match list::list(self, inner, depth + 1)? {
                    Value::Bare(items) => items,
                    one => vec![one],
                }))
            }
            ('(' | '[', ')' | ']') => {
                let items = parts
                    .into_iter()
                    .map(|part| self.item(part, depth + 1))
                    .collect::<Result<_, _>>()?;
                Ok(Value::Sequence(open, items, close))
            }
            _ => invalid("brackets do not match"),
        }
    }
}

fn order(token: &Token) -> Option<Order> {
    match token {
        Token::Relation(order) => Some(*order),
        _ => None,
    }
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

/// What stands before a remark in brackets: `3.46 (approximately)`, `42 (forty-two)`.
fn remark(tokens: &[Spaced]) -> Option<&[Spaced]> {
    let open = tokens.iter().rposition(|t| t.is('('))?;
    let (before, [_, words @ .., close]) = tokens.split_at(open) else {
        return None;
    };
    if before.is_empty() || !close.is(')') || words.is_empty() {
        return None;
    }
    let names: Vec<&str> = words.iter().filter_map(Spaced::word).collect();
    let closing = names.len() == words.len() && phrases::closes(&names);
    // The number again: `42 (forty-two)`. Written in words it carries the span of its words.
    let again = matches!((before, words), ([a], [b]) if a.is_number() && a.token == b.token && b.to - b.from > 2);
    (closing || again).then_some(before)
}

/// The condition of `x \mid x > 0` and `x \in \mathbb{R} : x > 0`.
fn condition(inner: &[Spaced]) -> Option<&[Spaced]> {
    let bar = inner.iter().position(|t| t.is('|') || t.is(':'))?;
    let (element, rest) = inner.split_at(bar);
    let named = matches!(element, [x] if matches!(x.token, Token::Name(_)))
        || matches!(element, [x, member, ..] if matches!(x.token, Token::Name(_)) && member.token == Token::In);
    (named && rest.iter().any(|t| matches!(t.token, Token::Relation(_)))).then(|| &rest[1..])
}
