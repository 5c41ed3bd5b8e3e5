//! Letters: which runs are functions, constants, decoration or products of variables.

use super::expr::Function;
use super::greek::greek;
use super::token::Token;

/// Commands that only space, size or decorate.
pub(super) const IGNORED: &[&str] = &[
    "left",
    "right",
    "middle",
    "displaystyle",
    "textstyle",
    "scriptstyle",
    "quad",
    "qquad",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "limits",
    "nolimits",
    "boxed",
    "fbox",
    "framebox",
    "ensuremath",
    "thinspace",
    "enspace",
    "space",
    "hfill",
    "nonumber",
    "underline",
    "bf",
    "rm",
    "it",
    "sf",
    "tt",
    "tiny",
    "small",
    "normalsize",
    "large",
    "Large",
    "LARGE",
    "huge",
    "Huge",
    "therefore",
    "checkmark",
    "bfseries",
    "itshape",
    "noindent",
    "centering",
    "newline",
    "mathstrut",
    "strut",
    "allowbreak",
    "cancel",
    "because",
    "square",
    "blacksquare",
    "footnotesize",
];

/// Commands that are dropped with the argument that follows: a colour, a width.
pub(super) const WITH_ARGUMENT: &[&str] = &[
    "textcolor",
    "color",
    "colorbox",
    "hspace",
    "vspace",
    "phantom",
    "hphantom",
    "vphantom",
    "tag",
    "label",
    "fontsize",
];

/// Commands whose argument is text.
pub(super) const TEXT: &[&str] = &[
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsf",
    "texttt",
    "textnormal",
    "textup",
    "textsc",
    "mathrm",
    "mathbf",
    "mathit",
    "mathsf",
    "mathtt",
    "mathcal",
    "mathnormal",
    "mbox",
    "hbox",
    "emph",
    "operatorname",
    "boldsymbol",
    "bm",
    "pmb",
    "vec",
    "overrightarrow",
    "unit",
    "ce",
    "pu",
    "uline",
    "mathring",
];

/// Commands that make another name of the one that they decorate.
pub(super) const ACCENTS: &[&str] = &[
    "overline",
    "bar",
    "hat",
    "widehat",
    "tilde",
    "widetilde",
    "overleftrightarrow",
    "dot",
    "ddot",
    "overarc",
    "wideparen",
    "arc",
];

/// Functions, constants and connectives by their plain names.
pub(super) fn keyword(run: &str) -> Option<Token> {
    if let Some(function) = Function::from_name(run) {
        return Some(Token::Function(function));
    }
    Some(match run {
        "pi" | "Pi" => Token::Pi,
        "inf" | "infty" | "infinity" | "Infinity" | "oo" => Token::Infinity,
        "sqrt" => Token::Sqrt,
        "and" | "or" | "或" | "和" => Token::And,
        "percent" | "percents" | "pct" => Token::Punct('%'),
        "degrees" | "degree" | "deg" | "Degrees" | "度" => Token::Punct('°'),
        "USD" | "US" => Token::Currency("$"),
        "GBP" => Token::Currency("£"),
        "EUR" => Token::Currency("€"),
        "RMB" | "CNY" => Token::Currency("¥"),
        "INR" | "Rs" => Token::Currency("₹"),
        _ => {
            return greek(run)
                .filter(|_| run.len() > 2)
                .map(|name| Token::Name(name.into()));
        }
    })
}

/// Whether `c` is a Chinese character (or another of the scripts that are written without blanks).
pub(super) fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{3005}' | '\u{3040}'..='\u{30ff}')
}

/// Whether a run that stands alone is a product: two small letters that are no word, or three
/// without a vowel (`lwh`), or of the letters a, b, c and x, y, z.
pub(super) fn is_product(run: &str) -> bool {
    let among = |letters: &str| run.chars().all(|c| letters.contains(c));
    match run.len() {
        2 => run.bytes().all(|b| b.is_ascii_lowercase()) && !SHORT_WORDS.contains(&run),
        3 => {
            run.bytes().all(|b| b.is_ascii_lowercase())
                && (!run.contains(['a', 'e', 'i', 'o', 'u', 'y']) || among("abc") || among("xyz"))
        }
        _ => false,
    }
}

/// Words of two letters.
const SHORT_WORDS: &[&str] = &[
    "no", "is", "to", "of", "am", "pm", "up", "on", "in", "at", "by", "it", "he", "we", "me", "my",
    "us", "so", "go", "do", "if", "as", "be", "an", "ok", "id", "tv", "la", "le", "el", "de", "si",
    "ja", "ne", "hi", "oh", "ox", "ad", "pi", "cm", "mm", "km", "kg", "mg", "ft", "yd", "mi", "oz",
    "lb", "hr", "ms", "ml", "et", "un", "du", "en", "se", "uh", "ah", "ax", "st", "nd", "rd", "th",
    "sq", "cu",
];
