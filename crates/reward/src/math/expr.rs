//! Expressions: what the parser makes and the evaluators read.

/// A number as it is written: `digits × 10^exponent`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decimal {
    /// ASCII digits, at least one.
    pub(super) digits: String,
    pub(super) exponent: i32,
    /// Written as a decimal with so many digits that it may be rounded.
    pub(super) rounded: bool,
}

impl Decimal {
    pub(super) fn integer(digits: impl Into<String>) -> Self {
        Self {
            digits: digits.into(),
            exponent: 0,
            rounded: false,
        }
    }

    /// Digits after leading zeros.
    pub(super) fn significant(&self) -> usize {
        self.digits.trim_start_matches('0').len()
    }

    pub(super) fn value(&self) -> f64 {
        format!("{}e{}", self.digits, self.exponent)
            .parse()
            .unwrap_or(f64::NAN)
    }

    /// The value, if it is a whole number that fits.
    pub(super) fn whole(&self) -> Option<i64> {
        (self.exponent == 0).then(|| self.digits.parse().ok())?
    }
}

/// A named function of one argument (`log` has an optional base).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Log,
    Exp,
    Abs,
    Floor,
    Ceil,
}

impl Function {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "sin" => Self::Sin,
            "cos" => Self::Cos,
            "tan" | "tg" => Self::Tan,
            "cot" | "ctg" => Self::Cot,
            "sec" => Self::Sec,
            "csc" => Self::Csc,
            "arcsin" | "asin" => Self::Asin,
            "arccos" | "acos" => Self::Acos,
            "arctan" | "atan" => Self::Atan,
            "sinh" => Self::Sinh,
            "cosh" => Self::Cosh,
            "tanh" => Self::Tanh,
            "ln" => Self::Ln,
            "log" | "lg" => Self::Log,
            "exp" => Self::Exp,
            "abs" => Self::Abs,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            _ => return None,
        })
    }

    /// `\sin^{-1}`.
    pub(super) fn inverse(self) -> Option<Self> {
        Some(match self {
            Self::Sin => Self::Asin,
            Self::Cos => Self::Acos,
            Self::Tan => Self::Atan,
            _ => return None,
        })
    }
}

/// The relation signs; `>` and `≥` are kept until two relations are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    /// `≈`.
    Approximate,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A scalar expression. Sums and products are flat, so that depth is bounded by nesting alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Number(Decimal),
    Name(String),
    Pi,
    Infinity,
    Sum(Vec<Expr>),
    Product(Vec<Expr>),
    Negative(Box<Expr>),
    Quotient(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    /// Index (none: 2) and radicand.
    Root(Option<Box<Expr>>, Box<Expr>),
    /// Function, base of a logarithm, argument.
    Call(Function, Option<Box<Expr>>, Box<Expr>),
    Factorial(Box<Expr>),
    Binomial(Box<Expr>, Box<Expr>),
    Percent(Box<Expr>),
    Degrees(Box<Expr>),
    /// Digits in a number system: `1011_2`.
    Based(Decimal, u32),
}

impl Expr {
    /// Whether `holds` is true of this expression or one inside it.
    pub(super) fn any(&self, holds: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if holds(self) {
            return true;
        }
        match self {
            Self::Number(_) | Self::Name(_) | Self::Pi | Self::Infinity | Self::Based(..) => false,
            Self::Sum(all) | Self::Product(all) => all.iter().any(|e| e.any(holds)),
            Self::Negative(e) | Self::Factorial(e) | Self::Percent(e) | Self::Degrees(e) => {
                e.any(holds)
            }
            Self::Quotient(a, b) | Self::Power(a, b) | Self::Binomial(a, b) => {
                a.any(holds) || b.any(holds)
            }
            Self::Root(index, e) | Self::Call(_, index, e) => {
                index.as_ref().is_some_and(|index| index.any(holds)) || e.any(holds)
            }
        }
    }

    /// Whether a number in it may be rounded.
    pub(super) fn is_rounded(&self) -> bool {
        self.any(&mut |e| matches!(e, Self::Number(number) if number.rounded))
    }

    /// Whether it has no variable. `e` and `i` are constants.
    pub(super) fn is_constant(&self) -> bool {
        !self.any(&mut |e| matches!(e, Self::Name(name) if name != "e" && name != "i"))
    }

    /// Its value, if it is a small whole number: exponents, factorials.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.whole(),
            Self::Negative(e) => e.whole()?.checked_neg(),
            Self::Sum(all) => all
                .iter()
                .try_fold(0i64, |sum, e| sum.checked_add(e.whole()?)),
            Self::Product(all) => all
                .iter()
                .try_fold(1i64, |product, e| product.checked_mul(e.whole()?)),
            Self::Quotient(a, b) => {
                let (a, b) = (a.whole()?, b.whole()?);
                (a.checked_rem(b)? == 0).then(|| a.checked_div(b))?
            }
            Self::Power(a, b) => a.whole()?.checked_pow(u32::try_from(b.whole()?).ok()?),
            _ => None,
        }
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
        Order::Approximate => (Order::Equal, false),
        other => (other, false),
    }
}
