//! Answers: scalars with units, text, lists, sets, intervals, relations, matrices, ratios, dates.

use super::expr::{Decimal, Expr, Order};
use super::forms::Form;
use super::unit::Unit;

/// What an answer is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(Expr, Option<Unit>),
    /// Words, in the spelling of `text::normal`.
    Text(String),
    /// `1, 2` or `1 and 2`, without brackets.
    Bare(Vec<Value>),
    /// `\{1, 2\}`.
    Set(Vec<Value>),
    /// Points, tuples and intervals: `(1, 2]`.
    Sequence(char, Vec<Value>, char),
    /// `1 < x \le 2`: no list of two numbers.
    Interval(char, Box<Value>, Box<Value>, char),
    Union(Vec<Value>),
    Relation(Vec<Value>, Vec<Order>),
    /// `x = 4, y = 7`: names and values.
    Record(Vec<(String, Value)>),
    /// The left of `AB = 5`.
    Label(String),
    Matrix(Vec<Vec<Value>>),
    /// `1:2:3`.
    Ratio(Vec<Value>),
    /// `3 to 4`: a ratio or a range.
    To(Box<Value>, Box<Value>),
    /// `5-7`, `555-1234`: a range, a score, a telephone number; with blanks it may be a difference.
    Dashed(Vec<Decimal>, bool),
    Form(Form),
}

/// An answer as read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) value: Value,
    /// The whole of it as words.
    pub(super) text: String,
    /// `3,14` read as 3.14, for golds that are one number.
    pub(super) comma: Option<Expr>,
}

impl Value {
    /// Whether a text stands in it.
    pub(super) fn has_text(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Bare(all)
            | Self::Set(all)
            | Self::Union(all)
            | Self::Sequence(_, all, _)
            | Self::Relation(all, _)
            | Self::Ratio(all) => all.iter().any(Self::has_text),
            Self::Record(all) => all.iter().any(|(_, value)| value.has_text()),
            Self::Matrix(rows) => rows.iter().flatten().any(Self::has_text),
            Self::To(a, b) | Self::Interval(_, a, b, _) => a.has_text() || b.has_text(),
            Self::Scalar(..) | Self::Label(_) | Self::Dashed(..) | Self::Form(_) => false,
        }
    }
}

/// All real numbers.
pub(super) fn reals() -> Value {
    let infinity = Value::Scalar(Expr::Infinity, None);
    let below = Value::Scalar(Expr::Negative(Box::new(Expr::Infinity)), None);
    Value::Sequence('(', vec![below, infinity], ')')
}
