//! What the lexer hands to the parser.

use super::expr::{Decimal, Function, Order};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `12`, `1,234.5`, `1.5e-3`.
    Number(Decimal),
    /// `0.\overline{3}`: the decimal and the digits that repeat.
    Repeating(Decimal, String),
    /// A variable: one letter or a Greek name.
    Name(String),
    Pi,
    Infinity,
    Function(Function),
    Frac,
    Sqrt,
    Binom,
    /// A unit or prose: `\text{…}` or a run of letters that is no product of variables.
    Word(String),
    /// `and`, `or`.
    And,
    Relation(Order),
    /// `\in`.
    In,
    /// `\cup`.
    Cup,
    EmptySet,
    /// `+ - * / ^ _ ! % ° ± ∓ | , ; ( ) [ ] ' &`, `{ }` for LaTeX groups, `⟨ ⟩` for `\{ \}`,
    /// `⌊ ⌋ ⌈ ⌉`, `⏎` for `\\`.
    Punct(char),
    BeginMatrix,
    EndMatrix,
}

/// A token and whether white space stands before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spaced {
    pub(super) token: Token,
    pub(super) space: bool,
}

impl Spaced {
    pub(super) fn is(&self, punct: char) -> bool {
        self.token == Token::Punct(punct)
    }
}
