//! Numbers and expressions, with and without units.

use super::compare::{Compare, Same};
use super::expr::{Expr, Function};
use super::unit::{self, Unit};
use super::units::Dimension;
use super::value::Value;
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

/// Largest imaginary part, relative to the whole, of a value that is real.
const REAL: f64 = 1e-9;

impl Compare<'_> {
    /// Numbers with units. A unit on one side only is taken for granted on the other.
    pub(super) fn measured(
        &mut self,
        a: &Expr,
        unit_a: Option<&Unit>,
        b: &Expr,
        unit_b: Option<&Unit>,
    ) -> Same {
        match (unit_a, unit_b) {
            (Some(of_a), Some(of_b)) => {
                if !of_a.measures(of_b) {
                    return Ok(false);
                }
                if (of_a.size / of_b.size - 1.0).abs() > 1e-12 {
                    return self.scaled(a, of_a.size, b, of_b.size);
                }
                self.plain(a, b)
            }
            (Some(unit), None) => {
                // `5m` is five metres where the other side has a unit.
                if let Some((b, of_b)) = unit::of_expression(b) {
                    return self.measured(a, unit_a, &b, Some(&of_b));
                }
                self.half_measured(unit, a, b, b, true)
            }
            (None, Some(unit)) => {
                if let Some((a, of_a)) = unit::of_expression(a) {
                    return self.measured(&a, Some(&of_a), b, unit_b);
                }
                self.half_measured(unit, a, b, a, false)
            }
            (None, None) => self.plain(a, b),
        }
    }

    /// One side has `unit`, `bare` is the other; `gold` says which is the ground truth.
    fn half_measured(&mut self, unit: &Unit, a: &Expr, b: &Expr, bare: &Expr, gold: bool) -> Same {
        let known = !unit.dimensions.is_empty();
        match unsigned(bare) {
            Expr::Degrees(_) if unit.is(Dimension::Angle) => return self.expressions(a, b),
            Expr::Degrees(_) if known && !unit.is_temperature() => return Ok(false),
            Expr::Percent(_) if known => return Ok(false),
            _ => {}
        }
        if unit.is_small_money() {
            // A number alone is a number of dollars, unless the question asks for cents.
            let one = if gold {
                (unit.size, 1.0)
            } else {
                (1.0, unit.size)
            };
            return Ok((gold && self.plain(a, b)?) || self.scaled(a, one.0, b, one.1)?);
        }
        self.plain(a, b)
    }

    fn plain(&mut self, a: &Expr, b: &Expr) -> Same {
        for (a, b) in readings(a, b) {
            if self.expressions(&a, &b)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn scaled(&mut self, a: &Expr, size_a: f64, b: &Expr, size_b: f64) -> Same {
        let Some((a, b)) = self.real_values(a, b)? else {
            return Ok(false);
        };
        let tolerance = self.tolerance.unwrap_or(DECIMAL_TOLERANCE);
        Ok(near(a * size_a, b * size_b, tolerance))
    }

    /// Whether two numbers are within a relative error.
    pub(super) fn roughly(&mut self, a: &Value, b: &Value, relative: f64) -> Same {
        let (Value::Scalar(a, _), Value::Scalar(b, _)) = (a, b) else {
            return Ok(false);
        };
        Ok(self
            .real_values(a, b)?
            .is_some_and(|(a, b)| near(a, b, relative)))
    }

    fn real_values(
        &mut self,
        a: &Expr,
        b: &Expr,
    ) -> Result<Option<(f64, f64)>, super::budget::OutOfSteps> {
        if !a.is_constant() || !b.is_constant() {
            return Ok(None);
        }
        let a = numeric::value(a, numeric::POINTS[0], self.budget)?;
        let b = numeric::value(b, numeric::POINTS[0], self.budget)?;
        Ok(a.zip(b)
            .filter(|(a, b)| a.im == 0.0 && b.im == 0.0)
            .map(|(a, b)| (a.re, b.re)))
    }

    /// Two expressions: exactly where they are rational, else by value at fixed points.
    pub(super) fn expressions(&mut self, a: &Expr, b: &Expr) -> Same {
        if a == b {
            return Ok(true);
        }
        let exact = self.exactly(a, b)?;
        match exact {
            Exact::Equal => return Ok(true),
            // What divides by zero equals nothing; by value, rounding would hide the zero.
            Exact::Undefined => return Ok(false),
            Exact::Different | Exact::NotRational => {}
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
        if exact == Exact::NotRational {
            let tolerance = tolerance.unwrap_or(IRRATIONAL_TOLERANCE);
            return self.numerically(a, b, constant, tolerance, CANCELLATION);
        }
        match tolerance {
            None => Ok(false),
            Some(tolerance) => self.numerically(a, b, constant, tolerance, 0.0),
        }
    }

    fn exactly(&mut self, a: &Expr, b: &Expr) -> Result<Exact, super::budget::OutOfSteps> {
        let mut undefined = 0;
        for point in modular::POINTS {
            use modular::Value;
            match (point.value(a, self.budget)?, point.value(b, self.budget)?) {
                (Value::Element(a), Value::Element(b)) if a == b => {}
                (Value::Element(_), Value::Element(_)) => return Ok(Exact::Different),
                (Value::Undefined, _) | (_, Value::Undefined) => undefined += 1,
                _ => return Ok(Exact::NotRational),
            }
        }
        Ok(match undefined {
            0 => Exact::Equal,
            // A denominator that is zero in one field only is a multiple of its prime.
            _ if undefined < modular::POINTS.len() => Exact::NotRational,
            _ => Exact::Undefined,
        })
    }

    /// By value. Where a function is real on one side only, the two may still be one function on
    /// the domain that is meant: `\sqrt[3]{x}` and `x^{1/3}`, `\ln(xy)` and `\ln x + \ln y`.
    fn numerically(
        &mut self,
        a: &Expr,
        b: &Expr,
        constant: bool,
        relative: f64,
        absolute: f64,
    ) -> Same {
        let points = if constant {
            vec![numeric::POINTS[0]]
        } else {
            numeric::points(a, b)
        };
        let imaginary = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Name(name) if name == "i"));
        let complex = constant || imaginary(a) || imaginary(b);
        let absolute_value = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Call(Function::Abs, ..)));
        let strict = complex || absolute_value(a) || absolute_value(b);
        let (mut agreed, mut outside, mut outside_differ) = (0, 0, false);
        for &point in &points {
            let (of_a, of_b) = (a, b);
            let a = numeric::value(a, point, self.budget)?;
            let b = numeric::value(b, point, self.budget)?;
            let Some((a, b)) = a.zip(b) else { continue };
            let finite = a.norm().is_finite() && b.norm().is_finite();
            if !finite && !constant {
                continue; // an overflow far out
            }
            let close = if finite {
                a.sub(b).norm() <= absolute + relative * a.norm().max(b.norm())
            } else {
                a == b
            };
            let real = |z: numeric::Complex| z.im.abs() <= REAL * z.norm();
            match (complex || real(a), complex || real(b)) {
                (true, true) if !close => {
                    // `\sqrt{a}\sqrt{b}` at two negative numbers says nothing about `\sqrt{ab}`.
                    let inside = strict
                        || (numeric::in_domain(of_a, point, self.budget)?
                            && numeric::in_domain(of_b, point, self.budget)?);
                    if inside {
                        return Ok(false);
                    }
                }
                (true, true) => agreed += 1,
                (false, false) => {
                    outside += 1;
                    outside_differ |= !close;
                }
                _ => {}
            }
        }
        Ok(agreed >= points.len().min(2) || (agreed == 0 && outside >= 2 && !outside_differ))
    }
}

/// What exact arithmetic says of two expressions.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Exact {
    Equal,
    Different,
    /// One of them divides by zero.
    Undefined,
    /// One of them has roots or functions.
    NotRational,
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
