//! Whether two answers are the same.

use super::budget::{Budget, OutOfSteps};
use super::expr::{Expr, Order};
use super::relation::{self, Reduced};
use super::unit::Unit;
use super::value::{Parsed, Value};
use super::{modular, numeric};

/// Largest relative difference where a long decimal stands inside an expression: six significant
/// digits, as math-verify's `float_rounding = 6` has it for numbers near 1.
const DECIMAL_TOLERANCE: f64 = 1e-6 + 1e-12;

/// Largest relative difference of two floating-point evaluations of one irrational number.
const IRRATIONAL_TOLERANCE: f64 = 1e-9;

/// Largest relative difference that floating-point arithmetic leaves in a decimal
/// (0.30000000000000004).
const PRINTED_TOLERANCE: f64 = 1e-12;

/// A decimal stands for what differs by less than its last digit, rounded or cut off.
const LAST_DIGIT: f64 = 0.999;

/// Absolute floor of the same, for differences that cancel to zero.
const CANCELLATION: f64 = 1e-12;

/// Compares answers within a budget.
pub(super) struct Compare<'a> {
    /// Relative tolerance of the recipe; none: exact, but for the last digit of long decimals.
    pub(super) tolerance: Option<f64>,
    pub(super) budget: &'a mut Budget,
}

type Same = Result<bool, OutOfSteps>;

