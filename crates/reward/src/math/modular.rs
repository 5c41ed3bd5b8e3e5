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

impl Point {
    /// Value of `expr` here; none where it is not a rational expression or divides by zero.
    pub(super) fn value(
        &self,
        expr: &Expr,
        budget: &mut Budget,
    ) -> Result<Option<u64>, OutOfSteps> {
        budget.spend(1)?;
        let field = self.field;
        Ok(match expr {
            Expr::Number(number) => {
                budget.spend(number.digits.len())?;
                field.decimal(number)
            }
            Expr::Name(name) if name == "i" => Some(field.i),
            Expr::Name(name) => Some(self.variable(name)),
            Expr::Pi => Some(self.variable("\\pi")),
            Expr::Sum(all) => {
                let mut sum = 0;
                for e in all {
                    let Some(value) = self.value(e, budget)? else {
                        return Ok(None);
                    };
                    sum = field.add(sum, value);
                }
                Some(sum)
            }
            Expr::Product(all) => {
                let mut product = 1;
                for e in all {
                    let Some(value) = self.value(e, budget)? else {
                        return Ok(None);
                    };
                    product = field.mul(product, value);
                }
                Some(product)
            }
            Expr::Negative(e) => self.value(e, budget)?.map(|value| field.sub(0, value)),
            Expr::Quotient(a, b) => {
                let (a, b) = (self.value(a, budget)?, self.value(b, budget)?);
                a.zip(b).and_then(|(a, b)| field.div(a, b))
            }
            Expr::Power(base, exponent) => {
                let Some(exponent) = exponent.whole() else {
                    return Ok(None);
                };
                budget.spend(64)?;
                let Some(base) = self.value(base, budget)? else {
                    return Ok(None);
                };
                let power = field.pow(base, exponent.unsigned_abs());
                match (base, exponent) {
                    (0, 0) => None,
                    (_, 0..) => Some(power),
                    _ => field.div(1, power),
                }
            }
            Expr::Percent(e) => self
                .value(e, budget)?
                .and_then(|value| field.div(value, 100)),
            Expr::Degrees(e) => {
                let per_degree = field.div(self.variable("\\pi"), 180);
                self.value(e, budget)?
                    .zip(per_degree)
                    .map(|(value, unit)| field.mul(value, unit))
            }
            Expr::Factorial(e) => match e.whole() {
                Some(n @ 0..=100_000) => {
                    budget.spend(n as usize)?;
                    Some((1..=n as u64).fold(1, |product, k| field.mul(product, k)))
                }
                _ => None,
            },
            Expr::Binomial(n, k) => match (n.whole(), k.whole()) {
                (Some(n @ 0..=100_000), Some(k)) if (0..=n).contains(&k) => {
                    budget.spend(n as usize)?;
                    let product =
                        |from: i64, to: i64| (from..=to).fold(1, |p, f| field.mul(p, f as u64));
                    field.div(product(n - k + 1, n), product(1, k))
                }
                _ => None,
            },
            Expr::Call(Function::Exp, None, e) => match e.whole() {
                Some(n @ 0..=1_000_000) => Some(field.pow(self.variable("e"), n as u64)),
                _ => None,
            },
            Expr::Infinity | Expr::Root(..) | Expr::Call(..) | Expr::Based(..) => None,
        })
    }

    /// `a / b`, if b is not zero here.
    pub(super) fn ratio(&self, a: u64, b: u64) -> Option<u64> {
        self.field.div(a, b)
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

    fn div(self, a: u64, b: u64) -> Option<u64> {
        (b != 0).then(|| self.mul(a, self.pow(b, self.prime - 2)))
    }

    fn decimal(self, number: &Decimal) -> Option<u64> {
        let digits = number.digits.bytes().fold(0, |value, digit| {
            self.add(self.mul(value, 10), u64::from(digit - b'0'))
        });
        let scale = self.pow(10, u64::from(number.exponent.unsigned_abs()));
        if number.exponent < 0 {
            self.div(digits, scale)
        } else {
            Some(self.mul(digits, scale))
        }
    }
}
