//! Values of expressions in complex floating point, at fixed points for variables.

use super::budget::{Budget, OutOfSteps};
use super::expr::{Expr, Function};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub(super) fn norm(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn add(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    pub(super) fn sub(self, other: Self) -> Self {
        self.add(other.scaled(-1.0))
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            re: self.re * factor,
            // Keeps ∞ · (x + 0i) real.
            im: if self.im == 0.0 {
                0.0
            } else {
                self.im * factor
            },
        }
    }

    fn mul(self, other: Self) -> Self {
        if other.im == 0.0 {
            return self.scaled(other.re);
        }
        if self.im == 0.0 {
            return other.scaled(self.re);
        }
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    pub(super) fn div(self, other: Self) -> Option<Self> {
        let square = other.re * other.re + other.im * other.im;
        if other.re == 0.0 && other.im == 0.0 {
            return None;
        }
        if other.im == 0.0 {
            return Some(self.scaled(1.0 / other.re));
        }
        Some(self.mul(Self {
            re: other.re / square,
            im: -other.im / square,
        }))
    }

    fn ln(self) -> Option<Self> {
        (self.norm() > 0.0).then(|| Self {
            re: self.norm().ln(),
            im: self.im.atan2(self.re),
        })
    }

    fn exp(self) -> Self {
        let size = self.re.exp();
        Self {
            re: size * self.im.cos(),
            im: if self.im == 0.0 {
                0.0
            } else {
                size * self.im.sin()
            },
        }
    }

    fn pow(self, exponent: Self) -> Option<Self> {
        if self.norm() == 0.0 {
            return (exponent.im == 0.0 && exponent.re > 0.0).then(|| Self::real(0.0));
        }
        if self.im == 0.0 && exponent.im == 0.0 && (self.re > 0.0 || exponent.re.fract() == 0.0) {
            return Some(Self::real(self.re.powf(exponent.re)));
        }
        if exponent.im == 0.0 && exponent.re == 0.5 {
            return Some(self.sqrt());
        }
        // By multiplication: `i^3 + i` is zero and not a rounding of it.
        if exponent.im == 0.0 && exponent.re.fract() == 0.0 && exponent.re.abs() <= MULTIPLIED {
            let power = (0..exponent.re.abs() as u32).fold(Self::real(1.0), |p, _| p.mul(self));
            return if exponent.re < 0.0 {
                Self::real(1.0).div(power)
            } else {
                Some(power)
            };
        }
        Some(exponent.mul(self.ln()?).exp())
    }

    fn sqrt(self) -> Self {
        if self.im == 0.0 {
            return if self.re >= 0.0 {
                Self::real(self.re.sqrt())
            } else {
                Self {
                    re: 0.0,
                    im: (-self.re).sqrt(),
                }
            };
        }
        let size = self.norm();
        let re = ((size + self.re) / 2.0).max(0.0).sqrt();
        let im = ((size - self.re) / 2.0).max(0.0).sqrt();
        Self {
            re,
            im: im.copysign(self.im),
        }
    }
}

/// Largest whole power of a complex number that is multiplied out.
const MULTIPLIED: f64 = 64.0;

/// Where variables are evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    seed: u64,
    /// Every variable stands between `centre + low` and `centre + low + width`.
    low: f64,
    width: f64,
    centre: f64,
}

const fn point(seed: u64, low: f64, width: f64) -> Point {
    Point {
        seed,
        low,
        width,
        centre: 0.0,
    }
}

/// Points near zero; the last two are negative. Analytic functions that agree here are the same.
pub(super) const POINTS: [Point; 5] = [
    point(11, 0.3, 2.4),
    point(12, 0.3, 2.4),
    point(13, 0.3, 2.4),
    point(14, -2.7, 2.4),
    point(15, -2.7, 2.4),
];

/// Points further out, for functions made of pieces: `|x - 5|` is `5 - x` near zero only.
const FAR: [Point; 4] = [
    point(16, 3.0, 9.0),
    point(17, -12.0, 9.0),
    point(18, 40.0, 120.0),
    point(19, -160.0, 120.0),
];

