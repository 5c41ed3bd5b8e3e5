//! Letters: which runs are functions, constants, units or prose.

use super::expr::{Decimal, Function};
use super::token::Token;

/// Commands that only space, size or decorate.
pub(super) const IGNORED: &[&str] = &[
    "left",
    "right",
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
    "limits",
    "nolimits",
    "boxed",
    "fbox",
    "thinspace",
    "enspace",
    "hfill",
    "nonumber",
    "underline",
    "bf",
    "rm",
    "it",
    "large",
    "Large",
    "small",
];

/// Commands whose argument is text.
pub(super) const TEXT: &[&str] = &[
    "text",
    "textbf",
    "textit",
    "textrm",
    "textnormal",
    "mathrm",
    "mathbf",
    "mathit",
    "mathsf",
    "mathcal",
    "mbox",
    "hbox",
    "emph",
    "operatorname",
    "boldsymbol",
    "bm",
    "vec",
    "overrightarrow",
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
        "and" | "or" => Token::And,
        "times" => Token::Punct('*'),
        "percent" => Token::Punct('%'),
        "degrees" | "degree" | "deg" => Token::Punct('°'),
        "cup" | "U" => Token::Cup,
        _ => {
            return greek(run)
                .filter(|_| run.len() > 2)
                .map(|name| Token::Name(name.into()));
        }
    })
}

/// Whether a run of letters is one word rather than a product of variables.
pub(super) fn is_word(run: &str) -> bool {
    run.len() >= 4 || (run.len() >= 2 && (unit(run).is_some() || SHORT_WORDS.contains(&run)))
}

/// Short words that are common answers or common in answers.
const SHORT_WORDS: &[&str] = &[
    "no", "No", "NO", "yes", "Yes", "YES", "not", "is", "the", "The", "one", "One", "two", "Two",
    "six", "Six", "ten", "Ten", "per", "of", "to", "AM", "PM", "am", "pm", "sq", "cu", "DNE",
];

/// `three` is 3.
pub(super) fn number(word: &str) -> Option<Decimal> {
    const NAMES: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    NAMES
        .iter()
        .position(|name| name.eq_ignore_ascii_case(word))
        .map(|value| Decimal::integer(value.to_string()))
}

/// Words that turn an answer round; they are never dropped.
pub(super) fn negates(word: &str) -> bool {
    ["no", "not", "none", "never", "except", "without", "nor"]
        .iter()
        .any(|other| other.eq_ignore_ascii_case(word))
}

const GREEK: [(&str, char); 23] = [
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("delta", 'δ'),
    ("epsilon", 'ε'),
    ("zeta", 'ζ'),
    ("eta", 'η'),
    ("theta", 'θ'),
    ("iota", 'ι'),
    ("kappa", 'κ'),
    ("lambda", 'λ'),
    ("mu", 'μ'),
    ("nu", 'ν'),
    ("xi", 'ξ'),
    ("rho", 'ρ'),
    ("sigma", 'σ'),
    ("tau", 'τ'),
    ("phi", 'φ'),
    ("chi", 'χ'),
    ("psi", 'ψ'),
    ("omega", 'ω'),
    ("Delta", 'Δ'),
    ("Omega", 'Ω'),
];

/// A Greek letter's name, variants folded.
pub(super) fn greek(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("var").unwrap_or(name);
    GREEK
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(known, _)| *known)
}

/// The same by the letter itself.
pub(super) fn greek_letter(letter: char) -> Option<&'static str> {
    let letter = if letter == 'µ' { 'μ' } else { letter };
    GREEK
        .iter()
        .find(|(_, known)| *known == letter)
        .map(|(name, _)| *name)
}

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    Length,
    Mass,
    Time,
    Volume,
    Money,
    Energy,
    Power,
    Voltage,
    Current,
    Pressure,
    Force,
    Frequency,
}

/// Dimension and size of a unit in the dimension's base unit.
pub(super) fn unit(word: &str) -> Option<(Dimension, f64)> {
    use Dimension as D;
    let exact = match word {
        "m" => (D::Length, 1.0),
        "mm" => (D::Length, 1e-3),
        "cm" => (D::Length, 1e-2),
        "dm" => (D::Length, 0.1),
        "km" => (D::Length, 1e3),
        "nm" => (D::Length, 1e-9),
        "in" => (D::Length, 0.0254),
        "ft" => (D::Length, 0.3048),
        "yd" => (D::Length, 0.9144),
        "mi" => (D::Length, 1609.344),
        "g" => (D::Mass, 1e-3),
        "kg" => (D::Mass, 1.0),
        "mg" => (D::Mass, 1e-6),
        "lb" | "lbs" => (D::Mass, 0.45359237),
        "oz" => (D::Mass, 0.028349523125),
        "s" | "sec" | "secs" => (D::Time, 1.0),
        "ms" => (D::Time, 1e-3),
        "min" | "mins" => (D::Time, 60.0),
        "h" | "hr" | "hrs" => (D::Time, 3600.0),
        "L" | "l" => (D::Volume, 1.0),
        "mL" | "ml" => (D::Volume, 1e-3),
        "USD" => (D::Money, 1.0),
        "J" => (D::Energy, 1.0),
        "kJ" => (D::Energy, 1e3),
        "eV" => (D::Energy, 1.602176634e-19),
        "W" => (D::Power, 1.0),
        "kW" => (D::Power, 1e3),
        "V" => (D::Voltage, 1.0),
        "A" => (D::Current, 1.0),
        "Pa" => (D::Pressure, 1.0),
        "kPa" => (D::Pressure, 1e3),
        "N" => (D::Force, 1.0),
        "Hz" => (D::Frequency, 1.0),
        "kHz" => (D::Frequency, 1e3),
        "MHz" => (D::Frequency, 1e6),
        _ => return long_unit(word),
    };
    Some(exact)
}

fn long_unit(word: &str) -> Option<(Dimension, f64)> {
    use Dimension as D;
    let lower = word.to_ascii_lowercase();
    let single = match lower.as_str() {
        "feet" => "foot",
        "inches" => "inch",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    Some(match single {
        "meter" | "metre" => (D::Length, 1.0),
        "millimeter" | "millimetre" => (D::Length, 1e-3),
        "centimeter" | "centimetre" => (D::Length, 1e-2),
        "kilometer" | "kilometre" => (D::Length, 1e3),
        "inch" => (D::Length, 0.0254),
        "foot" => (D::Length, 0.3048),
        "yard" => (D::Length, 0.9144),
        "mile" => (D::Length, 1609.344),
        "gram" => (D::Mass, 1e-3),
        "kilogram" => (D::Mass, 1.0),
        "pound" => (D::Mass, 0.45359237),
        "ounce" => (D::Mass, 0.028349523125),
        "second" => (D::Time, 1.0),
        "minute" => (D::Time, 60.0),
        "hour" => (D::Time, 3600.0),
        "day" => (D::Time, 86_400.0),
        "week" => (D::Time, 604_800.0),
        "liter" | "litre" => (D::Volume, 1.0),
        "milliliter" | "millilitre" => (D::Volume, 1e-3),
        "dollar" => (D::Money, 1.0),
        "cent" => (D::Money, 0.01),
        "joule" => (D::Energy, 1.0),
        "watt" => (D::Power, 1.0),
        "volt" => (D::Voltage, 1.0),
        "amp" | "ampere" => (D::Current, 1.0),
        "pascal" => (D::Pressure, 1.0),
        "newton" => (D::Force, 1.0),
        "hertz" => (D::Frequency, 1.0),
        _ => return None,
    })
}
