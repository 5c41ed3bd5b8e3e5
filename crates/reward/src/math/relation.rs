//! Equations and inequalities.

use super::budget::OutOfSteps;
use super::compare::Compare;
use super::expr::{Expr, Order, difference, flipped};
use super::modular;
use super::numeric::{self, Complex};
use super::sets;
use super::value::Value;

/// What a relation says, where it says something simple.
pub(super) enum Reduced<'a> {
    /// `x = … = 5`, `f(x) = x + 1`: the name and the sides behind it.
    Assignment(String, Vec<&'a Value>),
    /// `2 + 3 = 5`: the sides.
    Result(Vec<&'a Value>),
    /// `1 < x ≤ 2`, `x ≠ 2`: the name and where it lies.
    Region(String, Value),
    /// Anything else.
    Other,
}

fn equals(sign: Order) -> bool {
    matches!(sign, Order::Equal | Order::Approximate)
}

/// Reads a chain of relations.
pub(super) fn reduce<'a>(sides: &'a [Value], signs: &[Order]) -> Reduced<'a> {
    let [first, .., last] = sides else {
        return Reduced::Other;
    };
    if signs.iter().all(|&sign| equals(sign)) {
        if let Some(name) = lone(first) {
            return Reduced::Assignment(name, sides[1..].iter().collect());
        }
        if let (Some(name), 2) = (lone(last), sides.len()) {
            return Reduced::Assignment(name, vec![first]);
        }
        return match first {
            Value::Scalar(expr, _) if expr.is_constant() => Reduced::Result(sides.iter().collect()),
            _ => Reduced::Other,
        };
    }
    region(sides, signs).map_or(Reduced::Other, |(name, value)| Reduced::Region(name, value))
}

/// A name that stands alone: `x`, `f(x)`, `AB`, a word.
fn lone(side: &Value) -> Option<String> {
    match side {
        Value::Label(name) | Value::Text(name) => Some(name.clone()),
        Value::Scalar(Expr::Name(name), None) => Some(name.clone()),
        _ => None,
    }
}

fn region(sides: &[Value], signs: &[Order]) -> Option<(String, Value)> {
    let bound = |side: &Value| matches!(side, Value::Scalar(expr, _) if expr.is_constant());
    if let ([a, b], [Order::NotEqual]) = (sides, signs) {
        let (name, point) = match (lone(a), lone(b)) {
            (Some(name), _) if bound(b) => (name, b),
            (_, Some(name)) if bound(a) => (name, a),
            _ => return None,
        };
        return Some((name, sets::around(vec![point.clone()])));
    }
    let infinity = Value::Scalar(Expr::Infinity, None);
    let below = Value::Scalar(Expr::Negative(Box::new(Expr::Infinity)), None);
    let open = |order| if order == Order::Less { '(' } else { '[' };
    let close = |order| if order == Order::Less { ')' } else { ']' };
    let interval = |left, low: &Value, high: &Value, right| {
        Value::Interval(left, Box::new(low.clone()), Box::new(high.clone()), right)
    };
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
                return Some((name, interval('(', &below, b, close(order))));
            }
            let name = lone(b).filter(|_| bound(a))?;
            Some((name, interval(open(order), a, &infinity, ')')))
        }
        ([a, x, b], &[(first, flip), (second, other)]) if flip == other => {
            let (a, first, b, second) = if flip {
                (b, second, a, first)
            } else {
                (a, first, b, second)
            };
            let name = lone(x).filter(|_| bound(a) && bound(b))?;
            Some((name, interval(open(first), a, b, close(second))))
        }
        _ => None,
    }
}

/// Whether two names may stand for one thing.
fn same_name(a: &str, b: &str) -> bool {
    let function = |name: &str| matches!(name, "y" | "f(x)");
    a == b || (function(a) && function(b))
}

/// Largest relative error of what `≈` stands before.
const APPROXIMATE: f64 = 0.02;

/// Whether each side of a chain is what the one before it is, as the signs between them say.
pub(super) fn holds(
    compare: &mut Compare<'_>,
    values: &[&Value],
    signs: &[Order],
) -> Result<bool, OutOfSteps> {
    let signs = &signs[signs.len().saturating_sub(values.len().saturating_sub(1))..];
    for (pair, sign) in values.windows(2).zip(signs) {
        let same = if *sign == Order::Approximate {
            compare.roughly(pair[0], pair[1], APPROXIMATE)?
        } else {
            compare.values(pair[0], pair[1])?
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
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
        (Reduced::Assignment(name_a, values_a), Reduced::Assignment(name_b, values_b)) => {
            let constant = |values: &[&Value]| matches!(values.last(), Some(Value::Scalar(expr, _)) if expr.is_constant());
            let named = name_a == name_b || (same_name(&name_a, &name_b) && !constant(&values_a));
            if named && holds(compare, &values_a, of_a)? && holds(compare, &values_b, of_b)? {
                for a in &values_a {
                    for b in &values_b {
                        if compare.values(a, b)? {
                            return Ok(true);
                        }
                    }
                }
            }
        }
        (Reduced::Region(name_a, a), Reduced::Region(name_b, b)) => {
            return Ok(name_a == name_b && compare.values(&a, &b)?);
        }
        _ => {}
    }
    let ([a1, a2], &[of_a], [b1, b2], &[of_b]) = (a, of_a, b, of_b) else {
        return Ok(false);
    };
    let (
        Value::Scalar(a1, None),
        Value::Scalar(a2, None),
        Value::Scalar(b1, None),
        Value::Scalar(b2, None),
    ) = (a1, a2, b1, b2)
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
        let (modular::Value::Element(value_a), modular::Value::Element(value_b)) =
            (value_a, value_b)
        else {
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
    for point in numeric::points(a, b) {
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
    point: numeric::Point,
) -> Result<Option<Complex>, OutOfSteps> {
    let a = numeric::value(a, point, compare.budget)?;
    let b = numeric::value(b, point, compare.budget)?;
    Ok(a.zip(b).and_then(|(a, b)| a.div(b)))
}
