//! What the lexer hands to the parser.

use super::expr::{Decimal, Function, Order};
use super::greek;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `12`, `1,234.5`, `1.5e-3`.
    Number(Decimal),
    /// `0.\overline{3}`: the decimal and the digits that repeat.
    Repeating(Decimal, String),
    /// A variable: one letter, a Greek name, a letter with an accent.
    Name(String),
    Pi,
    Infinity,
    Function(Function),
    Frac,
    Sqrt,
    Binom,
    /// `\over` and `\choose`: between two halves of a group.
    Over,
    Choose,
    /// `\root n \of x`.
    Root,
    Of,
    /// Two letters or more that are neither function nor constant: a unit, prose, or a product.
    Word(String),
    /// `$`, `£`.
    Currency(&'static str),
    /// `...`
    Ellipsis,
    /// `and`, `or`.
    And,
    Relation(Order),
    /// `\in`.
    In,
    /// `\cup`.
    Cup,
    /// `\setminus`.
    Minus,
    EmptySet,
    /// `+ - * / ^ _ ! % ° ± ∓ | , ; : ( ) [ ] ' " &`, `{ }` for LaTeX groups, `⟨ ⟩` for `\{ \}`,
    /// `⌊ ⌋ ⌈ ⌉`, `⏎` for `\\`.
    Punct(char),
    BeginMatrix,
    EndMatrix,
    /// A sign or command that we do not know.
    Symbol(String),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spaced {
    pub(super) token: Token,
    /// White space stands before it.
    pub(super) space: bool,
    /// It stands in `\text{…}`.
    pub(super) upright: bool,
    /// Its first byte and the byte after it.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Spaced {
    pub(super) fn is(&self, punct: char) -> bool {
        self.token == Token::Punct(punct)
    }

    /// The word, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.token, Token::Number(_) | Token::Repeating(..))
    }

    /// Another token in its place.
    pub(super) fn with(&self, token: Token) -> Self {
        Self {
            token,
            ..self.clone()
        }
    }
}

/// The token of a single character.
pub(super) fn single(c: char) -> Option<Token> {
    Some(match c {
        '+' | '/' | '^' | '_' | '!' | '%' | '|' | ',' | ';' | ':' | '(' | ')' | '[' | ']' | '{'
        | '}' | '\'' | '"' | '&' | '±' | '∓' | '°' | '⌊' | '⌋' | '⌈' | '⌉' | '-' => {
            Token::Punct(c)
        }
        '≤' | '⩽' => Token::Relation(Order::LessEqual),
        '≥' | '⩾' => Token::Relation(Order::GreaterEqual),
        '<' => Token::Relation(Order::Less),
        '>' => Token::Relation(Order::Greater),
        '≠' => Token::Relation(Order::NotEqual),
        '=' | '≡' => Token::Relation(Order::Equal),
        '≈' | '≃' | '≒' => Token::Relation(Order::Approximate),
        'π' => Token::Pi,
        '∞' => Token::Infinity,
        '√' => Token::Sqrt,
        '∪' => Token::Cup,
        '∈' => Token::In,
        '∅' | 'Ø' => Token::EmptySet,
        c => match greek::greek_letter(c) {
            Some(name) => Token::Name(name.to_owned()),
            None => return None,
        },
    })
}

/// The token of a LaTeX command that is neither text nor a function.
pub(super) fn command(name: &str) -> Option<Token> {
    Some(match name {
        "frac" | "dfrac" | "tfrac" | "cfrac" => Token::Frac,
        "over" => Token::Over,
        "choose" => Token::Choose,
        "root" => Token::Root,
        "of" => Token::Of,
        "sqrt" => Token::Sqrt,
        "binom" | "dbinom" | "tbinom" => Token::Binom,
        "pi" => Token::Pi,
        "infty" | "infin" => Token::Infinity,
        "cdot" | "times" | "ast" | "bullet" => Token::Punct('*'),
        "div" => Token::Punct('/'),
        "colon" => Token::Punct(':'),
        "pm" => Token::Punct('±'),
        "mp" => Token::Punct('∓'),
        "circ" | "degree" | "textdegree" => Token::Punct('°'),
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
        "le" | "leq" | "leqslant" | "leqq" => Token::Relation(Order::LessEqual),
        "ge" | "geq" | "geqslant" | "geqq" => Token::Relation(Order::GreaterEqual),
        "lt" => Token::Relation(Order::Less),
        "gt" => Token::Relation(Order::Greater),
        "ne" | "neq" => Token::Relation(Order::NotEqual),
        "equiv" => Token::Relation(Order::Equal),
        "approx" | "simeq" | "doteq" | "thickapprox" => Token::Relation(Order::Approximate),
        "in" => Token::In,
        "cup" => Token::Cup,
        "setminus" | "backslash" | "smallsetminus" => Token::Minus,
        "emptyset" | "varnothing" => Token::EmptySet,
        "imath" | "mathi" => Token::Name("i".into()),
        "lor" | "vee" | "land" | "wedge" => Token::And,
        "ldots" | "dots" | "cdots" | "dotsc" | "dotsb" => Token::Ellipsis,
        "pounds" | "textsterling" => Token::Currency("£"),
        "euro" | "texteuro" => Token::Currency("€"),
        "yen" | "textyen" => Token::Currency("¥"),
        "dollar" | "textdollar" => Token::Currency("$"),
        "cent" | "textcent" => Token::Word("¢".into()),
        "ohm" => Token::Name("Omega".into()),
        "triangle" => Token::Word("triangle".into()),
        "angle" | "measuredangle" => Token::Word("angle".into()),
        "textpercent" => Token::Punct('%'),
        _ => return None,
    })
}
