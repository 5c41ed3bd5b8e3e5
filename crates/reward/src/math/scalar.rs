//! A number or expression with the words around it: an introduction before it, a currency, a
//! multiplier and a unit behind it; or words alone.

use super::budget::{Stop, invalid};
use super::expr::{Decimal, Expr};
use super::numerals;
use super::parser;
use super::phrases;
use super::reader::Reader;
use super::token::{Spaced, Token};
use super::unit::{self, Unit};
use super::units::{self, Dimension};
use super::value::Value;
use super::words;

impl Reader<'_, '_> {
    /// An expression, a quantity, or words: words wherever one stands that is neither an
    /// introduction nor a unit.
    pub(super) fn scalar(&mut self, tokens: &[Spaced]) -> Result<Value, Stop> {
        self.budget.spend(tokens.len())?;
        if tokens.is_empty() {
            return invalid("an operand is missing");
        }
        if let [only] = tokens
            && let Token::Word(run) = &only.token
        {
            return self.one_word(only, run, tokens);
        }
        if is_code(tokens) {
            return self.words(tokens);
        }
        let head = tokens.iter().take_while(|t| t.word().is_some()).count();
        let intro: Vec<&str> = tokens[..head].iter().filter_map(Spaced::word).collect();
        if head == tokens.len() {
            return match numerals::ordinal(&intro) {
                Some(value) => Ok(whole(value)),
                None => self.words(tokens),
            };
        }
        let body = &tokens[head..];
        if head > 0 && !is_operand_word(tokens, head) {
            return if phrases::introduces(&intro) {
                self.quantity(body, tokens)
            } else {
                self.words(tokens)
            };
        }
        self.quantity(tokens, tokens)
    }

    fn one_word(&mut self, only: &Spaced, run: &str, tokens: &[Spaced]) -> Result<Value, Stop> {
        if let Some(value) = numerals::ordinal(&[run]) {
            return Ok(whole(value));
        }
        if only.upright || !words::is_product(run) {
            return self.words(tokens);
        }
        Ok(Value::Scalar(product(run), None))
    }

    /// `body` is `all` without its introduction.
    fn quantity(&mut self, body: &[Spaced], all: &[Spaced]) -> Result<Value, Stop> {
        let mut currency = None;
        let mut bare: Vec<Spaced> = Vec::with_capacity(body.len());
        for spaced in body {
            match &spaced.token {
                Token::Currency(sign) => {
                    let dimension = units::currency(sign);
                    if currency.is_some_and(|other| other != dimension) {
                        return self.words(all);
                    }
                    currency = Some(dimension);
                }
                _ => bare.push(spaced.clone()),
            }
        }
        if currency.is_some() {
            if let [.., number, letter] = &mut bare[..]
                && number.is_number()
                && let Token::Name(name) = &letter.token
                && let Some(word) = money_letter(name)
            {
                *letter = letter.with(Token::Word(word.into()));
            }
            if bare.is_empty() {
                return self.words(all);
            }
        }
        let money = currency.map(|dimension| Unit::of(dimension, 1.0));
        match self.with_tail(&bare, money)? {
            Some(value) => Ok(value),
            None => self.words(all),
        }
    }

