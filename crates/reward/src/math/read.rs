//! From the text of an answer to its value.

use super::budget::{Budget, Stop};
use super::expr::{Decimal, Expr};
use super::reader::Reader;
use super::split::brackets_match;
use super::value::{Parsed, Value, reals};
use super::{forms, lexer, list, normal, phrases, text, tidy};

/// Reads an answer. What is no mathematics is text; only brackets that do not match, and a text
/// without a letter or digit, cannot be read.
pub(super) fn answer(source: &str, budget: &mut Budget) -> Result<Parsed, Stop> {
    budget.spend(source.len())?;
    let digits = source.trim();
    if (1..=30).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        // Most answers: a whole number needs no reading.
        return Ok(Parsed {
            value: Value::Scalar(Expr::Number(Decimal::integer(digits)), None),
            text: digits.to_owned(),
            comma: None,
        });
    }
    let source = normal::normal(source);
    let text = text::normal(&source);
    if let Some(value) = whole(&text) {
        return Ok(Parsed {
            value,
            text,
            comma: None,
        });
    }
    let tokens = tidy::tidy(lexer::tokens(&source, budget)?);
    budget.spend(tokens.len())?;
    let mut reader = Reader {
        source: &source,
        budget,
    };
    let value = match list::list(&mut reader, &tokens, 0) {
        Ok(value) => value,
        Err(Stop::Budget) => return Err(Stop::Budget),
        Err(stop) => {
            let says = source.contains(char::is_alphanumeric);
            if !says || !brackets_match(&tokens) {
                return Err(stop);
            }
            Value::Text(text.clone())
        }
    };
    Ok(Parsed {
        value,
        comma: decimal_comma(&source),
        text,
    })
}

/// Answers that are told by their whole text.
fn whole(text: &str) -> Option<Value> {
    if phrases::is_no_solution(text) {
        return Some(Value::Set(Vec::new()));
    }
    if phrases::is_all_reals(text) {
        return Some(reals());
    }
    forms::read(text).map(Value::Form)
}

/// `3,14`: not three digits after the comma, which group thousands.
fn decimal_comma(source: &str) -> Option<Expr> {
    let (negative, digits) = match source.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, source),
    };
    let (whole, fraction) = digits
        .split_once(',')
        .or_else(|| digits.split_once("{,}"))?;
    let plain = |text: &str| {
        !text.is_empty() && text.len() <= 30 && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !plain(whole) || !plain(fraction) || fraction.len() == 3 {
        return None;
    }
    let number = Expr::Number(Decimal {
        digits: format!("{whole}{fraction}"),
        exponent: -i32::try_from(fraction.len()).ok()?,
        rounded: false,
    });
    Some(if negative {
        Expr::Negative(Box::new(number))
    } else {
        number
    })
}
