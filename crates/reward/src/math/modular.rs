//! Exact identity of rational expressions by evaluation in a finite field.
//!
//! Two expressions built from integers, decimals, variables, π, e, i with + − × ÷ and whole powers
//! are equal as rational functions exactly when they agree at random points of a large field, up to
//! a chance of about degree / 2⁶¹ per point (Schwartz–Zippel). Numbers of any size cost the same, and
//! nothing is ever rounded. π and e are taken as independent variables; i is a root of −1, which
//! exists because both primes are 1 modulo 4.

use super::budget::{Budget, OutOfSteps};
use super::expr::{Decimal, Expr, Function};

/// A prime of 61 bits, 1 modulo 4, with a square root of −1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    prime: u64,
    i: u64,
}

/// Where variables are evaluated: a field and a seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    field: Field,
    seed: u64,
}

const FIELDS: [Field; 2] = [
    Field {
        prime: 2_305_843_009_213_693_921,
        i: 583_529_827_753_931_384,
    },
    Field {
        prime: 2_305_843_009_213_693_693,
        i: 966_685_122_347_009_555,
    },
];

/// Two points in each of two fields.
pub(super) const POINTS: [Point; 4] = [
    Point {
        field: FIELDS[0],
        seed: 1,
    },
    Point {
        field: FIELDS[1],
        seed: 2,
    },
    Point {
        field: FIELDS[0],
        seed: 3,
    },
    Point {
        field: FIELDS[1],
        seed: 4,
    },
];

/// What an expression is at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// An element of the field.
    Element(u64),
    /// Nothing: it divides by zero here, or is 0⁰.
    Undefined,
    /// It is not a rational expression.
    NotRational,
}

/// Why an evaluation ends early.
enum NoValue {
    OutOfSteps,
    Undefined,
    NotRational,
}

impl From<OutOfSteps> for NoValue {
    fn from(_: OutOfSteps) -> Self {
        Self::OutOfSteps
    }
}

impl Point {
    /// Value of `expr` here.
    pub(super) fn value(&self, expr: &Expr, budget: &mut Budget) -> Result<Value, OutOfSteps> {
        match self.evaluate(expr, budget) {
            Ok(element) => Ok(Value::Element(element)),
            Err(NoValue::Undefined) => Ok(Value::Undefined),
            Err(NoValue::NotRational) => Ok(Value::NotRational),
            Err(NoValue::OutOfSteps) => Err(OutOfSteps),
        }
    }

    fn evaluate(&self, expr: &Expr, budget: &mut Budget) -> Result<u64, NoValue> {
        budget.spend(1)?;
        let field = self.field;
        match expr {
            Expr::Number(number) => {
                budget.spend(number.digits.len())?;
                field.decimal(number)
            }
            Expr::Name(name) if name == "i" => Ok(field.i),
            Expr::Name(name) => Ok(self.variable(name)),
            Expr::Pi => Ok(self.variable("\\pi")),
            Expr::Sum(all) => {
                let mut sum = 0;
                for e in all {
                    sum = field.add(sum, self.evaluate(e, budget)?);
                }
                Ok(sum)
            }
            Expr::Product(all) => {
                let mut product = 1;
                for e in all {
                    product = field.mul(product, self.evaluate(e, budget)?);
                }
                Ok(product)
            }
            Expr::Negative(e) => Ok(field.sub(0, self.evaluate(e, budget)?)),
            Expr::Quotient(a, b) => {
                let (a, b) = (self.evaluate(a, budget)?, self.evaluate(b, budget)?);
                field.div(a, b)
            }
            Expr::Power(base, exponent) => {
                let exponent = exponent.whole().ok_or(NoValue::NotRational)?;
                budget.spend(64)?;
                let base = self.evaluate(base, budget)?;
                let power = field.pow(base, exponent.unsigned_abs());
                match (base, exponent) {
                    (0, 0) => Err(NoValue::Undefined),
                    (_, 0..) => Ok(power),
                    _ => field.div(1, power),
                }
            }
            Expr::Percent(e) => field.div(self.evaluate(e, budget)?, 100),
            Expr::Degrees(e) => {
                let per_degree = field.div(self.variable("\\pi"), 180)?;
                Ok(field.mul(self.evaluate(e, budget)?, per_degree))
            }
            Expr::Factorial(e) => match e.whole() {
                Some(n @ 0..=100_000) => {
                    budget.spend(n as usize)?;
                    Ok((1..=n as u64).fold(1, |product, k| field.mul(product, k)))
                }
                _ => Err(NoValue::NotRational),
            },
            Expr::Binomial(n, k) => match (n.whole(), k.whole()) {
                (Some(n @ 0..=100_000), Some(k)) if (0..=n).contains(&k) => {
                    budget.spend(n as usize)?;
                    let product =
                        |from: i64, to: i64| (from..=to).fold(1, |p, f| field.mul(p, f as u64));
                    field.div(product(n - k + 1, n), product(1, k))
                }
                _ => Err(NoValue::NotRational),
            },
            Expr::Call(Function::Exp, None, e) => match e.whole() {
                Some(n @ 0..=1_000_000) => Ok(field.pow(self.variable("e"), n as u64)),
                _ => Err(NoValue::NotRational),
            },
            Expr::Infinity | Expr::Root(..) | Expr::Call(..) | Expr::Based(..) => {
                Err(NoValue::NotRational)
            }
        }
    }

    /// `a / b`, if b is not zero here.
    pub(super) fn ratio(&self, a: u64, b: u64) -> Option<u64> {
        self.field.div(a, b).ok()
    }

    fn variable(&self, name: &str) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^= hash >> 32;
        hash % self.field.prime
    }
}

impl Field {
    fn add(self, a: u64, b: u64) -> u64 {
        (a + b) % self.prime
    }

    fn sub(self, a: u64, b: u64) -> u64 {
        (a + (self.prime - b)) % self.prime
    }

    fn mul(self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.prime)) as u64
    }

    fn pow(self, base: u64, mut exponent: u64) -> u64 {
        let (mut result, mut square) = (1, base);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        result
    }

    fn div(self, a: u64, b: u64) -> Result<u64, NoValue> {
        if b == 0 {
            return Err(NoValue::Undefined);
        }
        Ok(self.mul(a, self.pow(b, self.prime - 2)))
    }

    fn decimal(self, number: &Decimal) -> Result<u64, NoValue> {
        let digits = number.digits.bytes().fold(0, |value, digit| {
            self.add(self.mul(value, 10), u64::from(digit - b'0'))
        });
        let scale = self.pow(10, u64::from(number.exponent.unsigned_abs()));
        if number.exponent < 0 {
            self.div(digits, scale)
        } else {
            Ok(self.mul(digits, scale))
        }
    }
}