    /// The first split into a number and a whole tail; none where words stand elsewhere.
    fn with_tail(&mut self, tokens: &[Spaced], money: Option<Unit>) -> Result<Option<Value>, Stop> {
        if let Some(value) = self.parts(tokens)? {
            return Ok(Some(value));
        }
        let last = tokens.len().saturating_sub(unit::MAX_UNIT);
        let mut depth = 0usize;
        for at in 1..tokens.len() {
            match tokens[at - 1].token {
                Token::Punct('(' | '{' | '[') => depth += 1,
                Token::Punct(')' | '}' | ']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > 0 || at < last || !unit::begins(tokens, at) {
                continue;
            }
            self.budget.spend(tokens.len() - at)?;
            let (number, rest) = tokens.split_at(at);
            let italic = matches!(rest[0].token, Token::Name(_)) && !rest[0].upright;
            if italic
                && number
                    .iter()
                    .any(|t| matches!(t.token, Token::Name(_) | Token::Word(_)))
            {
                continue;
            }
            let Some(tail) = unit::tail(rest) else {
                continue;
            };
            let Some(number) = resolved(number) else {
                return Ok(None);
            };
            // Numbers count things, letters do not: `x axis` is no x.
            let counts = tail
                .unit
                .as_ref()
                .is_some_and(|unit| !unit.words.is_empty());
            if counts && number.iter().any(|t| matches!(t.token, Token::Name(_))) {
                return Ok(None);
            }
            let expr = match parser::expression(&number, self.budget) {
                Ok(expr) => expr,
                Err(Stop::Invalid(_)) => return Ok(None),
                Err(stop) => return Err(stop),
            };
            let expr = match tail.factor {
                Some(factor) => Expr::Product(vec![expr, Expr::Number(integer(factor))]),
                None => expr,
            };
            let unit = match (money, tail.unit) {
                (Some(money), Some(unit)) if unit.dimensions == money.dimensions => Some(unit),
                (Some(money), Some(unit)) => Some(money.and(&unit)),
                (money, unit) => money.or(unit),
            };
            return Ok(Some(Value::Scalar(expr, unit)));
        }
        let Some(number) = resolved(tokens) else {
            return Ok(None);
        };
        let expr = parser::expression(&number, self.budget)?;
        Ok(Some(Value::Scalar(expr, money)))
    }

    /// `5 feet 6 inches`, `45^\circ 30'`, `5'6"`: a number begins after a unit.
    fn parts(&mut self, tokens: &[Spaced]) -> Result<Option<Value>, Stop> {
        if tokens.len() > 3 * unit::MAX_UNIT {
            return Ok(None);
        }
        let mut starts = vec![0];
        for at in 1..tokens.len() {
            let before = &tokens[at - 1];
            let ends = before
                .word()
                .is_some_and(|word| units::unit(word).is_some())
                || before.is('\'')
                || before.is('°')
                || matches!(&before.token, Token::Name(name) if at > 1 && units::unit(name).is_some() && tokens[at - 2].is_number());
            if tokens[at].is_number() && ends {
                starts.push(at);
            }
        }
        if starts.len() < 2 || starts.len() > 4 {
            return Ok(None);
        }
        if tokens.iter().any(|t| t.is('°')) {
            return self.angle(tokens, &starts);
        }
        starts.push(tokens.len());
        let mut items = Vec::new();
        for bounds in starts.windows(2) {
            let [number, rest @ ..] = &tokens[bounds[0]..bounds[1]] else {
                return Ok(None);
            };
            let (Token::Number(number), Some(tail)) = (&number.token, unit::tail(rest)) else {
                return Ok(None);
            };
            if rest.is_empty() || tail.factor.is_some() {
                return Ok(None);
            }
            items.push(Value::Scalar(Expr::Number(number.clone()), tail.unit));
        }
        Ok(compound(&items))
    }

    /// Degrees, minutes, seconds.
    fn angle(&mut self, tokens: &[Spaced], starts: &[usize]) -> Result<Option<Value>, Stop> {
        let mut terms = Vec::new();
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(tokens.len());
            let divisor = match (&tokens[start..end], at) {
                ([_, mark], 0) if mark.is('°') => 1,
                ([_, mark], _) if mark.is('\'') || is_word(mark, "minute") => 60,
                ([_, mark], _) if mark.is('"') || is_word(mark, "second") => 3600,
                ([_, a, b], _) if a.is('\'') && b.is('\'') => 3600,
                ([_, caret, open, a, close], _)
                    if caret.is('^') && open.is('{') && a.is('\'') && close.is('}') =>
                {
                    60
                }
                ([_, caret, open, a, b, close], _)
                    if caret.is('^')
                        && open.is('{')
                        && a.is('\'')
                        && b.is('\'')
                        && close.is('}') =>
                {
                    3600
                }
                ([_, caret, a], _) if caret.is('^') && a.is('\'') => 60,
                _ => return Ok(None),
            };
            let Token::Number(number) = &tokens[start].token else {
                return Ok(None);
            };
            terms.push(Expr::Quotient(
                Box::new(Expr::Number(number.clone())),
                Box::new(Expr::Number(integer(divisor))),
            ));
        }
        let sum = Expr::Degrees(Box::new(Expr::Sum(terms)));
        Ok(Some(Value::Scalar(sum, None)))
    }
}

/// Whether the words at the front are letters of an expression (`ab + c`, `xy = 1`).
fn is_operand_word(tokens: &[Spaced], head: usize) -> bool {
    head == 1
        && !tokens[0].upright
        && tokens[0].word().is_some_and(words::is_product)
        && !tokens[1].is_number()
        || head == 1
            && !tokens[0].upright
            && tokens[0]
                .word()
                .is_some_and(|run| run.len() <= 3 && run.bytes().all(|b| b.is_ascii_uppercase()))
            && tokens[1..]
                .iter()
                .any(|t| "+-*/^".chars().any(|sign| t.is(sign)))
}

