//! Answers in words: one spelling for each, and whether two are the same.
//!
//! Text is text: case (of words, not of single letters), articles, quotes and the signs between
//! words do not count; every word does.

use super::phrases;
use super::words;

/// The words and signs of a text, in lower case, between single blanks.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Whether the last piece was a single letter with a full stop: `p.m.` is `pm`.
    let mut initial = false;
    while let Some(c) = rest.chars().next() {
        let size = c.len_utf8();
        if c == '\\' {
            let end = rest[1..]
                .find(|c: char| !c.is_ascii_alphabetic())
                .map_or(rest.len(), |end| end + 1);
            if end == 1 {
                rest = rest[1..].trim_start_matches([' ', ',', ';', '!', ':']);
                if let Some(sign) = rest.chars().next().filter(|c| "{}%&#|".contains(*c)) {
                    put(&mut out, sign.encode_utf8(&mut [0; 4]), false);
                    rest = &rest[1..];
                } else {
                    rest = rest.trim_start_matches(['\\', '(', ')', '[', ']']);
                }
                continue;
            }
            put_command(&mut out, &rest[1..end]);
            rest = &rest[end..];
            initial = false;
            continue;
        }
        if c.is_alphabetic() {
            let chinese = words::is_chinese(c);
            let end = rest
                .find(|c: char| !c.is_alphabetic() || words::is_chinese(c) != chinese)
                .unwrap_or(rest.len());
            let run = &rest[..end];
            rest = &rest[end..];
            let one = end == size;
            let dotted = one && rest.starts_with('.') && !rest.starts_with("...");
            let apostrophe = out.ends_with('’');
            if apostrophe {
                out.pop();
            }
            if one && !dotted && !initial {
                put(&mut out, run, apostrophe);
            } else {
                put(
                    &mut out,
                    &run.to_lowercase(),
                    (initial && one) || apostrophe,
                );
            }
            initial = dotted;
            if dotted {
                rest = &rest[1..];
            }
            continue;
        }
        initial = false;
        if c.is_ascii_digit() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            put(&mut out, &rest[..end], false);
            rest = &rest[end..];
            continue;
        }
        rest = &rest[size..];
        match c {
            '.' if rest.starts_with("..") => {
                put(&mut out, "...", false);
                rest = &rest[2..];
            }
            '.' if !rest.starts_with(|c: char| c.is_ascii_digit()) => {}
            '-' if next_to_words(&out, rest) => {}
            '\'' if out.ends_with(char::is_alphabetic) && rest.starts_with(char::is_alphabetic) => {
                out.push('’');
            }
            ',' if !rest
                .trim_start()
                .starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '\\') => {}
            '{' | '}' | '$' | '"' | '\'' | '_' | '~' | '`' | ';' | '!' | '?' => {}
            c if c.is_whitespace() => {}
            c => put(&mut out, c.encode_utf8(&mut [0; 4]), false),
        }
    }
    out
}

/// A hyphen between words is a blank; a minus sign is a sign.
fn next_to_words(before: &str, after: &str) -> bool {
    before.ends_with(char::is_alphabetic) && after.starts_with(char::is_alphabetic)
}

fn put(out: &mut String, piece: &str, joined: bool) {
    if !out.is_empty() && !joined {
        out.push(' ');
    }
    out.push_str(piece);
}

fn put_command(out: &mut String, name: &str) {
    let silent = words::TEXT.contains(&name)
        || words::IGNORED.contains(&name)
        || matches!(name, "text" | "dfrac" | "tfrac");
    if silent && !matches!(name, "dfrac" | "tfrac") {
        return;
    }
    let name = match name {
        "dfrac" | "tfrac" => "frac",
        "ldots" | "dots" | "cdots" => "...",
        "overline" => "segment",
        "leq" | "leqslant" => "≤",
        "le" => "≤",
        "geq" | "ge" | "geqslant" => "≥",
        "neq" | "ne" => "≠",
        "times" | "cdot" => "*",
        "lbrace" => "{",
        "rbrace" => "}",
        "varnothing" => "emptyset",
        "mid" => "|",
        other => other,
    };
    put(out, name, false);
}

