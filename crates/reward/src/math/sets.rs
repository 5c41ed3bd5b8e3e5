//! Matrices, and the real numbers without some points.

use super::budget::{Stop, invalid};
use super::expr::Expr;
use super::numeric;
use super::reader::Reader;
use super::split::{inside, split};
use super::token::{Spaced, Token};
use super::value::{Value, reals};

impl Reader<'_, '_> {
    pub(super) fn matrix(&mut self, inner: &[Spaced], depth: usize) -> Result<Value, Stop> {
        let (rows, _) = split(inner, |token| *token == Token::Punct('⏎'), self.budget)?;
        let mut matrix = Vec::new();
        for row in rows.into_iter().filter(|row| !row.is_empty()) {
            let (cells, _) = split(row, |token| *token == Token::Punct('&'), self.budget)?;
            let cells = cells
                .into_iter()
                .map(|cell| self.item(cell, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            matrix.push(cells);
        }
        if matrix.is_empty() {
            return invalid("an empty matrix");
        }
        Ok(Value::Matrix(matrix))
    }

    /// `\begin{pmatrix}1&2\end{pmatrix}^T`.
    pub(super) fn transposed(
        &mut self,
        tokens: &[Spaced],
        depth: usize,
    ) -> Result<Option<Value>, Stop> {
        let end = tokens.iter().rposition(|t| t.token == Token::EndMatrix);
        let Some(end) = end.filter(|&end| end + 1 < tokens.len()) else {
            return Ok(None);
        };
        let (matrix, mark) = tokens.split_at(end + 1);
        let is_t = |t: &Spaced| match &t.token {
            Token::Name(name) => name == "T",
            Token::Symbol(name) => name == "\\top" || name == "\\intercal",
            _ => false,
        };
        let transposes = match mark {
            [caret, t] => caret.is('^') && is_t(t),
            [caret, open, t, close] => caret.is('^') && open.is('{') && is_t(t) && close.is('}'),
            _ => false,
        };
        let Some(inner) = inside(matrix).filter(|_| transposes) else {
            return Ok(None);
        };
        let Value::Matrix(rows) = self.matrix(inner, depth)? else {
            return Ok(None);
        };
        let width = rows[0].len();
        if rows.iter().any(|row| row.len() != width) {
            return invalid("rows of different length");
        }
        self.budget.spend(width * rows.len())?;
        let columns = (0..width)
            .map(|at| rows.iter().map(|row| row[at].clone()).collect())
            .collect();
        Ok(Some(Value::Matrix(columns)))
    }

    /// `\mathbb{R} \setminus \{2\}`: a union of intervals.
    pub(super) fn without(
        &mut self,
        from: &[Spaced],
        points: &[Spaced],
        depth: usize,
    ) -> Result<Value, Stop> {
        let (from, points) = (self.item(from, depth + 1)?, self.item(points, depth + 1)?);
        let points = match points {
            Value::Set(points) | Value::Bare(points) => points,
            _ => return invalid("a difference of sets"),
        };
        if from != reals() {
            return invalid("a difference of sets");
        }
        self.holes(points)
    }

    /// The real numbers without the points.
    fn holes(&mut self, points: Vec<Value>) -> Result<Value, Stop> {
        let mut known = Vec::new();
        for point in points {
            let Value::Scalar(expr, None) = &point else {
                return invalid("a difference of sets");
            };
            match numeric::value(expr, numeric::POINTS[0], self.budget)? {
                Some(value) if value.im == 0.0 && expr.is_constant() => {
                    known.push((value.re, point))
                }
                _ => return invalid("a difference of sets"),
            }
        }
        known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(around(known.into_iter().map(|(_, point)| point).collect()))
    }
}

/// The open intervals before, between and after the points.
pub(super) fn around(points: Vec<Value>) -> Value {
    let infinity = || Value::Scalar(Expr::Infinity, None);
    let mut low = Value::Scalar(Expr::Negative(Box::new(Expr::Infinity)), None);
    let mut parts = Vec::new();
    for point in points {
        let high = point.clone();
        parts.push(Value::Interval('(', Box::new(low), Box::new(high), ')'));
        low = point;
    }
    parts.push(Value::Interval(
        '(',
        Box::new(low),
        Box::new(infinity()),
        ')',
    ));
    Value::Union(parts)
}
