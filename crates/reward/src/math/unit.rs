//! Units after a number: `5 cm^2`, `3 \text{ m/s}`, `9.8\frac{m}{s^2}`, `12 apples`.

use super::expr::Expr;
use super::numerals;
use super::phrases;
use super::token::{Spaced, Token};
use super::units::{self, Dimension, Size};
use super::words;

/// Most tokens of a unit.
pub(super) const MAX_UNIT: usize = 40;

/// A unit of measurement, or what is counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Unit {
    /// Dimensions with their exponents, sorted.
    pub(super) dimensions: Vec<(Dimension, i32)>,
    /// Size in base units.
    pub(super) size: f64,
    /// Words that are no unit that we know: `apples`.
    pub(super) words: String,
}

/// What stands behind a number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tail {
    /// `million` multiplies the number.
    pub(super) factor: Option<u64>,
    /// None where nothing but closing words or a measure word stands there.
    pub(super) unit: Option<Unit>,
}

impl Unit {
    fn new() -> Self {
        Self {
            size: 1.0,
            ..Self::default()
        }
    }

    pub(super) fn of(dimension: Dimension, size: f64) -> Self {
        let mut unit = Self::new();
        unit.times(&(vec![(dimension, 1)], size), 1);
        unit
    }

    fn times(&mut self, (dimensions, size): &Size, exponent: i32) {
        self.size *= f64::powi(*size, exponent);
        for &(dimension, power) in dimensions {
            match self
                .dimensions
                .iter_mut()
                .find(|(other, _)| *other == dimension)
            {
                Some((_, total)) => *total += power * exponent,
                None => self.dimensions.push((dimension, power * exponent)),
            }
        }
        self.dimensions.retain(|&(_, power)| power != 0);
        self.dimensions.sort_unstable();
    }

    /// Another unit beside this one.
    pub(super) fn and(mut self, other: &Unit) -> Self {
        self.times(&(other.dimensions.clone(), other.size), 1);
        self.words.push_str(&other.words);
        self
    }

    /// Whether the two measure the same thing; sizes may differ.
    pub(super) fn measures(&self, other: &Unit) -> bool {
        self.same_dimensions(other) && same_words(&self.words, &other.words)
    }

    fn same_dimensions(&self, other: &Unit) -> bool {
        // "units" are those of the question, if their power fits.
        let any = |a: &Unit, b: &Unit| {
            matches!((&a.dimensions[..], &b.dimensions[..]),
                ([(Dimension::Any, power)], [(Dimension::Length, other)]) if power == other)
        };
        self.dimensions == other.dimensions || any(self, other) || any(other, self)
    }

    pub(super) fn is(&self, dimension: Dimension) -> bool {
        self.dimensions == [(dimension, 1)]
    }

    /// Cents and pence: a number alone is not taken for them.
    pub(super) fn is_small_money(&self) -> bool {
        self.size < 1.0
            && matches!(
                self.dimensions[..],
                [(Dimension::Dollar | Dimension::Pound | Dimension::Euro, 1)]
            )
    }

    pub(super) fn is_temperature(&self) -> bool {
        self.is(Dimension::Celsius) || self.is(Dimension::Fahrenheit) || self.is(Dimension::Kelvin)
    }
}

/// `apples` and `apple`, `boxes of apples` and `boxes`.
fn same_words(a: &str, b: &str) -> bool {
    fn single(text: &str) -> Vec<&str> {
        text.split(' ')
            .map(|word| word.strip_suffix('s').unwrap_or(word))
            .collect()
    }
    let of = |text: &str| text.find(" of ").map_or(text.len(), |at| at);
    single(a) == single(b)
        || (of(a) == a.len() && single(&b[..of(b)]) == single(a))
        || (of(b) == b.len() && single(&a[..of(a)]) == single(b))
}