/// `A1`, `H1N1`, `B12`: a capital letter before a number without a blank names something.
fn is_code(tokens: &[Spaced]) -> bool {
    let capital = |t: &Spaced| match &t.token {
        Token::Name(run) | Token::Word(run) => run.bytes().all(|b| b.is_ascii_uppercase()),
        _ => false,
    };
    tokens.first().is_some_and(capital)
        && tokens.iter().any(Spaced::is_number)
        && tokens
            .iter()
            .enumerate()
            .all(|(at, t)| (capital(t) || t.is_number()) && (at == 0 || !t.space))
}

fn is_word(spaced: &Spaced, name: &str) -> bool {
    spaced.word().is_some_and(|word| {
        word.strip_suffix('s')
            .unwrap_or(word)
            .eq_ignore_ascii_case(name)
    })
}

fn money_letter(name: &str) -> Option<&'static str> {
    Some(match name {
        "K" | "k" => "thousand",
        "M" | "m" => "million",
        "B" | "b" => "billion",
        _ => return None,
    })
}

fn integer(value: u64) -> Decimal {
    Decimal::integer(value.to_string())
}

fn whole(value: u64) -> Value {
    Value::Scalar(Expr::Number(integer(value)), None)
}

fn product(run: &str) -> Expr {
    Expr::Product(run.chars().map(|c| Expr::Name(c.to_string())).collect())
}

/// The tokens with short runs of letters taken apart into products; none where a word stands that
/// is none.
fn resolved(tokens: &[Spaced]) -> Option<Vec<Spaced>> {
    if !tokens.iter().any(|t| t.word().is_some()) {
        return Some(tokens.to_vec());
    }
    let evidence = tokens.iter().enumerate().any(|(at, t)| match &t.token {
        Token::Number(_) => at == 0 || !tokens[at - 1].is('_'),
        Token::Frac | Token::Sqrt | Token::Function(_) | Token::Pi | Token::Repeating(..) => true,
        Token::Punct(c) => "+*/^=|".contains(*c),
        _ => false,
    });
    let mut out = Vec::with_capacity(tokens.len() + 4);
    let mut index = 0usize;
    for (at, spaced) in tokens.iter().enumerate() {
        let after_index = at > 0 && tokens[at - 1].is('_');
        if after_index && spaced.is('{') {
            index = 1;
        } else if index > 0 && spaced.is('{') {
            index += 1;
        } else if index > 0 && spaced.is('}') {
            index -= 1;
        }
        let Some(run) = spaced.word().filter(|_| index == 0 && !after_index) else {
            out.push(spaced.clone());
            continue;
        };
        let letters = run.len() <= 3 && run.bytes().all(|b| b.is_ascii_alphabetic());
        // `2ab`, `AB + CD`; but not `2 of 3`, `3 for 5`.
        let attached = !spaced.space || run.bytes().all(|b| b.is_ascii_uppercase());
        let product =
            !spaced.upright && letters && ((evidence && attached) || words::is_product(run));
        if !product {
            return None;
        }
        for (nth, letter) in run.chars().enumerate() {
            let mut name = spaced.with(Token::Name(letter.to_string()));
            name.space &= nth == 0;
            out.push(name);
        }
    }
    Some(out)
}

/// Quantities of one dimension whose units fall are one: 5 feet and 6 inches.
pub(super) fn compound(items: &[Value]) -> Option<Value> {
    if !(2..=4).contains(&items.len()) {
        return None;
    }
    let mut terms = Vec::new();
    let mut first: Option<&Unit> = None;
    let mut above = f64::INFINITY;
    for item in items {
        let Value::Scalar(expr, Some(unit)) = item else {
            return None;
        };
        let Some(first) = first else {
            first = Some(unit);
            above = unit.size;
            terms.push(expr.clone());
            continue;
        };
        let known =
            !unit.dimensions.is_empty() && !unit.is(Dimension::Any) && unit.words.is_empty();
        if !known || unit.dimensions != first.dimensions || unit.size >= above * (1.0 - 1e-9) {
            return None;
        }
        above = unit.size;
        let ratio = first.size / unit.size;
        let rounded = ratio.round();
        if (ratio - rounded).abs() > 1e-6 * ratio || rounded > 1e15 {
            return None;
        }
        terms.push(Expr::Quotient(
            Box::new(expr.clone()),
            Box::new(Expr::Number(integer(rounded as u64))),
        ));
    }
    Some(Value::Scalar(Expr::Sum(terms), first.cloned()))
}
