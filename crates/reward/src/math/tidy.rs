//! Words that are mathematics, made into it: `minus 5`, `forty-two`, `square root of 16`, `12th`,
//! `20 degrees Celsius`, `五`, `百分之五`.
//!
//! One pass over the tokens, each looking back at most [`MAX_HEAD`] words.

use super::expr::{Decimal, Expr};
use super::numerals;
use super::phrases;
use super::token::{Spaced, Token};
use super::units;
use super::words;

/// Most words of an introduction.
const MAX_HEAD: usize = 16;

/// Rewrites the tokens of an answer.
pub(super) fn tidy(tokens: Vec<Spaced>) -> Vec<Spaced> {
    let mut tidy = Tidy {
        tokens: &tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len()),
    };
    while tidy.at < tokens.len() {
        tidy.step();
    }
    tidy.out
}

struct Tidy<'a> {
    tokens: &'a [Spaced],
    at: usize,
    out: Vec<Spaced>,
}

impl Tidy<'_> {
    fn step(&mut self) {
        let here = &self.tokens[self.at];
        let used = match &here.token {
            Token::Word(word) if word.starts_with(words::is_chinese) => {
                self.chinese(here, word);
                1
            }
            Token::Word(word) => self.word(here, &word.to_ascii_lowercase()),
            Token::Punct('^') => self.raised(here),
            Token::Punct('°') => self.degrees(here),
            _ => 0,
        };
        if used > 0 {
            self.at += used;
        } else {
            self.out.push(here.clone());
            self.at += 1;
        }
    }

    fn word_at(&self, offset: usize) -> Option<&str> {
        self.tokens.get(self.at + offset)?.word()
    }

    fn is_word(&self, offset: usize, words: &[&str]) -> bool {
        self.word_at(offset)
            .is_some_and(|word| words.iter().any(|known| known.eq_ignore_ascii_case(word)))
    }

    /// Whether an operand may begin here: at the start, after an introduction, sign or bracket.
    fn begins(&self) -> bool {
        let mut head: Vec<&str> = self
            .out
            .iter()
            .rev()
            .take(MAX_HEAD)
            .map_while(Spaced::word)
            .collect();
        head.reverse();
        let before = self.out.len().checked_sub(head.len() + 1);
        let open = before.is_none_or(|at| match &self.out[at].token {
            Token::Punct(c) => matches!(
                c,
                ',' | ';' | ':' | '(' | '[' | '{' | '⟨' | '+' | '-' | '*' | '/' | '±'
            ),
            Token::And | Token::Relation(_) | Token::In | Token::Currency(_) | Token::Sqrt => true,
            _ => false,
        });
        open && (head.is_empty() || phrases::introduces(&head))
    }

    /// Whether an operand has just ended.
    fn ended(&self) -> bool {
        self.out.last().is_some_and(|before| match &before.token {
            Token::Number(_) | Token::Repeating(..) | Token::Name(_) | Token::Pi => true,
            Token::Punct(c) => matches!(c, ')' | '}' | ']' | '!' | '%' | '°'),
            _ => false,
        })
    }

    /// Whether the token there begins an operand.
    fn operand(&self, offset: usize) -> bool {
        self.tokens
            .get(self.at + offset)
            .is_some_and(|next| match &next.token {
                Token::Word(word) => numerals::english(&[word]).is_some(),
                Token::Punct(c) => matches!(c, '(' | '{' | '-' | '[' | '|'),
                Token::Number(_)
                | Token::Repeating(..)
                | Token::Name(_)
                | Token::Pi
                | Token::Frac
                | Token::Sqrt
                | Token::Currency(_)
                | Token::Infinity
                | Token::Function(_) => true,
                _ => false,
            })
    }

    /// How many tokens were rewritten; none: it is an ordinary word.
    fn word(&mut self, here: &Spaced, word: &str) -> usize {
        let joined =
            self.out.last().is_some_and(Spaced::is_number) && (!here.space || here.upright);
        if joined && matches!(word, "st" | "nd" | "rd" | "th") {
            return 1;
        }
        if word == "per" && self.is_word(1, &["cent"]) && self.ended() {
            return self.put(here, 2, [Token::Punct('%')]);
        }
        if matches!(word, "minus" | "negative")
            && self.operand(1)
            && (self.begins() || (word == "minus" && self.ended()))
        {
            return self.put(here, 1, [Token::Punct('-')]);
        }
        if self.ended() {
            let sign = match word {
                "plus" => Some(('+', 1)),
                "times" => Some(('*', 1)),
                "divided" if self.is_word(1, &["by"]) => Some(('/', 2)),
                "multiplied" if self.is_word(1, &["by"]) => Some(('*', 2)),
                "out"
                    if self
                        .tokens
                        .get(self.at + 1)
                        .is_some_and(|next| next.word() == Some("of")) =>
                {
                    Some(('/', 2))
                }
                _ => None,
            };
            if let Some((sign, used)) = sign.filter(|&(_, used)| self.operand(used)) {
                return self.put(here, used, [Token::Punct(sign)]);
            }
            let power = match word {
                "squared" => "2",
                "cubed" => "3",
                _ => "",
            };
            if !power.is_empty() {
                let two = Token::Number(Decimal::integer(power));
                return self.put(here, 1, [Token::Punct('^'), two]);
            }
        }
        if matches!(word, "square" | "cube")
            && self.is_word(1, &["root"])
            && self.is_word(2, &["of"])
            && self.begins()
        {
            let index = ["[", "3", "]"];
            return match word {
                "square" => self.put(here, 3, [Token::Sqrt]),
                _ => self.put(
                    here,
                    3,
                    [
                        Token::Sqrt,
                        Token::Punct('['),
                        Token::Number(Decimal::integer(index[1])),
                        Token::Punct(']'),
                    ],
                ),
            };
        }
        self.numeral(here)
    }

    fn put<const N: usize>(&mut self, here: &Spaced, used: usize, tokens: [Token; N]) -> usize {
        self.out
            .extend(tokens.into_iter().map(|token| here.with(token)));
        used
    }

    /// `forty-two`, `two thirds`: words with hyphens between them.
    fn numeral(&mut self, here: &Spaced) -> usize {
        if self
            .word_at(0)
            .and_then(|word| numerals::english(&[word]))
            .is_none()
        {
            return 0;
        }
        let mut words = Vec::new();
        let mut ends = Vec::new();
        let mut offset = 0;
        while words.len() < 12 {
            let Some(word) = self.word_at(offset) else {
                break;
            };
            words.push(word.to_owned());
            offset += 1;
            ends.push(offset);
            if self
                .tokens
                .get(self.at + offset)
                .is_some_and(|next| next.is('-'))
                && self.word_at(offset + 1).is_some()
            {
                offset += 1;
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((expr, used)) = numerals::english(&words) else {
            return 0;
        };
        // `One Way`, `Five Guys` are names.
        let capital = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
        let title = capital(words[0]) && words.get(used).is_some_and(|next| capital(next));
        if title || !self.begins() {
            return 0;
        }
        self.expression(here, &expr);
        ends.get(used - 1).copied().unwrap_or(used)
    }

    fn expression(&mut self, here: &Spaced, expr: &Expr) {
        match expr {
            Expr::Number(number) => {
                self.out.push(here.with(Token::Number(number.clone())));
            }
            Expr::Quotient(a, b) => {
                self.out.push(here.with(Token::Punct('(')));
                self.expression(here, a);
                self.out.push(here.with(Token::Punct('/')));
                self.expression(here, b);
                self.out.push(here.with(Token::Punct(')')));
            }
            _ => {}
        }
    }

    /// `12^{th}`, `60^o`, `60^{\circ}`.
    fn raised(&mut self, here: &Spaced) -> usize {
        let braced = self
            .tokens
            .get(self.at + 1)
            .is_some_and(|next| next.is('{'));
        let at = self.at + 1 + usize::from(braced);
        let closed = !braced || self.tokens.get(at + 1).is_some_and(|next| next.is('}'));
        let number = self.out.last().is_some_and(Spaced::is_number);
        if !closed {
            return 0;
        }
        let used = if braced { 4 } else { 2 };
        match self.tokens.get(at).map(|next| &next.token) {
            Some(Token::Word(word))
                if number && matches!(word.as_str(), "st" | "nd" | "rd" | "th") =>
            {
                used
            }
            Some(Token::Name(name)) if number && name == "o" => {
                self.put(here, used, [Token::Punct('°')])
            }
            Some(Token::Punct('°')) => {
                // What follows the sign may be the scale of a temperature.
                self.at += used - 1;
                let scale = self.degrees(here);
                if scale == 0 {
                    self.out.push(here.with(Token::Punct('°')));
                    return 1;
                }
                scale
            }
            _ => 0,
        }
    }

    /// `°C`, `degrees Celsius`: a unit of temperature.
    fn degrees(&mut self, here: &Spaced) -> usize {
        let scale = match self.tokens.get(self.at + 1).map(|next| &next.token) {
            Some(Token::Name(name)) if name == "C" => "°C",
            Some(Token::Name(name)) if name == "F" => "°F",
            Some(Token::Word(word))
                if word.eq_ignore_ascii_case("celsius")
                    || word.eq_ignore_ascii_case("centigrade") =>
            {
                "°C"
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("fahrenheit") => "°F",
            _ => return 0,
        };
        if !self
            .out
            .last()
            .is_some_and(|last| last.is_number() || matches!(last.token, Token::Punct('}' | ')')))
        {
            return 0;
        }
        let mut unit = here.with(Token::Word(scale.into()));
        unit.space = true;
        self.out.push(unit);
        2
    }

    /// Chinese has no blanks: an introduction, a number and a unit are one run.
    fn chinese(&mut self, here: &Spaced, word: &str) {
        let first = self.out.last().is_none_or(|before| {
            matches!(
                before.token,
                Token::Punct(',' | ';' | ':' | '(') | Token::And | Token::Relation(_)
            )
        });
        let text = if first
            && self.at + 1 < self.tokens.len()
            && phrases::CHINESE_INTRODUCTIONS.contains(&word)
        {
            ""
        } else if first {
            phrases::without_introduction(word)
        } else {
            word
        };
        let (text, percent) = match text.strip_prefix("百分之") {
            Some(rest) if first => (rest, true),
            _ => (text, false),
        };
        if percent
            && text.is_empty()
            && let Some(number) = self.tokens.get(self.at + 1).filter(|next| next.is_number())
        {
            self.out.push(number.clone());
            self.out.push(here.with(Token::Punct('%')));
            self.at += 1;
            return;
        }
        let mut text = text;
        if first && let Some((expr, used)) = numerals::chinese(text) {
            let rest = &text[used..];
            if rest.is_empty()
                || units::unit(rest).is_some()
                || units::is_counter(rest)
                || matches!(rest, "度" | "号")
            {
                self.expression(here, &expr);
                text = rest;
            }
        }
        if percent {
            self.out.push(here.with(Token::Punct('%')));
        }
        match text {
            "" => {}
            "度" => self.out.push(here.with(Token::Punct('°'))),
            rest => self.out.push(here.with(Token::Word(rest.to_owned()))),
        }
    }
}
