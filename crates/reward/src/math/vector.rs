//! Vectors: a row, a column, `3\mathbf{i} - 4\mathbf{j}`.

use super::compare::{Compare, Same};
use super::expr::{Decimal, Expr};
use super::value::Value;

/// The entries of a matrix that is one row or one column.
pub(super) fn entries(rows: &[Vec<Value>]) -> Option<Vec<Value>> {
    if let [row] = rows {
        return Some(row.clone());
    }
    rows.iter()
        .map(|row| match &row[..] {
            [only] => Some(only.clone()),
            _ => None,
        })
        .collect()
}

const BASIS: [&str; 3] = ["\\hat{i}", "\\hat{j}", "\\hat{k}"];

impl Compare<'_> {
    /// Entries against a sum of multiples of the unit vectors.
    pub(super) fn vector(&mut self, entries: &[Value], expr: &Expr) -> Same {
        let mentions = |name: &str| expr.any(&mut |e| matches!(e, Expr::Name(n) if n == name));
        if !(2..=3).contains(&entries.len()) || !BASIS.iter().any(|name| mentions(name)) {
            return Ok(false);
        }
        if entries.len() == 2 && mentions(BASIS[2]) {
            return Ok(false);
        }
        // What stands without a unit vector is no vector.
        let rest = at(expr, None, self)?;
        let zero = Expr::Number(Decimal::integer("0"));
        if !self.expressions(&rest, &zero)? {
            return Ok(false);
        }
        for (axis, entry) in entries.iter().enumerate() {
            let Value::Scalar(entry, None) = entry else {
                return Ok(false);
            };
            let component = at(expr, Some(axis), self)?;
            if !self.expressions(entry, &component)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The expression with 1 for the unit vector of `axis` and 0 for the others.
fn at(
    expr: &Expr,
    axis: Option<usize>,
    compare: &mut Compare<'_>,
) -> Result<Expr, super::budget::OutOfSteps> {
    compare.budget.spend(1)?;
    let boxed = |e: &Expr, compare: &mut Compare<'_>| at(e, axis, compare).map(Box::new);
    Ok(match expr {
        Expr::Name(name) => match BASIS.iter().position(|known| known == name) {
            Some(found) => {
                let digit = if axis == Some(found) { "1" } else { "0" };
                Expr::Number(Decimal::integer(digit))
            }
            None => expr.clone(),
        },
        Expr::Sum(all) | Expr::Product(all) => {
            let parts = all
                .iter()
                .map(|e| at(e, axis, compare))
                .collect::<Result<_, _>>()?;
            match expr {
                Expr::Sum(_) => Expr::Sum(parts),
                _ => Expr::Product(parts),
            }
        }
        Expr::Negative(e) => Expr::Negative(boxed(e, compare)?),
        Expr::Quotient(a, b) => Expr::Quotient(boxed(a, compare)?, boxed(b, compare)?),
        other => other.clone(),
    })
}