/// Whether every part of `expr` is real at `point`: it lies in the domain of its roots and logarithms.
pub(super) fn in_domain(
    expr: &Expr,
    point: Point,
    budget: &mut Budget,
) -> Result<bool, OutOfSteps> {
    budget.spend(1)?;
    let parts: Vec<&Expr> = match expr {
        Expr::Root(_, e) | Expr::Call(Function::Ln | Function::Log, _, e) => vec![e],
        Expr::Power(base, _) => vec![base],
        Expr::Sum(all) | Expr::Product(all) => all.iter().collect(),
        Expr::Negative(e) | Expr::Call(_, _, e) | Expr::Factorial(e) => vec![e],
        Expr::Quotient(a, b) => vec![a, b],
        _ => return Ok(true),
    };
    for part in parts {
        if !in_domain(part, point, budget)? {
            return Ok(false);
        }
    }
    let partial = matches!(
        expr,
        Expr::Root(..) | Expr::Power(..) | Expr::Call(Function::Ln | Function::Log, ..)
    );
    if !partial {
        return Ok(true);
    }
    Ok(value(expr, point, budget)?.is_some_and(|z| z.im.abs() <= 1e-9 * z.norm()))
}

/// Most constants around which functions made of pieces are evaluated.
const MAX_CENTRES: usize = 4;

/// The points at which two expressions with variables are compared.
pub(super) fn points(a: &Expr, b: &Expr) -> Vec<Point> {
    let mut points = POINTS.to_vec();
    if !(in_pieces(a) || in_pieces(b)) {
        return points;
    }
    points.extend(FAR);
    // Whole numbers, where steps are: `\lceil x \rceil` is `\lfloor x \rfloor + 1` between them.
    points.extend([point(23, 3.0, 0.0), point(24, -4.0, 0.0)]);
    let mut centres: Vec<f64> = Vec::new();
    for expr in [a, b] {
        expr.any(&mut |e| {
            if let Expr::Number(number) = e {
                let value = number.value();
                if (0.5..1e6).contains(&value) && !centres.contains(&value) {
                    centres.push(value);
                }
            }
            centres.len() >= MAX_CENTRES
        });
    }
    for centre in centres {
        for (seed, centre) in [(20, centre), (21, -centre), (22, centre.sqrt())] {
            points.push(Point {
                seed,
                low: 0.05,
                width: 0.4,
                centre,
            });
            points.push(Point {
                seed,
                low: -0.45,
                width: 0.4,
                centre,
            });
        }
    }
    points
}

/// Whether an expression may follow different rules in different places.
fn in_pieces(expr: &Expr) -> bool {
    expr.any(&mut |e| match e {
        Expr::Call(Function::Abs | Function::Floor | Function::Ceil, ..) | Expr::Root(..) => true,
        Expr::Power(_, exponent) => exponent.whole().is_none() && exponent.is_constant(),
        _ => false,
    })
}

/// Value of `expr` at `point`; none where it is undefined.
pub(super) fn value(
    expr: &Expr,
    point: Point,
    budget: &mut Budget,
) -> Result<Option<Complex>, OutOfSteps> {
    let found = evaluate(expr, point, budget)?;
    Ok(found.filter(|value| !value.re.is_nan() && !value.im.is_nan()))
}