/// Whether a token may begin a unit: a word, or a letter that is a unit and stands apart.
pub(super) fn begins(tokens: &[Spaced], at: usize) -> bool {
    let here = &tokens[at];
    let before = &tokens[at - 1];
    match &here.token {
        Token::Word(word) => {
            units::unit(word).is_some()
                || here.upright
                || !word.is_ascii()
                || numerals::magnitude(word).is_some()
                || word.len() >= 4
                || (word.len() == 3 && here.space && !words::is_product(word))
                || (here.space && matches!(word.as_str(), "sq" | "cu" | "mu"))
        }
        Token::Name(name) => {
            let apart = here.upright || here.space;
            let after_operand = before.is_number()
                || matches!(before.token, Token::Pi | Token::Punct('}' | ')' | '!'));
            apart && after_operand && (units::unit(name).is_some() || name == "mu")
        }
        Token::Punct('\'' | '"') => before.is_number(),
        // `5/hr`
        Token::Punct('/') => tokens.get(at + 1).is_some_and(|next| {
            next.word().is_some_and(|word| units::unit(word).is_some())
                || (next.upright && matches!(next.token, Token::Name(_)))
        }),
        Token::Frac => before.is_number() && tokens.get(at + 2).is_some_and(|next| next.upright),
        _ => false,
    }
}

/// Reads all of `tokens` as what stands behind a number.
pub(super) fn tail(tokens: &[Spaced]) -> Option<Tail> {
    if tokens.len() > MAX_UNIT {
        return None;
    }
    let mut at = 0;
    let mut factor = None;
    while let Some(next) = tokens
        .get(at)
        .and_then(Spaced::word)
        .and_then(numerals::magnitude)
    {
        factor = Some(factor.unwrap_or(1u64).checked_mul(next)?);
        at += 1;
    }
    let mut tokens = &tokens[at..];
    if factor.is_some() && tokens.first().is_some_and(|next| next.word() == Some("of")) {
        tokens = &tokens[1..];
    }
    let named: Vec<&str> = tokens.iter().filter_map(Spaced::word).collect();
    if tokens.is_empty() || (named.len() == tokens.len() && phrases::closes(&named)) {
        return Some(Tail { factor, unit: None });
    }
    if let [only] = named[..]
        && tokens.len() == 1
        && units::is_counter(only)
    {
        return Some(Tail { factor, unit: None });
    }
    // `years old`, `apples in total`
    let closing =
        (1..named.len()).find(|&at| named.len() == tokens.len() && phrases::closes(&named[at..]));
    let unit = read(&tokens[..closing.unwrap_or(tokens.len())])?;
    Some(Tail {
        factor,
        unit: Some(unit),
    })
}

/// Factors with exponents between `*`, `/`, `per` and blanks.
pub(super) fn read(tokens: &[Spaced]) -> Option<Unit> {
    let mut unit = Unit::new();
    let (mut sign, mut prefix, mut micro) = (1, 1, false);
    let mut at = 0;
    while at < tokens.len() {
        let spaced = &tokens[at];
        at += 1;
        let name = match &spaced.token {
            Token::Punct('/') => {
                sign = -1;
                continue;
            }
            Token::Punct('*' | '{' | '}' | '(' | ')' | '-') => continue,
            Token::Punct('\'') if tokens.get(at).is_some_and(|next| next.is('\'')) => {
                at += 1;
                "in"
            }
            Token::Punct('\'') => "ft",
            Token::Punct('"') => "in",
            Token::Frac => {
                let (above, used) = group(&tokens[at..])?;
                at += used;
                let (below, used) = group(&tokens[at..])?;
                at += used;
                unit = unit.and(&read(above)?);
                let below = read(below)?;
                unit.times(&(below.dimensions, below.size), -1);
                continue;
            }
            Token::Word(name) | Token::Name(name) => name.as_str(),
            _ => return None,
        };
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "per" | "每" => {
                sign = -1;
                continue;
            }
            "square" | "sq" | "squared" | "cubic" | "cu" | "cubed" => {
                let power = if lower.starts_with("sq") { 2 } else { 3 };
                if lower.ends_with("ed") || (at == tokens.len() && !unit.dimensions.is_empty()) {
                    // `meters squared`, `cm sq`
                    for (_, exponent) in &mut unit.dimensions {
                        *exponent *= power;
                    }
                    unit.size = unit.size.powi(power);
                } else {
                    prefix = power;
                }
                continue;
            }
            "mu" => {
                micro = true;
                continue;
            }
            "a" | "an" | "the" if !matches!(spaced.token, Token::Name(_)) => continue,
            _ => {}
        }
        let (exponent, used) = exponent(&tokens[at..])?;
        at += used;
        let exponent = exponent * sign * std::mem::replace(&mut prefix, 1);
        match units::unit(name) {
            Some((dimensions, size)) => {
                let size = if std::mem::take(&mut micro) {
                    size * 1e-6
                } else {
                    size
                };
                unit.times(&(dimensions, size), exponent);
            }
            None if phrases::telling(name) || matches!(spaced.token, Token::Name(_)) => {
                return None;
            }
            None if units::is_counter(name) => {}
            None => {
                if !unit.words.is_empty() {
                    unit.words.push(' ');
                }
                if sign < 0 {
                    unit.words.push_str("per ");
                }
                unit.words.push_str(&lower);
                if exponent.abs() != 1 {
                    unit.words.push_str(&format!("^{exponent}"));
                }
            }
        }
    }
    Some(unit)
}

