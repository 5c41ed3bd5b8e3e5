//! LaTeX or plain text into tokens: one pass, no look-behind beyond a token.
//!
//! Nothing is refused for a name or a sign that is unknown: it becomes a [`Token::Symbol`], which
//! no expression contains, so that the answer is compared as text. Only braces that do not match
//! make a text unreadable.

use super::budget::{Budget, Stop, invalid};
use super::expr::{Function, Order};
use super::token::{Spaced, Token, command, single};
use super::{greek, words};

/// Splits `text`; every byte is a step.
pub(super) fn tokens(text: &str, budget: &mut Budget) -> Result<Vec<Spaced>, Stop> {
    budget.spend(text.len())?;
    let mut lexer = Lexer {
        text,
        at: 0,
        from: 0,
        space: false,
        brackets: 0,
        depth: 0,
        upright: Vec::new(),
        dollars_delimit: text.matches('$').count().is_multiple_of(2),
        out: Vec::new(),
    };
    while let Some(c) = lexer.peek() {
        lexer.from = lexer.at;
        lexer.step(c)?;
    }
    if !lexer.upright.is_empty() {
        return invalid("a brace is not closed");
    }
    Ok(lexer.out)
}

pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// Where the token that is being read begins.
    from: usize,
    space: bool,
    /// Open `(`, `[` and `\{`: inside them a comma separates, outside it may group thousands.
    pub(super) brackets: usize,
    /// Open braces.
    depth: usize,
    /// Depths of the braces of `\text{…}` that are open: what stands in them is upright.
    upright: Vec<usize>,
    /// `$` stands in pairs around mathematics; otherwise it is the currency.
    dollars_delimit: bool,
    out: Vec<Spaced>,
}