impl Compare<'_> {
    /// Whether the answers are the same.
    pub(super) fn answers(&mut self, a: &Parsed, b: &Parsed) -> Same {
        if a.letters.is_some() && a.letters == b.letters {
            return Ok(true);
        }
        self.values(&a.value, &b.value)
    }

    pub(super) fn values(&mut self, a: &Value, b: &Value) -> Same {
        self.budget.spend(1)?;
        match (a, b) {
            (Value::Text(a), Value::Text(b)) => Ok(a == b),
            (Value::Scalar(a, unit_a), Value::Scalar(b, unit_b)) => {
                self.measured(a, unit_a.as_ref(), b, unit_b.as_ref())
            }
            (Value::Relation(a, of_a), Value::Relation(b, of_b)) => {
                relation::same(self, (a, of_a), (b, of_b))
            }
            (Value::Relation(sides, signs), other) | (other, Value::Relation(sides, signs)) => {
                match relation::reduce(sides, signs) {
                    Reduced::Assignment(_, value) | Reduced::Result(value) => {
                        self.values(value, other)
                    }
                    Reduced::Interval(_, interval) => self.values(&interval, other),
                    Reduced::Other => Ok(false),
                }
            }
            (Value::Bare(a), Value::Sequence('(', b, ')'))
            | (Value::Sequence('(', b, ')'), Value::Bare(a)) => self.ordered(a, b),
            (Value::Sequence(open_a, a, close_a), Value::Sequence(open_b, b, close_b)) => {
                if (open_a, close_a) != (open_b, close_b) {
                    return Ok(false);
                }
                self.ordered(a, b)
            }
            (Value::Bare(a) | Value::Set(a), Value::Bare(b) | Value::Set(b))
            | (Value::Union(a), Value::Union(b) | Value::Bare(b))
            | (Value::Bare(a), Value::Union(b)) => self.unordered(a, b),
            (Value::Matrix(a), Value::Matrix(b)) => {
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
            (Value::Matrix(rows), Value::Sequence('(', items, ')'))
            | (Value::Sequence('(', items, ')'), Value::Matrix(rows)) => self.vector(rows, items),
            (Value::Set(only), other @ Value::Scalar(..))
            | (other @ Value::Scalar(..), Value::Set(only)) => match &only[..] {
                [one] => self.values(one, other),
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn ordered(&mut self, a: &[Value], b: &[Value]) -> Same {
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

    /// A row or column against a tuple.
    fn vector(&mut self, rows: &[Vec<Value>], items: &[Value]) -> Same {
        if let [row] = rows {
            return self.ordered(row, items);
        }
        if rows.len() != items.len() || rows.iter().any(|row| row.len() != 1) {
            return Ok(false);
        }
        for (row, item) in rows.iter().zip(items) {
            if !self.values(&row[0], item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Numbers with units. A unit on one side only is taken for granted on the other.
    fn measured(
        &mut self,
        a: &Expr,
        unit_a: Option<&Unit>,
        b: &Expr,
        unit_b: Option<&Unit>,
    ) -> Same {
        if let (Some(Unit::Known(of_a, size_a)), Some(Unit::Known(of_b, size_b))) = (unit_a, unit_b)
        {
            if of_a != of_b {
                return Ok(false);
            }
            if (size_a / size_b - 1.0).abs() > 1e-12 {
                return self.scaled(a, *size_a, b, *size_b);
            }
        }
        for (a, b) in readings(a, b) {
            if self.expressions(&a, &b)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn scaled(&mut self, a: &Expr, size_a: f64, b: &Expr, size_b: f64) -> Same {
        if !a.is_constant() || !b.is_constant() {
            return Ok(false);
        }
        let a = numeric::value(a, 0, self.budget)?;
        let b = numeric::value(b, 0, self.budget)?;
        let tolerance = self.tolerance.unwrap_or(DECIMAL_TOLERANCE);
        Ok(a.zip(b).is_some_and(|(a, b)| {
            a.im == 0.0 && b.im == 0.0 && near(a.re * size_a, b.re * size_b, tolerance)
        }))
    }

    /// Two expressions: exactly where they are rational, else by value at fixed points.
    pub(super) fn expressions(&mut self, a: &Expr, b: &Expr) -> Same {
        if a == b {
            return Ok(true);
        }
        let exact = self.exactly(a, b)?;
        if exact == Some(true) {
            return Ok(true);
        }
        let constant = a.is_constant() && b.is_constant();
        if constant
            && self.tolerance.is_none()
            && let Some(last_digit) = last_digit(a)
                .into_iter()
                .chain(last_digit(b))
                .reduce(f64::max)
        {
            return self.numerically(a, b, true, PRINTED_TOLERANCE, LAST_DIGIT * last_digit);
        }
        let tolerance = match self.tolerance {
            Some(tolerance) if constant => Some(tolerance),
            _ if a.is_rounded() || b.is_rounded() => Some(DECIMAL_TOLERANCE),
            _ => None,
        };
        match (exact, tolerance) {
            (Some(_), None) => Ok(false),
            (Some(_), Some(tolerance)) => self.numerically(a, b, constant, tolerance, 0.0),
            (None, tolerance) => {
                let tolerance = tolerance.unwrap_or(IRRATIONAL_TOLERANCE);
                self.numerically(a, b, constant, tolerance, CANCELLATION)
            }
        }
    }

    /// None where one is not a rational expression.
    fn exactly(&mut self, a: &Expr, b: &Expr) -> Result<Option<bool>, OutOfSteps> {
        for point in modular::POINTS {
            let Some(a) = point.value(a, self.budget)? else {
                return Ok(None);
            };
            let Some(b) = point.value(b, self.budget)? else {
                return Ok(None);
            };
            if a != b {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    fn numerically(
        &mut self,
        a: &Expr,
        b: &Expr,
        constant: bool,
        relative: f64,
        absolute: f64,
    ) -> Same {
        let points = if constant {
            &numeric::POINTS[..1]
        } else {
            &numeric::POINTS[..]
        };
        let mut agreed = 0;
        for &point in points {
            let a = numeric::value(a, point, self.budget)?;
            let b = numeric::value(b, point, self.budget)?;
            let Some((a, b)) = a.zip(b) else { continue };
            let close = if a.norm().is_finite() && b.norm().is_finite() {
                a.sub(b).norm() <= absolute + relative * a.norm().max(b.norm())
            } else {
                a == b
            };
            if !close {
                return Ok(false);
            }
            agreed += 1;
        }
        Ok(agreed >= points.len().min(2))
    }
}

/// Value of the last digit of a decimal that may be rounded.
fn last_digit(expr: &Expr) -> Option<f64> {
    match unsigned(expr) {
        Expr::Number(number) if number.rounded => Some(f64::powi(10.0, number.exponent)),
        _ => None,
    }
}

fn near(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs())
}

/// The pairs of readings of which one must agree: `50%` is 0.5 or 50, `90°` is π/2 or 90, digits in
/// a named number system are compared as digits.
fn readings(a: &Expr, b: &Expr) -> Vec<(Expr, Expr)> {
    match (strip(a), strip(b)) {
        (Some(plain_a), Some(plain_b)) => {
            if std::mem::discriminant(unsigned(a)) == std::mem::discriminant(unsigned(b))
                && base(a) == base(b)
            {
                vec![(plain_a, plain_b)]
            } else {
                vec![(a.clone(), b.clone())]
            }
        }
        (Some(plain), None) => vec![(a.clone(), b.clone()), (plain, b.clone())],
        (None, Some(plain)) => vec![(a.clone(), b.clone()), (a.clone(), plain)],
        (None, None) => vec![(a.clone(), b.clone())],
    }
}

fn unsigned(expr: &Expr) -> &Expr {
    match expr {
        Expr::Negative(inner) => inner,
        other => other,
    }
}

fn base(expr: &Expr) -> Option<u32> {
    match unsigned(expr) {
        Expr::Based(_, base) => Some(*base),
        _ => None,
    }
}

/// Without the outermost percent or degree sign or base.
fn strip(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Percent(inner) | Expr::Degrees(inner) => Some((**inner).clone()),
        Expr::Based(number, _) => Some(Expr::Number(number.clone())),
        Expr::Negative(inner) => strip(inner).map(|inner| Expr::Negative(Box::new(inner))),
        _ => None,
    }
}

/// `a − b`.
pub(super) fn difference(a: &Expr, b: &Expr) -> Expr {
    Expr::Sum(vec![a.clone(), Expr::Negative(Box::new(b.clone()))])
}

/// Flips `>` to `<`: the sign and whether the sides change places.
pub(super) fn flipped(order: Order) -> (Order, bool) {
    match order {
        Order::Greater => (Order::Less, true),
        Order::GreaterEqual => (Order::LessEqual, true),
        other => (other, false),
    }
}