/// The tokens in the braces that stand here, and how many tokens they take with the braces.
fn group(tokens: &[Spaced]) -> Option<(&[Spaced], usize)> {
    if !tokens.first()?.is('{') {
        return Some((&tokens[..1], 1));
    }
    let mut depth = 0usize;
    for (at, spaced) in tokens.iter().enumerate() {
        if spaced.is('{') {
            depth += 1;
        } else if spaced.is('}') {
            depth -= 1;
            if depth == 0 {
                return Some((&tokens[1..at], at + 1));
            }
        }
    }
    None
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

/// The unit that the letters of an expression may be: `5m` is 5 m where the other side says metres.
pub(super) fn of_expression(expr: &Expr) -> Option<(Expr, Unit)> {
    let mut unit = Unit::new();
    let rest = match expr {
        Expr::Product(factors) => {
            let mut rest = Vec::new();
            for factor in factors {
                match letters(factor) {
                    Some(found) => unit = unit.and(&found),
                    None => rest.push(factor.clone()),
                }
            }
            super::parser::flat(rest, Expr::Product)
        }
        Expr::Quotient(above, below) => {
            let below = letters(below)?;
            let (rest, found) = of_expression(above)?;
            unit = unit.and(&found);
            unit.times(&(below.dimensions, below.size), -1);
            rest
        }
        Expr::Negative(inner) => {
            let (rest, found) = of_expression(inner)?;
            unit = found;
            Expr::Negative(Box::new(rest))
        }
        _ => return None,
    };
    let empty = matches!(&rest, Expr::Product(all) if all.is_empty());
    (!empty && !unit.dimensions.is_empty() && rest.is_constant()).then_some((rest, unit))
}

/// A unit of letters alone: `m`, `s^2`, `m/s`.
fn letters(expr: &Expr) -> Option<Unit> {
    let mut unit = Unit::new();
    match expr {
        Expr::Name(name) => unit.times(&units::unit(name)?, 1),
        Expr::Power(base, exponent) => {
            let base = letters(base)?;
            let exponent = i32::try_from(exponent.whole()?)
                .ok()
                .filter(|e| e.abs() <= 9)?;
            unit.times(&(base.dimensions, base.size), exponent);
        }
        Expr::Quotient(above, below) => {
            unit = letters(above)?;
            let below = letters(below)?;
            unit.times(&(below.dimensions, below.size), -1);
        }
        Expr::Product(all) => {
            for factor in all {
                unit = unit.and(&letters(factor)?);
            }
        }
        _ => return None,
    }
    Some(unit)
}
