//! Scalar expressions: recursive descent over a slice of tokens, with a depth limit.

use super::budget::{Budget, Stop, invalid};
use super::expr::{Decimal, Expr};
use super::token::{Spaced, Token};

/// Deepest nesting that is read; no answer that a person wrote comes near it.
pub(super) const MAX_DEPTH: usize = 64;

/// Most postfix signs after one operand: each nests the tree by one.
const MAX_POSTFIX: usize = 4;

/// Reads all of `tokens` as one expression.
pub(super) fn expression(tokens: &[Spaced], budget: &mut Budget) -> Result<Expr, Stop> {
    let mut parser = Parser {
        tokens,
        at: 0,
        half: None,
        depth: 0,
        bars: 0,
        budget,
    };
    let expr = parser.sum()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => invalid(format!("unexpected {token:?}")),
    }
}

/// Reads one expression; operands are in `operand`.
pub(super) struct Parser<'a, 'b> {
    tokens: &'a [Spaced],
    at: usize,
    /// What is left of a number whose first digit was an argument: `\frac12`.
    pub(super) half: Option<Token>,
    depth: usize,
    /// Open `|`.
    pub(super) bars: usize,
    pub(super) budget: &'b mut Budget,
}

impl Parser<'_, '_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.half
            .as_ref()
            .or_else(|| self.tokens.get(self.at).map(|spaced| &spaced.token))
    }

    pub(super) fn next(&mut self) -> Result<Option<Token>, Stop> {
        self.budget.spend(1)?;
        if let Some(half) = self.half.take() {
            self.at += 1;
            return Ok(Some(half));
        }
        let token = self.tokens.get(self.at).map(|spaced| spaced.token.clone());
        self.at += 1;
        Ok(token)
    }

    pub(super) fn is(&self, punct: char) -> bool {
        self.peek() == Some(&Token::Punct(punct))
    }

    pub(super) fn eat(&mut self, punct: char) -> Result<bool, Stop> {
        let found = self.is(punct);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, punct: char) -> Result<(), Stop> {
        if self.eat(punct)? {
            return Ok(());
        }
        invalid(format!("expected {punct:?}"))
    }

    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if self.depth >= MAX_DEPTH {
            return invalid(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    pub(super) fn sum(&mut self) -> Result<Expr, Stop> {
        self.deeper(|p| {
            let mut terms = vec![p.term()?];
            loop {
                if p.eat('+')? {
                    terms.push(p.term()?);
                } else if p.eat('-')? {
                    terms.push(Expr::Negative(Box::new(p.term()?)));
                } else {
                    break;
                }
            }
            let above = flat(terms, Expr::Sum);
            // `{3 \over 4}`, `{10 \choose 3}`: to the end of the group.
            let make = match p.peek() {
                Some(Token::Over) => Expr::Quotient,
                Some(Token::Choose) => Expr::Binomial,
                _ => return Ok(above),
            };
            p.next()?;
            Ok(make(Box::new(above), Box::new(p.sum()?)))
        })
    }

    /// A product with its leading signs.
    fn term(&mut self) -> Result<Expr, Stop> {
        self.signed(Self::product)
    }

    /// Leading signs and what follows them.
    fn signed(&mut self, part: fn(&mut Self) -> Result<Expr, Stop>) -> Result<Expr, Stop> {
        let mut negative = false;
        loop {
            if self.eat('-')? {
                negative = !negative;
            } else if !self.eat('+')? {
                break;
            }
        }
        let value = part(self)?;
        Ok(if negative {
            Expr::Negative(Box::new(value))
        } else {
            value
        })
    }

    fn product(&mut self) -> Result<Expr, Stop> {
        let first = self.power()?;
        let first = self.mixed(first)?;
        let mut above = vec![self.marked(first)?];
        // One numerator and one denominator, so that `a/b*c/d…` does not nest without end.
        let mut below = Vec::new();
        loop {
            if self.eat('*')? {
                above.push(self.signed_power()?);
            } else if self.eat('/')? {
                below.push(self.signed_power()?);
            } else if self.starts_factor() {
                above.push(self.power()?);
            } else {
                break;
            }
        }
        let above = flat(above, Expr::Product);
        Ok(if below.is_empty() {
            above
        } else {
            Expr::Quotient(Box::new(above), Box::new(flat(below, Expr::Product)))
        })
    }

    /// The sign behind a mixed number: `33\frac{1}{3}\%`.
    fn marked(&mut self, mixed: Expr) -> Result<Expr, Stop> {
        Ok(if self.eat('%')? {
            Expr::Percent(Box::new(mixed))
        } else if self.eat('°')? {
            Expr::Degrees(Box::new(mixed))
        } else {
            mixed
        })
    }

    fn signed_power(&mut self) -> Result<Expr, Stop> {
        self.signed(Self::power)
    }

    /// Whether the next token begins a factor of an implicit product.
    pub(super) fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Repeating(..)) => {
                // `3 4` is two numbers, `x 4` or `(2)3` a product.
                self.at > 0
                    && !matches!(
                        self.tokens[self.at - 1].token,
                        Token::Number(_) | Token::Repeating(..)
                    )
            }
            Some(Token::Punct('|')) => self.bars == 0,
            Some(Token::Punct(c)) => matches!(c, '(' | '[' | '{' | '⌊' | '⌈'),
            Some(
                Token::Name(_)
                | Token::Pi
                | Token::Infinity
                | Token::Function(_)
                | Token::Frac
                | Token::Sqrt
                | Token::Binom,
            ) => true,
            _ => false,
        }
    }

    /// `3\frac{1}{2}` and `3 1/2` are sums.
    fn mixed(&mut self, first: Expr) -> Result<Expr, Stop> {
        if plain_integer(&first).is_none() {
            return Ok(first);
        }
        if self.half.is_none() && self.peek() == Some(&Token::Frac) {
            let fraction = if self.frac_of_numbers() {
                self.atom()?
            } else {
                self.power()?
            };
            return Ok(match &fraction {
                Expr::Quotient(a, b)
                    if plain_integer(a).is_some() && plain_integer(b).is_some() =>
                {
                    Expr::Sum(vec![first, fraction])
                }
                _ => times(first, fraction),
            });
        }
        if let [
            Spaced {
                token: Token::Number(a),
                space: true,
                ..
            },
            slash,
            Spaced {
                token: Token::Number(b),
                ..
            },
            ..,
        ] = &self.tokens[self.at.min(self.tokens.len())..]
            && slash.is('/')
            && a.whole().is_some()
            && b.whole().is_some()
        {
            let fraction = Expr::Quotient(
                Box::new(Expr::Number(a.clone())),
                Box::new(Expr::Number(b.clone())),
            );
            self.budget.spend(3)?;
            self.at += 3;
            return Ok(Expr::Sum(vec![first, fraction]));
        }
        Ok(first)
    }

    /// `\frac{1}{3}` or `\frac13`, with the mark of the mixed number behind it.
    fn frac_of_numbers(&self) -> bool {
        let rest = &self.tokens[self.at.min(self.tokens.len())..];
        let mark = |spaced: Option<&Spaced>| spaced.is_some_and(|t| t.is('%') || t.is('°'));
        match rest {
            [_, a, n, b, c, d, e, ..] if a.is('{') && b.is('}') && c.is('{') && e.is('}') => {
                n.is_number() && d.is_number() && mark(rest.get(7))
            }
            [_, n, after, ..] if n.is_number() => mark(Some(after)),
            _ => false,
        }
    }

    /// An atom with what follows it: `!`, `%`, `°`, exponents.
    pub(super) fn power(&mut self) -> Result<Expr, Stop> {
        let mut base = self.atom()?;
        for _ in 0..=MAX_POSTFIX {
            base = if self.eat('!')? {
                Expr::Factorial(Box::new(base))
            } else if self.eat('%')? {
                Expr::Percent(Box::new(base))
            } else if self.eat('°')? {
                Expr::Degrees(Box::new(base))
            } else if self.eat('^')? {
                self.raised(base)?
            } else {
                return Ok(base);
            };
        }
        invalid("too many signs after one operand")
    }

    fn raised(&mut self, base: Expr) -> Result<Expr, Stop> {
        let rest = &self.tokens[self.at.min(self.tokens.len())..];
        let braced = matches!(rest, [a, b, c, ..] if a.is('{') && b.is('°') && c.is('}'));
        if braced {
            self.at += 3;
        }
        if braced || self.eat('°')? {
            return Ok(Expr::Degrees(Box::new(base)));
        }
        let exponent = self.exponent()?;
        // `C_{10}^{3}`
        if let Expr::Name(name) = &base
            && let Some(n) = name.strip_prefix("C_")
            && n.bytes().all(|b| b.is_ascii_digit())
            && exponent.whole().is_some()
        {
            let n = Expr::Number(Decimal::integer(n));
            return Ok(Expr::Binomial(Box::new(n), Box::new(exponent)));
        }
        Ok(Expr::Power(Box::new(base), Box::new(exponent)))
    }

    pub(super) fn exponent(&mut self) -> Result<Expr, Stop> {
        self.deeper(|p| {
            if p.eat('-')? {
                return Ok(Expr::Negative(Box::new(p.exponent()?)));
            }
            p.eat('+')?;
            let base = p.atom()?;
            if p.is('^') {
                p.next()?;
                let upper = p.exponent()?;
                return Ok(Expr::Power(Box::new(base), Box::new(upper)));
            }
            Ok(base)
        })
    }
}

pub(super) fn flat(mut all: Vec<Expr>, make: fn(Vec<Expr>) -> Expr) -> Expr {
    if all.len() == 1
        && let Some(only) = all.pop()
    {
        return only;
    }
    make(all)
}

fn times(a: Expr, b: Expr) -> Expr {
    let mut factors = match a {
        Expr::Product(all) => all,
        other => vec![other],
    };
    factors.push(b);
    Expr::Product(factors)
}

fn plain_integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Number(number) if !number.rounded => number.whole(),
        _ => None,
    }
}
