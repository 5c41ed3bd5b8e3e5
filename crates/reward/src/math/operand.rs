//! Operands: numbers, names, brackets, fractions, roots, function calls.

use super::budget::{Stop, invalid};
use super::expr::{Decimal, Expr, Function};
use super::parser::{Parser, flat};
use super::token::Token;

impl Parser<'_, '_> {
    /// `{…}`, or one token as LaTeX takes arguments; `digit`: a number gives its first digit only.
    pub(super) fn argument(&mut self, digit: bool) -> Result<Expr, Stop> {
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

    pub(super) fn atom(&mut self) -> Result<Expr, Stop> {
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
            Token::Root => {
                let index = self.argument(false)?;
                if self.next()? != Some(Token::Of) {
                    return invalid("a root without what it is of");
                }
                let inner = self.argument(false)?;
                Ok(Expr::Root(Some(Box::new(index)), Box::new(inner)))
            }
            Token::Punct('_') => self.combinations(),
            Token::Punct('{') if self.is('}') => {
                // `{}_{10}C_3`
                self.next()?;
                self.deeper(Self::atom)
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

    /// `_{10}C_3`, behind the first sign.
    fn combinations(&mut self) -> Result<Expr, Stop> {
        let n = self.argument(false)?;
        if self.next()? != Some(Token::Name("C".into())) || !self.eat('_')? {
            return invalid("an index without a name");
        }
        let k = self.argument(false)?;
        Ok(Expr::Binomial(Box::new(n), Box::new(k)))
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
