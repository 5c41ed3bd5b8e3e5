//! Unicode into the one spelling that the lexer knows: `24 cm²` is `24 cm^{2}`, `½` is
//! `\frac{1}{2}`, full-width digits are digits; and the wrappings around an answer come off.
//!
//! One pass over the text; nothing here knows mathematics.

/// The text with one spelling for each character, without the wrappings around it.
pub(super) fn normal(text: &str) -> String {
    let text = unwrapped(text);
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut script = Script::None;
    for c in text.chars() {
        let (kind, plain) = scripted(c);
        if kind != script {
            if script != Script::None {
                out.push('}');
            }
            match kind {
                Script::Upper => out.push_str("^{"),
                Script::Lower => out.push_str("_{"),
                Script::None => {}
            }
            script = kind;
        }
        if kind != Script::None {
            out.push(plain);
        } else if let Some(spelled) = spelled(c) {
            out.push_str(spelled);
        } else if let Some(composed) = composed(&out, c) {
            out.pop();
            out.push(composed);
        } else if !is_mark(c) {
            out.push(folded(c));
        }
    }
    if script != Script::None {
        out.push('}');
    }
    unwrapped(&out).to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Script {
    None,
    Upper,
    Lower,
}

/// Superscript and subscript characters with the character that they raise or lower.
fn scripted(c: char) -> (Script, char) {
    const UPPER: &str = "⁰0¹1²2³3⁴4⁵5⁶6⁷7⁸8⁹9⁺+⁻-⁽(⁾)ⁿnⁱi";
    const LOWER: &str = "₀0₁1₂2₃3₄4₅5₆6₇7₈8₉9₊+₋-₍(₎)ₙnₐaₑeᵢiₓx";
    if c.is_ascii() {
        return (Script::None, c);
    }
    let find = |table: &str| {
        let mut chars = table.chars();
        while let (Some(from), Some(to)) = (chars.next(), chars.next()) {
            if from == c {
                return Some(to);
            }
        }
        None
    };
    match c {
        '¹' | '²' | '³' | 'ⁱ' | '⁰'..='ⁿ' => {
            find(UPPER).map_or((Script::None, c), |to| (Script::Upper, to))
        }
        '₀'..='ₜ' | 'ᵢ' => find(LOWER).map_or((Script::None, c), |to| (Script::Lower, to)),
        _ => (Script::None, c),
    }
}

/// Characters that stand for several.
fn spelled(c: char) -> Option<&'static str> {
    Some(match c {
        '½' => "\\frac{1}{2}",
        '⅓' => "\\frac{1}{3}",
        '⅔' => "\\frac{2}{3}",
        '¼' => "\\frac{1}{4}",
        '¾' => "\\frac{3}{4}",
        '⅕' => "\\frac{1}{5}",
        '⅖' => "\\frac{2}{5}",
        '⅗' => "\\frac{3}{5}",
        '⅘' => "\\frac{4}{5}",
        '⅙' => "\\frac{1}{6}",
        '⅚' => "\\frac{5}{6}",
        '⅛' => "\\frac{1}{8}",
        '⅜' => "\\frac{3}{8}",
        '⅝' => "\\frac{5}{8}",
        '⅞' => "\\frac{7}{8}",
        '⅐' => "\\frac{1}{7}",
        '⅑' => "\\frac{1}{9}",
        '⅒' => "\\frac{1}{10}",
        '℃' => "°C",
        '℉' => "°F",
        '㎜' => " mm",
        '㎝' => " cm",
        '㎞' => " km",
        '㎡' => " m^{2}",
        '㎥' => " m^{3}",
        '㎎' => " mg",
        '㎏' => " kg",
        '…' | '⋯' => "...",
        '∛' => "\\sqrt[3]",
        '∜' => "\\sqrt[4]",
        'ℝ' => "\\mathbb{R}",
        'ℤ' => "\\mathbb{Z}",
        'ℕ' => "\\mathbb{N}",
        'ℚ' => "\\mathbb{Q}",
        'ℂ' => "\\mathbb{C}",
        '△' | '∆' | '▵' => "\\triangle ",
        '∠' | '∡' => "\\angle ",
        '∥' | '‖' => "\\parallel ",
        '⊥' | '⟂' => "\\perp ",
        '≅' => "\\cong ",
        '∼' => "\\sim ",
        '∴' | '⇒' | '→' | '✓' | '✔' | '✅' | '☑' => " ",
        '″' => "\"",
        '∖' => "\\setminus ",
        '∩' => "\\cap ",
        _ => return None,
    })
}

