//! Equations and inequalities.

use super::budget::OutOfSteps;
use super::equal::{Compare, difference, flipped};
use super::expr::{Expr, Order};
use super::modular;
use super::numeric::{self, Complex};
use super::value::Value;

/// What a relation says, where it says something simple.
pub(super) enum Reduced<'a> {
    /// `x = … = 5`, `f(x) = x + 1`: the name and the last side.
    Assignment(String, &'a Value),
    /// `2 + 3 = 5`: the last side.
    Result(&'a Value),
    /// `1 < x ≤ 2`: the name and the interval.
    Interval(String, Value),
    /// Anything else.
    Other,
}

/// Reads a chain of relations.
pub(super) fn reduce<'a>(sides: &'a [Value], signs: &[Order]) -> Reduced<'a> {
    let [first, .., last] = sides else {
        return Reduced::Other;
    };
    if signs.iter().all(|&sign| sign == Order::Equal) {
        if let Some(name) = lone(first) {
            return Reduced::Assignment(name, last);
        }
        if let (Some(name), 2) = (lone(last), sides.len()) {
            return Reduced::Assignment(name, first);
        }
        return match first {
            Value::Scalar(expr, _) if expr.is_constant() => Reduced::Result(last),
            _ => Reduced::Other,
        };
    }
    interval(sides, signs).map_or(Reduced::Other, |(name, value)| {
        Reduced::Interval(name, value)
    })
}

/// A name that stands alone: `x`, `f(x)`, a word.
fn lone(side: &Value) -> Option<String> {
    match side {
        Value::Text(text) => Some(text.clone()),
        Value::Scalar(Expr::Name(name), None) => Some(name.clone()),
        Value::Scalar(Expr::Product(factors), None) => match &factors[..] {
            [Expr::Name(f), Expr::Name(x)] => Some(format!("{f}({x})")),
            _ => None,
        },
        _ => None,
    }
}

fn interval(sides: &[Value], signs: &[Order]) -> Option<(String, Value)> {
    let bound = |side: &Value| matches!(side, Value::Scalar(expr, _) if expr.is_constant());
    let infinity = Value::Scalar(Expr::Infinity, None);
    let below = Value::Scalar(Expr::Negative(Box::new(Expr::Infinity)), None);
    let open = |order| if order == Order::Less { '(' } else { '[' };
    let close = |order| if order == Order::Less { ')' } else { ']' };
    let orders: Vec<(Order, bool)> = signs.iter().map(|&sign| flipped(sign)).collect();
    if orders
        .iter()
        .any(|(order, _)| !matches!(order, Order::Less | Order::LessEqual))
    {
        return None;
    }
    match (sides, &orders[..]) {
        ([a, b], &[(order, flip)]) => {
            let (a, b) = if flip { (b, a) } else { (a, b) };
            if let Some(name) = lone(a).filter(|_| bound(b)) {
                let value = Value::Sequence('(', vec![below, b.clone()], close(order));
                return Some((name, value));
            }
            let name = lone(b).filter(|_| bound(a))?;
            let value = Value::Sequence(open(order), vec![a.clone(), infinity], ')');
            Some((name, value))
        }
        ([a, x, b], &[(first, flip), (second, other)]) if flip == other => {
            let (a, first, b, second) = if flip {
                (b, second, a, first)
            } else {
                (a, first, b, second)
            };
            let name = lone(x).filter(|_| bound(a) && bound(b))?;
            let value = Value::Sequence(open(first), vec![a.clone(), b.clone()], close(second));
            Some((name, value))
        }
        _ => None,
    }
}

/// Whether two relations say the same.
pub(super) fn same(
    compare: &mut Compare<'_>,
    (a, of_a): (&[Value], &[Order]),
    (b, of_b): (&[Value], &[Order]),
) -> Result<bool, OutOfSteps> {
    if a == b && of_a == of_b {
        return Ok(true);
    }
    match (reduce(a, of_a), reduce(b, of_b)) {
        (Reduced::Assignment(name_a, a), Reduced::Assignment(name_b, b))
            if name_a == name_b && compare.values(a, b)? =>
        {
            return Ok(true);
        }
        (Reduced::Interval(name_a, a), Reduced::Interval(name_b, b)) => {
            return Ok(name_a == name_b && compare.values(&a, &b)?);
        }
        _ => {}
    }
    let ([a1, a2], &[of_a], [b1, b2], &[of_b]) = (a, of_a, b, of_b) else {
        return Ok(false);
    };
    let (Value::Scalar(a1, _), Value::Scalar(a2, _), Value::Scalar(b1, _), Value::Scalar(b2, _)) =
        (a1, a2, b1, b2)
    else {
        return Ok(false);
    };
    let ((of_a, flip_a), (of_b, flip_b)) = (flipped(of_a), flipped(of_b));
    if of_a != of_b {
        return Ok(false);
    }
    let a = if flip_a {
        difference(a2, a1)
    } else {
        difference(a1, a2)
    };
    let b = if flip_b {
        difference(b2, b1)
    } else {
        difference(b1, b2)
    };
    let directed = matches!(of_a, Order::Less | Order::LessEqual);
    Ok(proportional(compare, &a, &b)? && (!directed || positive_ratio(compare, &a, &b)?))
}

/// Whether a = c · b for a constant c ≠ 0.
fn proportional(compare: &mut Compare<'_>, a: &Expr, b: &Expr) -> Result<bool, OutOfSteps> {
    let mut ratios = Vec::new();
    for point in modular::POINTS {
        let value_a = point.value(a, compare.budget)?;
        let value_b = point.value(b, compare.budget)?;
        let Some((value_a, value_b)) = value_a.zip(value_b) else {
            return numerically_proportional(compare, a, b);
        };
        match point.ratio(value_a, value_b) {
            Some(ratio) if ratio != 0 => ratios.push(ratio),
            _ => return Ok(false),
        }
    }
    // Points 0 and 2 share a field, and so do 1 and 3.
    Ok(ratios[0] == ratios[2] && ratios[1] == ratios[3])
}

fn numerically_proportional(
    compare: &mut Compare<'_>,
    a: &Expr,
    b: &Expr,
) -> Result<bool, OutOfSteps> {
    let mut ratios = Vec::new();
    for point in numeric::POINTS {
        ratios.extend(ratio(compare, a, b, point)?);
    }
    let Some(first) = ratios.first().filter(|ratio| ratio.norm() > 0.0) else {
        return Ok(false);
    };
    let close = |other: &Complex| other.sub(*first).norm() <= 1e-9 * first.norm();
    Ok(ratios.len() >= 2 && ratios.iter().all(close))
}

fn positive_ratio(compare: &mut Compare<'_>, a: &Expr, b: &Expr) -> Result<bool, OutOfSteps> {
    for point in numeric::POINTS {
        if let Some(ratio) = ratio(compare, a, b, point)? {
            return Ok(ratio.re > 0.0);
        }
    }
    Ok(false)
}

fn ratio(
    compare: &mut Compare<'_>,
    a: &Expr,
    b: &Expr,
    point: u64,
) -> Result<Option<Complex>, OutOfSteps> {
    let a = numeric::value(a, point, compare.budget)?;
    let b = numeric::value(b, point, compare.budget)?;
    Ok(a.zip(b).and_then(|(a, b)| a.div(b)))
}