impl<'a> Lexer<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn push(&mut self, token: Token) {
        match token {
            Token::Punct('(' | '[' | '⟨') => self.brackets += 1,
            Token::Punct(')' | ']' | '⟩') => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        let space = std::mem::take(&mut self.space);
        self.out.push(Spaced {
            token,
            space,
            upright: !self.upright.is_empty(),
            from: self.from,
            to: self.at,
        });
    }

    fn step(&mut self, c: char) -> Result<(), Stop> {
        if c.is_ascii_digit()
            || (c == '.' && self.rest()[1..].starts_with(|d: char| d.is_ascii_digit()))
        {
            self.number();
            return Ok(());
        }
        if c == '\\' {
            return self.command();
        }
        if c.is_alphabetic() && single(c).is_none() {
            self.letters(c);
            return Ok(());
        }
        self.at += c.len_utf8();
        match c {
            c if c.is_whitespace() => self.space = true,
            '~' => self.space = true,
            '$' if self.dollars_delimit => self.space |= self.upright.is_empty(),
            '$' => self.push(Token::Currency("$")),
            '£' => self.push(Token::Currency("£")),
            '€' => self.push(Token::Currency("€")),
            '¥' | '￥' => self.push(Token::Currency("¥")),
            '₹' => self.push(Token::Currency("₹")),
            '₩' => self.push(Token::Currency("₩")),
            '¢' => self.push(Token::Word("¢".into())),
            '{' => {
                self.depth += 1;
                self.push(Token::Punct('{'));
            }
            '}' => self.close(),
            '*' if self.rest().starts_with('*') => {
                self.at += 1;
                self.push(Token::Punct('^'));
            }
            '*' => self.push(Token::Punct('*')),
            '+' => self.plus(),
            '<' | '>' | '=' | '!' if self.rest().starts_with('=') => {
                self.at += 1;
                self.push(Token::Relation(match c {
                    '<' => Order::LessEqual,
                    '>' => Order::GreaterEqual,
                    '!' => Order::NotEqual,
                    _ => Order::Equal,
                }));
            }
            '.' if self.rest().starts_with("..") => {
                self.at += 2;
                self.push(Token::Ellipsis);
            }
            '.' => {} // a full stop; decimal points belong to numbers
            _ => self.push(single(c).unwrap_or_else(|| Token::Symbol(c.to_string()))),
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.upright.last() == Some(&self.depth) && self.depth > 0 {
            self.upright.pop();
        } else {
            self.push(Token::Punct('}'));
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// `+/-` is ±, and so is `+-` where an operand begins.
    fn plus(&mut self) {
        let begins = self.out.last().is_none_or(|before| {
            matches!(
                before.token,
                Token::Relation(_)
                    | Token::And
                    | Token::In
                    | Token::Punct(',' | ';' | '(' | '{' | '⟨')
            )
        });
        let mark = if self.rest().starts_with("/-") {
            2
        } else if begins && self.rest().starts_with('-') {
            1
        } else {
            0
        };
        self.at += mark;
        self.push(Token::Punct(if mark > 0 { '±' } else { '+' }));
    }

    fn letters(&mut self, first: char) {
        let rest = self.rest();
        let chinese = words::is_chinese(first);
        let end = rest
            .find(|c: char| {
                if chinese {
                    !words::is_chinese(c)
                } else {
                    !c.is_alphabetic() || words::is_chinese(c) || greek::greek_letter(c).is_some()
                }
            })
            .unwrap_or(rest.len());
        // A letter that is also the sign of something (π) was taken before.
        self.at += end.max(first.len_utf8());
        self.run(&rest[..end]);
    }

    /// A run of letters: a function, a constant, a word, or (as `value` decides) a product.
    fn run(&mut self, run: &str) {
        let upright = !self.upright.is_empty();
        if !upright && matches!(run, "x" | "X") && self.is_times() {
            return self.push(Token::Punct('*'));
        }
        let before = self.out.last().map(|spaced| &spaced.token);
        if run == "U" && matches!(before, Some(Token::Punct(')' | ']'))) {
            return self.push(Token::Cup);
        }
        // `5 sec` is no secant.
        let second = run == "sec"
            && matches!(before, Some(Token::Number(_)))
            && !self
                .rest()
                .trim_start()
                .starts_with(|c: char| c.is_alphanumeric() || "\\(^{".contains(c));
        if let Some(token) = words::keyword(run).filter(|_| !second) {
            return self.push(token);
        }
        let mut chars = run.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if c.is_ascii() => self.push(Token::Name(run.to_owned())),
            _ => self.push(Token::Word(run.to_owned())),
        }
    }

    /// `4.5 x 10^3`, `2 x 3`: a sign between two numbers.
    fn is_times(&self) -> bool {
        let after = self.rest().trim_start_matches(' ');
        matches!(
            self.out.last().map(|spaced| &spaced.token),
            Some(Token::Number(_))
        ) && after.starts_with(|c: char| c.is_ascii_digit())
            && (after.starts_with("10^") || (self.space && self.rest().starts_with(' ')))
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
                '%' | '_' | '&' => self.push(Token::Punct(c)),
                '|' => self.push(Token::Punct('|')),
                '\\' => self.push(Token::Punct('⏎')),
                '$' => self.push(Token::Currency("$")),
                '#' | '!' | ',' | ';' | ':' | ' ' | '(' | ')' | '[' | ']' | '\n' | '>' | '/' => {
                    self.space = true;
                }
                _ => self.push(Token::Symbol(format!("\\{c}"))),
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
        if words::WITH_ARGUMENT.contains(&name) {
            self.group();
            self.space = true;
            return Ok(());
        }
        if words::TEXT.contains(&name) {
            self.text(name);
            return Ok(());
        }
        if words::ACCENTS.contains(&name) {
            self.accent(name);
            return Ok(());
        }
        if let Some(token) = command(name) {
            self.push(token);
            return Ok(());
        }
        if matches!(name, "begin" | "end") {
            self.environment(name == "begin");
            return Ok(());
        }
        if name == "mathbb" || name == "Bbb" {
            let set = self.group().unwrap_or("");
            self.push(Token::Name(format!("\\mathbb{{{set}}}")));
            return Ok(());
        }
        if let Some(greek) = greek::greek(name) {
            self.push(Token::Name(greek.to_owned()));
            return Ok(());
        }
        self.push(match Function::from_name(name) {
            Some(function) => Token::Function(function),
            None => Token::Symbol(format!("\\{}", shorten(name))),
        });
        Ok(())
    }

    fn environment(&mut self, begin: bool) {
        let name = self.group().unwrap_or("").trim_end_matches('*');
        if name == "array" && begin {
            self.group(); // column specification
        }
        match name {
            "matrix" | "pmatrix" | "bmatrix" | "Bmatrix" | "smallmatrix" | "psmallmatrix"
            | "bsmallmatrix" | "array" => self.push(if begin {
                Token::BeginMatrix
            } else {
                Token::EndMatrix
            }),
            "equation" | "align" | "aligned" | "gathered" | "gather" | "split" | "math"
            | "displaymath" | "center" => self.space = true,
            _ => {
                let mark = if begin { "begin" } else { "end" };
                self.push(Token::Symbol(format!("\\{mark}{{{}}}", shorten(name))));
            }
        }
    }

    /// Content of the `{…}` without braces inside that stands here.
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

    /// `\text{…}`: what is inside is read on, upright. A bold i, j, k is a unit vector, a bold R the
    /// real numbers.
    fn text(&mut self, name: &str) {
        let here = self.at;
        if matches!(name, "mathbf" | "boldsymbol" | "bm" | "vec" | "textbf") {
            match self.group() {
                Some("i" | "\\imath") if name != "textbf" => return self.unit_vector("i"),
                Some("j" | "\\jmath") if name != "textbf" => return self.unit_vector("j"),
                Some("k") if name != "textbf" => return self.unit_vector("k"),
                Some(set @ ("R" | "Z" | "N" | "Q")) if name == "mathbf" => {
                    return self.push(Token::Name(format!("\\mathbb{{{set}}}")));
                }
                _ => self.at = here,
            }
        }
        let rest = self.rest();
        let after = rest.trim_start();
        if after.starts_with('{') {
            self.at += rest.len() - after.len() + 1;
            self.depth += 1;
            self.upright.push(self.depth);
        }
    }

    fn unit_vector(&mut self, name: &str) {
        self.push(Token::Name(format!("\\hat{{{name}}}")));
    }

    /// `\overline{AB}`, `\hat{i}`, `\bar{x}`: a name of its own.
    fn accent(&mut self, name: &str) {
        let here = self.at;
        let rest = self.rest();
        let plain = match self.group() {
            Some(inner) => inner,
            None => {
                let inner = rest.trim_start_matches([' ', '{']);
                let inner = ["\\mathbf{", "\\boldsymbol{", "\\mathrm{"]
                    .iter()
                    .find_map(|open| inner.strip_prefix(open))
                    .unwrap_or(inner);
                let name = inner.trim_start_matches('\\');
                let end = name
                    .find(|c: char| !c.is_ascii_alphabetic())
                    .unwrap_or(name.len());
                let end = if inner.starts_with('\\') {
                    end
                } else {
                    end.min(1)
                };
                let used = rest.len() - name.len() + end;
                let open = rest[..used].matches('{').count();
                let closing = rest[used..]
                    .bytes()
                    .take(open)
                    .take_while(|&b| b == b'}')
                    .count();
                if end == 0 || closing < open {
                    self.at = here;
                    return self.push(Token::Symbol(format!("\\{name}")));
                }
                self.at += used + closing;
                &name[..end]
            }
        };
        let plain = plain.trim().trim_start_matches('\\');
        let plain = match plain {
            "imath" => "i",
            "jmath" => "j",
            other => other,
        };
        if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) {
            self.at = here;
            return self.push(Token::Symbol(format!("\\{name}")));
        }
        self.push(Token::Name(format!("\\{name}{{{plain}}}")));
    }
}

fn shorten(name: &str) -> String {
    name.chars().take(20).collect()
}