/// Whether two normal texts say the same.
pub(super) fn same(gold: &str, answer: &str) -> bool {
    if gold == answer {
        return !gold.is_empty();
    }
    let (gold, answer) = (bare(gold), bare(answer));
    if gold.is_empty() || answer.is_empty() {
        return false;
    }
    gold == answer || glued(gold, answer) || yes_or_no(gold, answer) || kind_left_out(gold, answer)
}

/// Without articles and introductions before it, and `one` after it.
fn bare(text: &str) -> &str {
    const BEFORE: &[&str] = &[
        "the ",
        "a ",
        "an ",
        "it is ",
        "its ",
        "it ’ s ",
        "they are ",
        "is ",
        "are ",
        "on ",
        "in ",
        "at ",
        "so ",
        "this is ",
        "that is ",
        "there is ",
        "there are ",
        "the answer is ",
        "answer is ",
        "final answer ",
        "answer : ",
        "answer ",
        "therefore ",
        "thus ",
        "hence ",
        "because ",
        "line segment ",
        "segment ",
        "line of symmetry : ",
        "it's ",
        "= ",
        ": ",
    ];
    let mut text = text;
    loop {
        let before = text.len();
        for word in BEFORE {
            if let Some(rest) = text.strip_prefix(word).filter(|rest| !rest.is_empty()) {
                text = rest;
            }
        }
        if text.starts_with(words::is_chinese) {
            text = phrases::without_introduction(text).trim_start();
        }
        if let Some(rest) = text.strip_suffix(" one") {
            text = rest;
        }
        if text.len() == before {
            return text;
        }
    }
}

/// Chinese is written without blanks, formulas with and without.
fn glued(gold: &str, answer: &str) -> bool {
    let plain = |text: &str| {
        !text
            .split(' ')
            .any(|word| word.len() > 3 && word.is_ascii())
    };
    let chinese = |text: &str| text.contains(words::is_chinese);
    let listed = |text: &str| text.chars().any(|c| ('①'..='⑳').contains(&c));
    if !(chinese(gold) || listed(gold)) || !plain(gold) {
        return false;
    }
    let squeezed =
        |text: &str| -> String { text.chars().filter(|c| !matches!(c, ' ' | ',')).collect() };
    squeezed(gold) == squeezed(answer)
}

/// `Yes, there is` is yes, as long as nothing takes it back.
fn yes_or_no(gold: &str, answer: &str) -> bool {
    let opposite = match gold {
        "yes" => "no",
        "no" => "yes",
        _ => return false,
    };
    let mut words = answer.split(' ');
    words.next() == Some(gold)
        && words.next().is_some_and(|second| {
            matches!(
                second,
                "it" | "they"
                    | "there"
                    | "he"
                    | "she"
                    | "because"
                    | "this"
                    | "that"
                    | "the"
                    | "you"
                    | "we"
                    | "i"
                    | "I"
                    | "not"
            )
        })
        && !(gold == "yes" && (answer.contains(" not ") || answer.contains("n’t")))
        && !answer
            .split(' ')
            .skip(1)
            .any(|word| word == opposite || matches!(word, "but" | "or" | "maybe"))
}

/// `isosceles` is `isosceles triangle`: the kind of thing may be left out of the answer where the
/// gold has it, or the other way round, if one word remains that tells it from others.
fn kind_left_out(gold: &str, answer: &str) -> bool {
    const KINDS: &[&str] = &[
        " triangle",
        " quadrilateral",
        " function",
        " sequence",
        " number",
        " color",
        " colour",
        " series",
        " polygon",
    ];
    let without = |text: &str| -> Option<String> {
        KINDS
            .iter()
            .find_map(|kind| text.strip_suffix(kind))
            .map(str::to_owned)
    };
    without(gold).as_deref() == Some(answer) || without(answer).as_deref() == Some(gold)
}