fn evaluate(expr: &Expr, point: Point, budget: &mut Budget) -> Result<Option<Complex>, OutOfSteps> {
    budget.spend(1)?;
    macro_rules! sub {
        ($e:expr) => {
            match evaluate($e, point, budget)? {
                Some(value) => value,
                None => return Ok(None),
            }
        };
    }
    Ok(match expr {
        Expr::Number(number) => {
            budget.spend(number.digits.len())?;
            Some(Complex::real(number.value()))
        }
        // `11` is not an answer to "write eleven in base 2": digits are compared, not values.
        Expr::Based(..) => None,
        Expr::Name(name) => Some(variable(name, point)),
        Expr::Pi => Some(Complex::real(std::f64::consts::PI)),
        Expr::Infinity => Some(Complex::real(f64::INFINITY)),
        Expr::Sum(all) => {
            let mut sum = Complex::real(0.0);
            for e in all {
                sum = sum.add(sub!(e));
            }
            Some(sum)
        }
        Expr::Product(all) => {
            let mut product = Complex::real(1.0);
            for e in all {
                product = product.mul(sub!(e));
            }
            Some(product)
        }
        Expr::Negative(e) => Some(sub!(e).scaled(-1.0)),
        Expr::Quotient(a, b) => sub!(a).div(sub!(b)),
        Expr::Power(a, b) => sub!(a).pow(sub!(b)),
        Expr::Root(None, e) => Some(sub!(e).sqrt()),
        Expr::Root(Some(index), e) => root(sub!(index), sub!(e)),
        Expr::Call(function, base, e) => {
            let argument = sub!(e);
            let base = match base {
                Some(base) => Some(sub!(base)),
                None => None,
            };
            call(*function, base, argument)
        }
        Expr::Factorial(e) => factorial(sub!(e)),
        Expr::Binomial(n, k) => {
            let (n, k) = (sub!(n), sub!(k));
            let below = factorial(k).zip(factorial(n.sub(k)));
            factorial(n)
                .zip(below)
                .and_then(|(n, (k, rest))| n.div(k.mul(rest)))
        }
        Expr::Percent(e) => Some(sub!(e).scaled(0.01)),
        Expr::Degrees(e) => Some(sub!(e).scaled(std::f64::consts::PI / 180.0)),
    })
}

fn variable(name: &str, point: Point) -> Complex {
    match name {
        "i" => return Complex { re: 0.0, im: 1.0 },
        "e" => return Complex::real(std::f64::consts::E),
        _ => {}
    }
    let mut hash = point.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    let unit = (hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64;
    Complex::real(point.centre + point.low + point.width * unit)
}

fn root(index: Complex, radicand: Complex) -> Option<Complex> {
    let one = Complex::real(1.0).div(index)?;
    let odd = index.im == 0.0 && index.re.rem_euclid(2.0) == 1.0;
    if odd && radicand.im == 0.0 && radicand.re < 0.0 {
        // The real root, as ∛−8 = −2.
        return Some(radicand.scaled(-1.0).pow(one)?.scaled(-1.0));
    }
    radicand.pow(one)
}

/// n! of a whole number whose factorial fits.
fn factorial(n: Complex) -> Option<Complex> {
    if n.im != 0.0 || n.re.fract() != 0.0 || !(0.0..=170.0).contains(&n.re) {
        return None;
    }
    Some(Complex::real(
        (1..=n.re as u32).fold(1.0, |product, k| product * f64::from(k)),
    ))
}

fn call(function: Function, base: Option<Complex>, z: Complex) -> Option<Complex> {
    use Function as F;
    match function {
        F::Exp => return Some(z.exp()),
        F::Abs => return Some(Complex::real(z.norm())),
        F::Ln => return z.ln(),
        F::Log => {
            let base = base.unwrap_or(Complex::real(10.0));
            return z.ln()?.div(base.ln()?);
        }
        _ => {}
    }
    if z.im != 0.0 {
        return None; // no answer needs the others off the real line
    }
    let x = z.re;
    let reciprocal = |value: f64| (value.abs() > 1e-15).then(|| 1.0 / value);
    let value = match function {
        F::Sin => x.sin(),
        F::Cos => x.cos(),
        F::Tan => x.sin() * reciprocal(x.cos())?,
        F::Cot => x.cos() * reciprocal(x.sin())?,
        F::Sec => reciprocal(x.cos())?,
        F::Csc => reciprocal(x.sin())?,
        F::Asin => x.asin(),
        F::Acos => x.acos(),
        F::Atan => x.atan(),
        F::Sinh => x.sinh(),
        F::Cosh => x.cosh(),
        F::Tanh => x.tanh(),
        F::Floor => x.floor(),
        F::Ceil => x.ceil(),
        F::Exp | F::Abs | F::Ln | F::Log => return None,
    };
    Some(Complex::real(value))
}
