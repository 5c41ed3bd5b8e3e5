//! Whether an answer is the ground truth. The ground truth is always the first of a pair: what a
//! comma or a colon means, and whether a unit may be left out, is told by it.

use super::compare::{Compare, Same};
use super::expr::{Expr, Order, difference};
use super::forms::Form;
use super::relation::{self, Reduced};
use super::text;
use super::value::{Parsed, Value};
use super::vector;

/// Largest relative error of a rounding that an answer may end on.
const ROUNDING: f64 = 0.005;

impl Compare<'_> {
    /// Whether the answer is the ground truth.
    pub(super) fn answers(&mut self, gold: &Parsed, answer: &Parsed) -> Same {
        self.budget.spend(gold.text.len() + answer.text.len())?;
        if gold.value == answer.value {
            return Ok(true);
        }
        if (gold.value.has_text() || answer.value.has_text())
            && text::same(&gold.text, &answer.text)
        {
            return Ok(true);
        }
        if self.values(&gold.value, &answer.value)? {
            return Ok(true);
        }
        match (&gold.value, &answer.comma) {
            (Value::Scalar(gold, _), Some(answer)) => self.expressions(gold, answer),
            _ => Ok(false),
        }
    }

    pub(super) fn values(&mut self, a: &Value, b: &Value) -> Same {
        self.budget.spend(1)?;
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => Ok(text::same(a, b)),
            (Value::Label(a), Value::Label(b)) => Ok(a == b),
            (Value::Label(label), Value::Text(text)) | (Value::Text(text), Value::Label(label)) => {
                Ok(text.split(' ').eq([label.as_str()]) || text.replace(' ', "") == *label)
            }
            (Value::Text(text), Value::Scalar(expr, None))
            | (Value::Scalar(expr, None), Value::Text(text)) => self.letters(text, expr),
            (Value::Scalar(a, unit_a), Value::Scalar(b, unit_b)) => {
                self.measured(a, unit_a.as_ref(), b, unit_b.as_ref())
            }
            (Value::Form(a), Value::Form(b)) => Ok(a.same(*b)),
            (Value::Relation(a, of_a), Value::Relation(b, of_b)) => {
                relation::same(self, (a, of_a), (b, of_b))
            }
            (Value::Relation(sides, signs), other) => self.relation(sides, signs, other, true),
            (other, Value::Relation(sides, signs)) => self.relation(sides, signs, other, false),
            (Value::Record(a), Value::Record(b)) => self.records(a, b),
            (Value::Record(record), Value::Bare(items) | Value::Sequence('(', items, ')')) => {
                self.ordered(&by_name(record), items)
            }
            (Value::Bare(items) | Value::Sequence('(', items, ')'), Value::Record(record)) => {
                self.ordered(items, &by_name(record))
            }
            (Value::Bare(a), Value::Sequence('(', b, ')'))
            | (Value::Sequence('(', a, ')'), Value::Bare(b)) => self.ordered(a, b),
            (Value::Sequence(open_a, a, close_a), Value::Sequence(open_b, b, close_b)) => {
                Ok((open_a, close_a) == (open_b, close_b) && self.ordered(a, b)?)
            }
            (Value::Interval(o1, a, b, c1), Value::Interval(o2, c, d, c2)) => {
                Ok((o1, c1) == (o2, c2) && self.values(a, c)? && self.values(b, d)?)
            }
            (Value::Interval(o1, a, b, c1), Value::Sequence(o2, items, c2)) => match &items[..] {
                [c, d] if (o1, c1) == (o2, c2) => Ok(self.values(a, c)? && self.values(b, d)?),
                _ => Ok(false),
            },
            (Value::Sequence(o1, items, c1), Value::Interval(o2, c, d, c2)) => match &items[..] {
                [a, b] if (o1, c1) == (o2, c2) => Ok(self.values(a, c)? && self.values(b, d)?),
                _ => Ok(false),
            },
            (Value::Bare(a) | Value::Set(a), Value::Bare(b) | Value::Set(b))
            | (Value::Union(a), Value::Union(b) | Value::Bare(b))
            | (Value::Bare(a), Value::Union(b)) => self.unordered(a, b),
            (Value::Matrix(a), Value::Matrix(b)) => self.rows(a, b),
            (Value::Matrix(rows), Value::Sequence('[', items, ']')) if is_rows(items) => {
                self.rows(rows, &as_rows(items))
            }
            (Value::Sequence('[', items, ']'), Value::Matrix(rows)) if is_rows(items) => {
                self.rows(&as_rows(items), rows)
            }
            (Value::Matrix(rows), Value::Sequence('(' | '[', items, ')' | ']')) => {
                match vector::entries(rows) {
                    Some(entries) => self.ordered(&entries, items),
                    None => Ok(false),
                }
            }
            (Value::Sequence('(' | '[', items, ')' | ']'), Value::Matrix(rows)) => {
                match vector::entries(rows) {
                    Some(entries) => self.ordered(items, &entries),
                    None => Ok(false),
                }
            }
            (Value::Matrix(rows), Value::Scalar(expr, None)) => match vector::entries(rows) {
                Some(entries) => self.vector(&entries, expr),
                None => Ok(false),
            },
            (Value::Scalar(expr, None), Value::Matrix(rows)) => match vector::entries(rows) {
                Some(entries) => self.vector(&entries, expr),
                None => Ok(false),
            },
            (Value::Sequence('(', items, ')'), Value::Scalar(expr, None))
            | (Value::Scalar(expr, None), Value::Sequence('(', items, ')')) => {
                self.vector(items, expr)
            }
            (Value::Set(only), other @ (Value::Scalar(..) | Value::Text(_))) => match &only[..] {
                [one] => self.values(one, other),
                _ => Ok(false),
            },
            (other @ (Value::Scalar(..) | Value::Text(_)), Value::Set(only)) => match &only[..] {
                [one] => self.values(other, one),
                _ => Ok(false),
            },
            _ => self.ratios_and_ranges(a, b),
        }
    }

    /// `1:2`, `5-7`, `5 to 7`.
    fn ratios_and_ranges(&mut self, a: &Value, b: &Value) -> Same {
        match (a, b) {
            (Value::Ratio(a), Value::Ratio(b)) => self.proportions(a, b),
            (
                Value::Ratio(gold),
                Value::Form(Form::Time {
                    hour,
                    minute,
                    second: 0,
                    afternoon: None,
                }),
            ) => {
                let answer = [number(*hour), number(*minute)];
                self.proportions(gold, &answer)
            }
            (Value::Ratio(a), Value::To(c, d)) => {
                self.proportions(a, &[(**c).clone(), (**d).clone()])
            }
            (Value::To(c, d), Value::Ratio(b)) => {
                self.proportions(&[(**c).clone(), (**d).clone()], b)
            }
            (Value::Ratio(parts), Value::Scalar(expr, None))
            | (Value::Scalar(expr, None), Value::Ratio(parts)) => match &parts[..] {
                [Value::Scalar(a, None), Value::Scalar(b, None)] => {
                    let quotient = Expr::Quotient(Box::new(a.clone()), Box::new(b.clone()));
                    self.expressions(&quotient, expr)
                }
                _ => Ok(false),
            },
            (Value::To(a, b), Value::To(c, d)) => Ok(self.values(a, c)? && self.values(b, d)?),
            (Value::Dashed(a, _), Value::Dashed(b, _)) => {
                let digits = |all: &[super::expr::Decimal]| -> Vec<Value> {
                    all.iter()
                        .map(|number| Value::Scalar(Expr::Number(number.clone()), None))
                        .collect()
                };
                self.ordered(&digits(a), &digits(b))
            }
            (Value::To(a, b), Value::Dashed(ends, _))
            | (Value::Dashed(ends, _), Value::To(a, b)) => {
                let ends: Vec<Value> = ends
                    .iter()
                    .map(|number| Value::Scalar(Expr::Number(number.clone()), None))
                    .collect();
                match &ends[..] {
                    [c, d] => Ok(self.values(a, c)? && self.values(b, d)?),
                    _ => Ok(false),
                }
            }
            (Value::Dashed(ends, true), Value::Scalar(expr, None))
            | (Value::Scalar(expr, None), Value::Dashed(ends, true)) => match &ends[..] {
                [a, b] => {
                    let gap = difference(&Expr::Number(a.clone()), &Expr::Number(b.clone()));
                    self.expressions(&gap, expr)
                }
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// A relation against what is none; `gold` says which of them the ground truth is.
    fn relation(&mut self, sides: &[Value], signs: &[Order], other: &Value, gold: bool) -> Same {
        let values = match relation::reduce(sides, signs) {
            Reduced::Assignment(_, values) | Reduced::Result(values) => values,
            Reduced::Region(_, region) if gold => return self.values(&region, other),
            Reduced::Region(_, region) => return self.values(other, &region),
            Reduced::Other => return Ok(false),
        };
        if !relation::holds(self, &values, signs)? {
            return Ok(false);
        }
        let rounds = signs.contains(&Order::Approximate);
        for (at, value) in values.iter().enumerate() {
            // What stands behind `≈` counts where it is a rounding, not where it is near.
            if rounds && at > 0 && !self.roughly(values[0], value, ROUNDING)? {
                continue;
            }
            let same = if gold {
                self.values(value, other)?
            } else {
                self.values(other, value)?
            };
            if same {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `abc` is the product where the other side is one with its signs written.
    fn letters(&mut self, text: &str, expr: &Expr) -> Same {
        let product = matches!(expr, Expr::Product(_)) && !expr.is_constant();
        if !product
            || !(3..=4).contains(&text.len())
            || !text.bytes().all(|b| b.is_ascii_lowercase())
        {
            return Ok(false);
        }
        let letters = text.chars().map(|c| Expr::Name(c.to_string())).collect();
        self.expressions(&Expr::Product(letters), expr)
    }

    fn records(&mut self, a: &[(String, Value)], b: &[(String, Value)]) -> Same {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (name, value) in a {
            self.budget.spend(b.len())?;
            let Some((_, other)) = b.iter().find(|(other, _)| other == name) else {
                return Ok(false);
            };
            if !self.values(value, other)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn ordered(&mut self, a: &[Value], b: &[Value]) -> Same {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !self.values(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn unordered(&mut self, a: &[Value], b: &[Value]) -> Same {
        if a.len() != b.len() {
            return Ok(false);
        }
        let mut left: Vec<&Value> = b.iter().collect();
        for a in a {
            let mut found = None;
            for (at, b) in left.iter().enumerate() {
                if self.values(a, b)? {
                    found = Some(at);
                    break;
                }
            }
            match found {
                Some(at) => left.swap_remove(at),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    fn rows(&mut self, a: &[Vec<Value>], b: &[Vec<Value>]) -> Same {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !self.ordered(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether two ratios are multiples of one another, and not both nothing.
    fn proportions(&mut self, a: &[Value], b: &[Value]) -> Same {
        if a.len() != b.len() || a.len() > 16 {
            return Ok(false);
        }
        let mut parts = Vec::new();
        for (a, b) in a.iter().zip(b) {
            let (Value::Scalar(a, _), Value::Scalar(b, _)) = (a, b) else {
                return Ok(false);
            };
            parts.push((a, b));
        }
        let zero = Expr::Number(super::expr::Decimal::integer("0"));
        for (a, b) in &parts {
            if self.expressions(a, &zero)? || self.expressions(b, &zero)? {
                return Ok(false);
            }
        }
        let Some((first, rest)) = parts.split_first() else {
            return Ok(false);
        };
        for (a, b) in rest {
            let left = Expr::Product(vec![first.0.clone(), (*b).clone()]);
            let right = Expr::Product(vec![first.1.clone(), (*a).clone()]);
            if !self.expressions(&left, &right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn number(value: u32) -> Value {
    let digits = super::expr::Decimal::integer(value.to_string());
    Value::Scalar(Expr::Number(digits), None)
}

/// The values of a record in the order of their names.
fn by_name(record: &[(String, Value)]) -> Vec<Value> {
    let mut sorted: Vec<&(String, Value)> = record.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.into_iter().map(|(_, value)| value.clone()).collect()
}

/// `[[1, 2], [3, 4]]` is a matrix.
fn is_rows(items: &[Value]) -> bool {
    items
        .iter()
        .all(|item| matches!(item, Value::Sequence('[', _, ']')))
}

fn as_rows(items: &[Value]) -> Vec<Vec<Value>> {
    items
        .iter()
        .filter_map(|item| match item {
            Value::Sequence(_, row, _) => Some(row.clone()),
            _ => None,
        })
        .collect()
}
