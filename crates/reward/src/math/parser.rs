//! Scalar expressions: recursive descent over a slice of tokens, with a depth limit.

use super::budget::{Budget, Stop, invalid};
use super::expr::{Decimal, Expr, Function};
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

struct Parser<'a, 'b> {
    tokens: &'a [Spaced],
    at: usize,
    /// What is left of a number whose first digit was an argument: `\frac12`.
    half: Option<Token>,
    depth: usize,
    /// Open `|`.
    bars: usize,
    budget: &'b mut Budget,
}

impl Parser<'_, '_> {
    fn peek(&self) -> Option<&Token> {
        self.half
            .as_ref()
            .or_else(|| self.tokens.get(self.at).map(|spaced| &spaced.token))
    }

    fn next(&mut self) -> Result<Option<Token>, Stop> {
        self.budget.spend(1)?;
        if let Some(half) = self.half.take() {
            self.at += 1;
            return Ok(Some(half));
        }
        let token = self.tokens.get(self.at).map(|spaced| spaced.token.clone());
        self.at += 1;
        Ok(token)
    }

    fn is(&self, punct: char) -> bool {
        self.peek() == Some(&Token::Punct(punct))
    }

    fn eat(&mut self, punct: char) -> Result<bool, Stop> {
        let found = self.is(punct);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    fn expect(&mut self, punct: char) -> Result<(), Stop> {
        if self.eat(punct)? {
            return Ok(());
        }
        invalid(format!("expected {punct:?}"))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth >= MAX_DEPTH {
            return invalid(format!("nested deeper than {MAX_DEPTH}"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Expr, Stop> {
        self.deeper(|p| {
            let mut terms = vec![p.term()?];
            loop {
                if p.eat('+')? {
                    terms.push(p.term()?);
                } else if p.eat('-')? {
                    terms.push(Expr::Negative(Box::new(p.term()?)));
                } else {
                    return Ok(flat(terms, Expr::Sum));
                }
            }
        })
    }

    /// A product with its leading signs.
    fn term(&mut self) -> Result<Expr, Stop> {
        let mut negative = false;
        loop {
            if self.eat('-')? {
                negative = !negative;
            } else if !self.eat('+')? {
                break;
            }
        }
        let product = self.product()?;
        Ok(if negative {
            Expr::Negative(Box::new(product))
        } else {
            product
        })
    }

    fn product(&mut self) -> Result<Expr, Stop> {
        let first = self.power()?;
        let mut above = vec![self.mixed(first)?];
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

    fn signed_power(&mut self) -> Result<Expr, Stop> {
        let mut negative = false;
        loop {
            if self.eat('-')? {
                negative = !negative;
            } else if !self.eat('+')? {
                break;
            }
        }
        let power = self.power()?;
        Ok(if negative {
            Expr::Negative(Box::new(power))
        } else {
            power
        })
    }

    /// Whether the next token begins a factor of an implicit product.
    fn starts_factor(&self) -> bool {
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
            let fraction = self.power()?;
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

    /// An atom with what follows it: `!`, `%`, `°`, exponents.
    fn power(&mut self) -> Result<Expr, Stop> {
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
        Ok(Expr::Power(Box::new(base), Box::new(self.exponent()?)))
    }

    fn exponent(&mut self) -> Result<Expr, Stop> {
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

    /// `{…}`, or one token as LaTeX takes arguments; `digit`: a number gives its first digit only.
    fn argument(&mut self, digit: bool) -> Result<Expr, Stop> {
        if self.eat('{')? {
            let inner = self.sum()?;
            self.expect('}')?;
            return Ok(inner);
        }
        if digit
            && let Some(Token::Number(number)) = self.peek()
            && number.exponent == 0
            && number.digits.len() > 1
        {
            let (first, rest) = number.digits.split_at(1);
            let first = Expr::Number(Decimal::integer(first));
            let rest = Token::Number(Decimal::integer(rest));
            self.budget.spend(1)?;
            self.half = Some(rest);
            return Ok(first);
        }
        self.deeper(Self::atom)
    }

    fn atom(&mut self) -> Result<Expr, Stop> {
        let Some(token) = self.next()? else {
            return invalid("an operand is missing");
        };
        match token {
            Token::Number(number) => self.based(number),
            Token::Repeating(number, period) => Ok(repeating(number, &period)),
            Token::Name(name) => self.name(name),
            Token::Pi => Ok(Expr::Pi),
            Token::Infinity => Ok(Expr::Infinity),
            Token::Frac => {
                let above = self.argument(true)?;
                let below = self.argument(true)?;
                Ok(Expr::Quotient(Box::new(above), Box::new(below)))
            }
            Token::Binom => {
                let above = self.argument(true)?;
                let below = self.argument(true)?;
                Ok(Expr::Binomial(Box::new(above), Box::new(below)))
            }
            Token::Sqrt => {
                let index = if self.eat('[')? {
                    let index = self.sum()?;
                    self.expect(']')?;
                    Some(Box::new(index))
                } else {
                    None
                };
                Ok(Expr::Root(index, Box::new(self.argument(false)?)))
            }
            Token::Function(function) => self.deeper(|p| p.call(function)),
            Token::Punct(open @ ('(' | '[' | '{' | '⌊' | '⌈')) => {
                let bars = std::mem::take(&mut self.bars);
                let inner = self.sum()?;
                self.bars = bars;
                self.close(open)?;
                Ok(match open {
                    '⌊' => Expr::Call(Function::Floor, None, Box::new(inner)),
                    '⌈' => Expr::Call(Function::Ceil, None, Box::new(inner)),
                    _ => inner,
                })
            }
            Token::Punct('|') => {
                self.bars += 1;
                let inner = self.sum()?;
                self.expect('|')?;
                self.bars -= 1;
                Ok(Expr::Call(Function::Abs, None, Box::new(inner)))
            }
            other => invalid(format!("unexpected {other:?}")),
        }
    }

    fn close(&mut self, open: char) -> Result<(), Stop> {
        self.expect(match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '⌊' => '⌋',
            _ => '⌉',
        })
    }

    /// `1011_2`.
    fn based(&mut self, number: Decimal) -> Result<Expr, Stop> {
        if number.exponent != 0 || !self.eat('_')? {
            return Ok(Expr::Number(number));
        }
        match self.argument(false)?.whole() {
            Some(base @ 2..=36) => Ok(Expr::Based(number, base as u32)),
            _ => invalid("the base of a number must be 2 to 36"),
        }
    }

    /// A variable with its index and primes.
    fn name(&mut self, mut name: String) -> Result<Expr, Stop> {
        while self.eat('\'')? {
            name.push('\'');
        }
        if self.eat('_')? {
            name.push('_');
            let braces = self.eat('{')?;
            loop {
                if braces && self.eat('}')? {
                    break;
                }
                match self.next()? {
                    Some(Token::Number(number)) => name.push_str(&number.digits),
                    Some(Token::Name(part) | Token::Word(part)) => name.push_str(&part),
                    Some(Token::Punct(c @ ('+' | '-' | ',' | '\''))) if braces => name.push(c),
                    _ => return invalid("an index must be letters and digits"),
                }
                if !braces {
                    break;
                }
            }
        }
        Ok(Expr::Name(name))
    }

    fn call(&mut self, function: Function) -> Result<Expr, Stop> {
        let mut function = function;
        let mut power = None;
        let mut base = None;
        loop {
            if self.eat('^')? {
                let exponent = self.exponent_or_group()?;
                match (exponent.whole(), function.inverse()) {
                    (Some(-1), Some(inverse)) => function = inverse,
                    _ => power = Some(exponent),
                }
            } else if self.eat('_')? {
                base = Some(Box::new(self.argument(false)?));
            } else {
                break;
            }
        }
        let argument = self.call_argument()?;
        let call = Expr::Call(function, base, Box::new(argument));
        Ok(match power {
            Some(power) => Expr::Power(Box::new(call), Box::new(power)),
            None => call,
        })
    }

    fn exponent_or_group(&mut self) -> Result<Expr, Stop> {
        if self.is('{') {
            self.argument(false)
        } else {
            self.exponent()
        }
    }

    /// A bracket, or the factors up to the next sign or function: `\sin 2x \cos x`.
    fn call_argument(&mut self) -> Result<Expr, Stop> {
        if self.is('(') || self.is('{') || self.is('[') {
            return self.atom();
        }
        if self.eat('-')? {
            return Ok(Expr::Negative(Box::new(self.call_argument_factors()?)));
        }
        self.call_argument_factors()
    }

    fn call_argument_factors(&mut self) -> Result<Expr, Stop> {
        let mut factors = vec![self.power()?];
        while self.starts_factor()
            && !matches!(self.peek(), Some(Token::Function(_)))
            && !self.is('(')
        {
            factors.push(self.power()?);
        }
        Ok(flat(factors, Expr::Product))
    }
}

fn flat(mut all: Vec<Expr>, make: fn(Vec<Expr>) -> Expr) -> Expr {
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

/// `0.1\overline{6}` = 0.1 + 6 / (9 · 10).
fn repeating(number: Decimal, period: &str) -> Expr {
    let nines = "9".repeat(period.len());
    let zeros = "0".repeat(number.exponent.unsigned_abs() as usize);
    let tail = Expr::Quotient(
        Box::new(Expr::Number(Decimal::integer(period))),
        Box::new(Expr::Number(Decimal::integer(format!("{nines}{zeros}")))),
    );
    Expr::Sum(vec![Expr::Number(number), tail])
}
