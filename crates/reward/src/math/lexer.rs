//! LaTeX or plain text into tokens: one pass, no look-behind beyond a token.

use super::budget::{Budget, Stop, invalid};
use super::expr::{Decimal, Function, Order};
use super::token::{Spaced, Token, command, single};
use super::words;

/// Splits `text`; every byte is a step.
pub(super) fn tokens(text: &str, budget: &mut Budget) -> Result<Vec<Spaced>, Stop> {
    budget.spend(text.len())?;
    let mut lexer = Lexer {
        text,
        at: 0,
        space: false,
        brackets: 0,
        out: Vec::new(),
    };
    while let Some(c) = lexer.peek() {
        lexer.step(c)?;
    }
    Ok(lexer.out)
}

/// Significant digits from which on a decimal may be the rounded form of another number: with fewer,
/// nothing but the number itself is within the tolerance of 1e-6.
const ROUNDED_DIGITS: usize = 6;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    space: bool,
    /// Open `(`, `[` and `\{`: inside them a comma separates, outside it may group thousands.
    brackets: usize,
    out: Vec<Spaced>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, token: Token) {
        match token {
            Token::Punct('(' | '[' | '⟨') => self.brackets += 1,
            Token::Punct(')' | ']' | '⟩') => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        let space = std::mem::take(&mut self.space);
        self.out.push(Spaced { token, space });
    }

    fn step(&mut self, c: char) -> Result<(), Stop> {
        if c.is_ascii_digit()
            || (c == '.' && self.rest()[1..].starts_with(|d: char| d.is_ascii_digit()))
        {
            self.number();
            return Ok(());
        }
        if c.is_ascii_alphabetic() {
            self.letters();
            return Ok(());
        }
        if c == '\\' {
            return self.command();
        }
        self.at += c.len_utf8();
        match c {
            c if c.is_whitespace() => self.space = true,
            '$' | '~' | '£' | '€' | '¥' | '\u{200b}' => self.space = true,
            '*' => {
                if self.rest().starts_with('*') {
                    self.at += 1;
                    self.push(Token::Punct('^'));
                } else {
                    self.push(Token::Punct('*'));
                }
            }
            '<' | '>' | '=' | '!' if self.rest().starts_with('=') => {
                self.at += 1;
                self.push(Token::Relation(match c {
                    '<' => Order::LessEqual,
                    '>' => Order::GreaterEqual,
                    '!' => Order::NotEqual,
                    _ => Order::Equal,
                }));
            }
            '.' => {} // a full stop; decimal points belong to numbers
            _ => match single(c) {
                Some(token) => self.push(token),
                None => return invalid(format!("unknown character {c:?}")),
            },
        }
        Ok(())
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number(&mut self) {
        let mut digits = self.digits().to_owned();
        if (1..=3).contains(&digits.len()) {
            while let Some(skip) = self.thousands() {
                self.at += skip;
                digits.push_str(self.digits());
            }
        }
        let mut number = Decimal::integer(digits);
        let rest = self.rest().as_bytes();
        if rest.first() == Some(&b'.') {
            let repeating = self.rest()[1..].starts_with("\\overline{");
            if repeating || rest.get(1).is_some_and(u8::is_ascii_digit) {
                self.at += 1;
                let fraction = self.digits();
                number.exponent = -i32::try_from(fraction.len()).unwrap_or(i32::MAX);
                number.digits.push_str(fraction);
                number.rounded = number.significant() >= ROUNDED_DIGITS;
            }
            if let Some(after) = self.rest().strip_prefix("\\overline{") {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                if end > 0 && after[end..].starts_with('}') {
                    let period = after[..end].to_owned();
                    self.at += "\\overline{".len() + end + 1;
                    number.rounded = false;
                    return self.push(Token::Repeating(number, period));
                }
            }
        }
        self.scientific(&mut number);
        self.push(Token::Number(number));
    }

    /// `e-3` directly after the digits.
    fn scientific(&mut self, number: &mut Decimal) {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(['e', 'E']) else {
            return;
        };
        let unsigned = after.strip_prefix(['-', '+']).unwrap_or(after);
        let length = unsigned
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(unsigned.len());
        let written = &after[..after.len() - unsigned.len() + length];
        if let Ok(exponent) = written.parse::<i16>() {
            number.exponent = number.exponent.saturating_add(i32::from(exponent));
            number.rounded |= exponent < 0 && number.significant() >= ROUNDED_DIGITS;
            if number.exponent > 0 && number.exponent < 4096 {
                // Whole numbers stay whole: 1e3 is 1000.
                let zeros = number.exponent as usize;
                number.digits.extend(std::iter::repeat_n('0', zeros));
                number.exponent = 0;
            }
            self.at += 1 + written.len();
        }
    }

    /// Bytes of a thousands separator, if one stands here with exactly three digits after it.
    fn thousands(&self) -> Option<usize> {
        let rest = self.rest();
        let skip = ["{,}", ",\\!", "\\,\\!", "\\,", "\\!", ","]
            .into_iter()
            .find(|mark| rest.starts_with(mark) && (*mark != "," || self.brackets == 0))?
            .len();
        let bytes = &rest.as_bytes()[skip..];
        let three = bytes.len() >= 3 && bytes[..3].iter().all(u8::is_ascii_digit);
        (three && !bytes.get(3).is_some_and(u8::is_ascii_digit)).then_some(skip)
    }

    fn letters(&mut self) {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        self.at += end;
        self.run(&rest[..end]);
    }

    /// A run of letters: a function, a constant, a unit, prose, or a product of variables.
    fn run(&mut self, run: &str) {
        if let Some(token) = words::keyword(run) {
            return self.push(token);
        }
        if words::is_word(run) {
            return self.push(Token::Word(run.to_owned()));
        }
        for letter in run.chars() {
            self.push(Token::Name(letter.to_string()));
        }
    }

    fn command(&mut self) -> Result<(), Stop> {
        self.at += 1;
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        if end == 0 {
            let Some(c) = self.peek() else { return Ok(()) };
            self.at += c.len_utf8();
            match c {
                '{' => self.push(Token::Punct('⟨')),
                '}' => self.push(Token::Punct('⟩')),
                '%' | '|' | '_' | '&' => self.push(Token::Punct(c)),
                '\\' => self.push(Token::Punct('⏎')),
                '$' | '#' | '!' | ',' | ';' | ':' | ' ' | '(' | ')' | '[' | ']' | '\n' | '>' => {
                    self.space = true;
                }
                _ => return invalid(format!("unknown command \\{c}")),
            }
            return Ok(());
        }
        let name = &rest[..end];
        self.at += end;
        self.named(name)
    }

    fn named(&mut self, name: &str) -> Result<(), Stop> {
        if words::IGNORED.contains(&name) {
            self.space = true;
            return Ok(());
        }
        if words::TEXT.contains(&name) {
            return self.prose();
        }
        if let Some(token) = command(name) {
            self.push(token);
            return Ok(());
        }
        if matches!(name, "begin" | "end") {
            let environment = self.group().unwrap_or("");
            if environment.trim_end_matches('*').ends_with("matrix") || environment == "array" {
                if environment == "array" && name == "begin" {
                    self.group(); // column specification
                }
                self.push(if name == "begin" {
                    Token::BeginMatrix
                } else {
                    Token::EndMatrix
                });
                return Ok(());
            }
            return invalid(format!("unknown environment {environment}"));
        }
        if name == "mathbb" {
            let set = self.group().unwrap_or("");
            self.push(Token::Name(format!("\\mathbb{{{set}}}")));
            return Ok(());
        }
        if let Some(greek) = words::greek(name) {
            self.push(Token::Name(greek.to_owned()));
            return Ok(());
        }
        match Function::from_name(name) {
            Some(function) => {
                self.push(Token::Function(function));
                Ok(())
            }
            None => invalid(format!("unknown command \\{}", shorten(name))),
        }
    }

    /// Content of the `{…}` that stands here.
    fn group(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let inner = rest.trim_start().strip_prefix('{')?;
        let end = inner.find(['{', '}'])?;
        if !inner[end..].starts_with('}') {
            return None;
        }
        self.at += rest.len() - inner.len() + end + 1;
        Some(&inner[..end])
    }

    /// `\text{…}`: prose, unless it wraps mathematics.
    fn prose(&mut self) -> Result<(), Stop> {
        let Some(content) = self.group() else {
            return Ok(()); // `\text` with no plain group: read on, its braces group
        };
        let plain = content.trim();
        self.space |= content.starts_with(' ');
        if plain.chars().all(|c| c.is_ascii_alphabetic()) {
            match (plain.len(), words::keyword(plain)) {
                (0, _) => self.space = true,
                (_, Some(token)) => self.push(token),
                (1, _) => self.push(Token::Name(plain.to_owned())),
                _ => self.push(Token::Word(plain.to_owned())),
            }
            return Ok(());
        }
        if plain.chars().any(|c| c.is_alphabetic()) {
            for word in plain.split_whitespace() {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                match words::keyword(word) {
                    Some(token) => self.push(token),
                    None if word.is_empty() => {}
                    None if word.len() == 1 => self.push(Token::Name(word.to_owned())),
                    None => self.push(Token::Word(word.to_owned())),
                }
                self.space = true;
            }
            return Ok(());
        }
        // Digits and signs only: mathematics in upright type.
        let outer = std::mem::replace(
            self,
            Lexer {
                text: content,
                at: 0,
                space: self.space,
                brackets: self.brackets,
                out: Vec::new(),
            },
        );
        let inner = std::mem::replace(self, outer);
        self.out.extend(inside(inner)?);
        Ok(())
    }
}

fn inside(mut lexer: Lexer<'_>) -> Result<Vec<Spaced>, Stop> {
    while let Some(c) = lexer.peek() {
        if c == '\\' && lexer.rest()[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            return invalid("a command inside \\text");
        }
        lexer.step(c)?;
    }
    Ok(lexer.out)
}

fn shorten(name: &str) -> &str {
    &name[..name.len().min(20)]
}
