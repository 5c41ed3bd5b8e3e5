//! What the lexer hands to the parser.

use super::expr::{Decimal, Function, Order};
use super::words;

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

/// The token of a single character.
pub(super) fn single(c: char) -> Option<Token> {
    Some(match c {
        '+' | '/' | '^' | '_' | '!' | '%' | '|' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}'
        | '\'' | '&' | '±' | '∓' | '°' | '⌊' | '⌋' | '⌈' | '⌉' => Token::Punct(c),
        '-' | '−' | '–' | '—' | '﹣' | '－' => Token::Punct('-'),
        '×' | '·' | '⋅' | '∗' | '∙' => Token::Punct('*'),
        '÷' | '∶' | ':' => Token::Punct('/'),
        '（' => Token::Punct('('),
        '）' => Token::Punct(')'),
        '，' | '、' => Token::Punct(','),
        '′' | '’' => Token::Punct('\''),
        '∘' | 'º' => Token::Punct('°'),
        '≤' | '⩽' => Token::Relation(Order::LessEqual),
        '≥' | '⩾' => Token::Relation(Order::GreaterEqual),
        '<' => Token::Relation(Order::Less),
        '>' => Token::Relation(Order::Greater),
        '≠' => Token::Relation(Order::NotEqual),
        '=' | '≈' | '≡' => Token::Relation(Order::Equal),
        'π' => Token::Pi,
        '∞' => Token::Infinity,
        '√' => Token::Sqrt,
        '∪' => Token::Cup,
        '∈' => Token::In,
        '∅' => Token::EmptySet,
        c => match words::greek_letter(c) {
            Some(name) => Token::Name(name.to_owned()),
            None => return None,
        },
    })
}

/// The token of a LaTeX command that is neither text nor a function.
pub(super) fn command(name: &str) -> Option<Token> {
    Some(match name {
        "frac" | "dfrac" | "tfrac" | "cfrac" => Token::Frac,
        "sqrt" => Token::Sqrt,
        "binom" | "dbinom" | "tbinom" => Token::Binom,
        "pi" => Token::Pi,
        "infty" | "infin" => Token::Infinity,
        "cdot" | "times" | "ast" | "bullet" => Token::Punct('*'),
        "div" | "colon" => Token::Punct('/'),
        "pm" => Token::Punct('±'),
        "mp" => Token::Punct('∓'),
        "circ" | "degree" => Token::Punct('°'),
        "prime" => Token::Punct('\''),
        "langle" => Token::Punct('('),
        "rangle" => Token::Punct(')'),
        "lbrace" => Token::Punct('⟨'),
        "rbrace" => Token::Punct('⟩'),
        "lbrack" => Token::Punct('['),
        "rbrack" => Token::Punct(']'),
        "lfloor" => Token::Punct('⌊'),
        "rfloor" => Token::Punct('⌋'),
        "lceil" => Token::Punct('⌈'),
        "rceil" => Token::Punct('⌉'),
        "lvert" | "rvert" | "vert" | "mid" => Token::Punct('|'),
        "le" | "leq" | "leqslant" => Token::Relation(Order::LessEqual),
        "ge" | "geq" | "geqslant" => Token::Relation(Order::GreaterEqual),
        "lt" => Token::Relation(Order::Less),
        "gt" => Token::Relation(Order::Greater),
        "ne" | "neq" => Token::Relation(Order::NotEqual),
        "approx" | "equiv" | "sim" => Token::Relation(Order::Equal),
        "in" => Token::In,
        "cup" => Token::Cup,
        "emptyset" | "varnothing" => Token::EmptySet,
        "imath" | "mathi" => Token::Name("i".into()),
        "lor" | "vee" | "land" | "wedge" => Token::And,
        _ => return None,
    })
}