/// One character for another.
fn folded(c: char) -> char {
    match c {
        '！'..='～' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '−' | '–' | '—' | '﹣' | '‒' | '‑' | '‐' => '-',
        '。' => '.',
        '、' => ',',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‘' | '’' | '′' => '\'',
        '⁄' | '∕' => '/',
        '∶' | '﹕' => ':',
        'º' | '˚' | '∘' => '°',
        '【' | '〔' => '[',
        '】' | '〕' => ']',
        '⟨' | '〈' => '(',
        '⟩' | '〉' => ')',
        '×' | '·' | '⋅' | '∗' | '∙' => '*',
        '÷' => '/',
        '\u{b5}' => '\u{3bc}',
        '\u{2126}' => '\u{3a9}',
        'ℎ' => 'h',
        'ℓ' => 'l',
        'ϕ' => 'φ',
        'ϵ' => 'ε',
        '\u{1d400}'..='\u{1d6a3}' => letter((c as u32 - 0x1d400) % 52),
        '\u{1d7ce}'..='\u{1d7ff}' => digit((c as u32 - 0x1d7ce) % 10),
        '٠'..='٩' => digit(c as u32 - '٠' as u32),
        '۰'..='۹' => digit(c as u32 - '۰' as u32),
        '०'..='९' => digit(c as u32 - '०' as u32),
        other => other,
    }
}

fn letter(at: u32) -> char {
    let base = if at < 26 { 'A' as u32 } else { 'a' as u32 - 26 };
    char::from_u32(base + at).unwrap_or('?')
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('?')
}

/// Characters without width, and accents that found no letter.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0f}' | '\u{300}'..='\u{36f}')
}

/// `e` with a combining accent after it is `é`: both spellings of José are one name.
fn composed(before: &str, mark: char) -> Option<char> {
    const TABLE: [(char, &str); 6] = [
        ('\u{301}', "aáeéiíoóuúyýcćnńsśzźAÁEÉIÍOÓUÚ"),
        ('\u{300}', "aàeèiìoòuùAÀEÈIÌOÒUÙ"),
        ('\u{302}', "aâeêiîoôuûAÂEÊIÎOÔUÛ"),
        ('\u{303}', "aãnñoõAÃNÑOÕ"),
        ('\u{308}', "aäeëiïoöuüAÄEËIÏOÖUÜ"),
        ('\u{327}', "cçsşCÇSŞ"),
    ];
    if !('\u{300}'..='\u{36f}').contains(&mark) {
        return None;
    }
    let letter = before.chars().next_back()?;
    let (_, pairs) = TABLE.iter().find(|(known, _)| *known == mark)?;
    let mut chars = pairs.chars();
    while let (Some(from), Some(to)) = (chars.next(), chars.next()) {
        if from == letter {
            return Some(to);
        }
    }
    None
}

/// Commands that may stand before or after an answer and say nothing.
const AROUND: &[&str] = &[
    "\\[",
    "\\]",
    "\\(",
    "\\)",
    "\\\\",
    "\\;",
    "\\:",
    "\\quad",
    "\\qquad",
    "\\checkmark",
    "\\therefore",
    "\\implies",
    "\\Rightarrow",
    "\\Longrightarrow",
    "\\to ",
    "\\displaystyle",
    "\\square",
    "\\blacksquare",
    "\\large",
    "\\Large",
    "\\huge",
    "\\hspace*{0pt}",
];

/// Without the quotes, asterisks, dollars, full stops and spacing around an answer.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text.len();
        for pair in ["**", "__", "`", "\"", "*"] {
            let inner = text.strip_prefix(pair).and_then(|t| t.strip_suffix(pair));
            if let Some(inner) = inner.filter(|inner| !inner.contains(pair)) {
                text = inner.trim();
            }
        }
        if let Some(inner) = text
            .strip_prefix('\u{201c}')
            .and_then(|t| t.strip_suffix('\u{201d}'))
        {
            text = inner.trim();
        }
        text = text.trim_start_matches(['&', '\u{200b}']).trim_start();
        for mark in AROUND {
            if let Some(rest) = text.strip_prefix(mark).filter(|rest| ends(mark, rest)) {
                text = rest.trim_start();
            }
            if let Some(rest) = text.strip_suffix(mark) {
                text = rest.trim_end();
            }
        }
        text = without_stops(text);
        if text.len() == before {
            return text;
        }
    }
}

/// Whether a command's name ends where its spelling does: `\to` is no part of `\top`.
fn ends(mark: &str, rest: &str) -> bool {
    !mark.ends_with(|c: char| c.is_ascii_alphabetic())
        || !rest.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Without full stops, commas, semicolons and spacing commands behind it. An ellipsis stays.
fn without_stops(text: &str) -> &str {
    let mut text = text.trim_end();
    loop {
        let Some(last) = text.chars().next_back() else {
            return text;
        };
        let inner = text[..text.len() - last.len_utf8()].trim_end();
        match last {
            // `\,` and `\!` are spaces; `1,2,\ldots` keeps what it has.
            ',' | ';' | ':' | '!' if inner.ends_with('\\') => {
                text = inner.trim_end_matches('\\').trim_end();
            }
            '.' if inner.ends_with('.')
                || inner.ends_with("\\left")
                || inner.ends_with("\\right") =>
            {
                return text;
            }
            '.' | ',' | ';' | '。' | '，' | '；' | '．' => text = inner,
            _ => return text,
        }
    }
}
