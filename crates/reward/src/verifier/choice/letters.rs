//! From a text to the letters that it names.

use std::fmt;

/// A set of choice letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Letters(u32);

impl Letters {
    /// A set of one; `letter` is `A` to `Z`.
    pub fn one(letter: char) -> Self {
        let place = (letter as u32).wrapping_sub('A' as u32);
        Self(1u32.checked_shl(place).unwrap_or(0))
    }

    /// The letter of a set of one.
    pub fn single(self) -> Option<char> {
        (self.0.count_ones() == 1).then(|| self.iter().next())?
    }

    fn iter(self) -> impl Iterator<Item = char> {
        ('A'..='Z').filter(move |&letter| self.0 & Self::one(letter).0 != 0)
    }

    /// Whether there are such options, as far as the options are known.
    pub(super) fn known(self, options: &[String]) -> bool {
        options.is_empty() || options.len() >= 26 || self.0 >> options.len() == 0
    }
}

impl FromIterator<char> for Letters {
    fn from_iter<T: IntoIterator<Item = char>>(letters: T) -> Self {
        Self(letters.into_iter().fold(0, |all, c| all | Self::one(c).0))
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.iter().enumerate() {
            write!(f, "{}{letter}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// What a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Letters(Letters),
    /// It speaks of letters and chooses none: "B or C", "B is wrong".
    Hedge,
    Nothing,
}

/// Without LaTeX's commands for type, dollars, stars, quotes and braces, with full-width letters and
/// punctuation as ASCII. One pass.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = c.len_utf8();
        match c {
            '\\' => {
                let after = &rest[1..];
                let name = after.len()
                    - after
                        .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                        .len();
                let command = &after[..name];
                if name == 0 {
                    out.push(' '); // `\ `, `\,`, `\;`
                    let skipped = after.chars().next().map_or(0, char::len_utf8);
                    rest = &after[skipped..];
                } else {
                    if !is_type(command) {
                        out.push('\\');
                        out.push_str(command);
                    }
                    rest = &after[name..];
                }
                continue;
            }
            '$' | '*' | '`' | '"' | '\u{201c}' | '\u{201d}' | '{' | '}' | '_' => {}
            '~' | '\u{a0}' | '\u{3000}' => out.push(' '),
            '\u{ff01}'..='\u{ff5e}' => {
                out.push(char::from_u32(c as u32 - 0xfee0).unwrap_or(c));
            }
            '【' => out.push('['),
            '】' => out.push(']'),
            '。' => out.push('.'),
            other => out.push(other),
        }
        rest = &rest[length..];
    }
    out.trim().to_owned()
}

fn is_type(command: &str) -> bool {
    command.starts_with("text")
        || command.starts_with("math")
        || [
            "bf",
            "rm",
            "it",
            "sf",
            "tt",
            "boxed",
            "fbox",
            "quad",
            "qquad",
            "large",
            "Large",
            "operatorname",
            "displaystyle",
            "left",
            "right",
            "bm",
            "boldsymbol",
        ]
        .contains(&command)
}

/// Words before a letter that say no more than that it is the answer.
const LEADS: [&str; 30] = [
    "the",
    "correct",
    "right",
    "best",
    "final",
    "answers",
    "answer",
    "options",
    "option",
    "choices",
    "choice",
    "is",
    "are",
    "it's",
    "it",
    "its",
    "both",
    "letter",
    "so",
    "thus",
    "therefore",
    "hence",
    "that",
    "would",
    "be",
    "选项",
    "答案",
    "故选",
    "选",
    "是",
];

/// The letters that a plain text begins with, if what follows does not take them back.
pub(super) fn named(text: &str) -> Named {
    // What a text chooses, it says at its beginning.
    let end = text
        .char_indices()
        .nth(400)
        .map_or(text.len(), |(at, _)| at);
    let text = after_leads(text[..end].trim());
    let (letters, rest) = match run(text) {
        Some(found) => found,
        None if hedges(text) => return Named::Hedge,
        None => return Named::Nothing,
    };
    follows(letters, rest)
}

fn after_leads(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_start_matches([' ', ':', '\n', '\'', ',']);
        let lead = LEADS.iter().find(|lead| {
            let same = trimmed
                .get(..lead.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(lead));
            // A word ends here, and something follows.
            let after = trimmed.get(lead.len()..).unwrap_or("");
            let ends = !lead.is_ascii() || after.starts_with([' ', ':', '(', '\n', '[']);
            same && ends && !after.trim().is_empty()
        });
        match lead {
            Some(lead) => text = &trimmed[lead.len()..],
            None => return trimmed,
        }
    }
}

/// Letters at the beginning and what comes behind them.
fn run(text: &str) -> Option<(Letters, &str)> {
    if let Some(list) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        // A list of letters, or one in brackets.
        let items = list
            .split(',')
            .map(|item| single(item.trim_matches([' ', '\''])));
        return Some((items.collect::<Option<Letters>>()?, ""));
    }
    let capitals = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_uppercase())
            .len();
    let after = &text[capitals..];
    let ends = !after.starts_with(|c: char| c.is_alphanumeric() && c.is_ascii());
    if (2..=8).contains(&capitals) && ends {
        // `AC`: capitals of options, each once.
        let letters: Letters = text[..capitals].chars().collect();
        let options = text[..capitals].bytes().all(|b| b <= b'J');
        let once = letters.0.count_ones() as usize == capitals;
        return (options && once).then_some((letters, after));
    }
    one(text).map(|(letter, rest)| (Letters::one(letter), rest))
}

/// A letter that stands alone.
fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_alphabetic() => Some(c.to_ascii_uppercase()),
        _ => None,
    }
}

/// `B`, `(B)`, `[B]`, `B)` at the beginning: the letter, and what follows it. A small letter needs a
/// mark, or nothing behind it.
fn one(text: &str) -> Option<(char, &str)> {
    let open = text.starts_with(['(', '[']);
    let inner = if open { text[1..].trim_start() } else { text };
    let letter = inner.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = &inner[1..];
    let next = rest.chars().next();
    if open {
        let closed = rest.trim_start();
        return closed
            .starts_with([')', ']'])
            .then(|| (letter.to_ascii_uppercase(), closed));
    }
    if letter.is_ascii_lowercase() {
        let marked = matches!(next, Some(')' | '.' | ':'))
            && !rest[1..].starts_with(|c: char| c.is_alphanumeric());
        let alone = rest.trim_matches([' ', '.', ',', '!', ')']).is_empty();
        return (marked || alone).then_some((letter.to_ascii_uppercase(), rest));
    }
    let ends = match next {
        None => true,
        Some(c) => !c.is_alphanumeric() || !c.is_ascii(),
    };
    // `B'`, `B-2`, `B=3`, `B^2` are no choices.
    let part = matches!(
        next,
        Some('\'' | '-' | '=' | '^' | '+' | '<' | '>' | '|' | '\\' | '%')
    ) || (next == Some('.')
        && rest[1..]
            .starts_with(|c: char| c.is_alphanumeric() && c.is_ascii() && !c.is_ascii_digit()));
    (ends && !part).then_some((letter, rest))
}

/// What stands behind letters: more of them, a remark, or what takes them back.
fn follows(letters: Letters, rest: &str) -> Named {
    let trimmed = rest.trim_start();
    let mark = trimmed.chars().next();
    let marked = matches!(
        mark,
        Some('.' | ')' | ':' | ',' | ';' | '\n' | '、' | '!' | ']' | '\u{2014}')
    );
    let behind = trimmed.trim_start_matches([
        '.', ')', ':', ',', ';', ' ', '\n', '、', '!', ']', '&', '-', '\u{2014}', '\u{2013}',
    ]);
    if behind.is_empty() {
        return Named::Letters(letters);
    }
    if trimmed.starts_with('/') {
        return Named::Hedge;
    }
    let first = word(behind);
    let lower = first.to_lowercase();
    if matches!(lower.as_str(), "and" | "&") || (mark == Some('&')) {
        let more = behind.strip_prefix(first).unwrap_or(behind);
        let more = if mark == Some('&') { behind } else { more };
        return match run(after_leads(more)) {
            Some((others, rest)) => follows(union(letters, others), rest),
            None => Named::Letters(letters),
        };
    }
    if matches!(lower.as_str(), "or" | "maybe" | "perhaps" | "possibly") || denied(&lower, behind) {
        return Named::Hedge;
    }
    if matches!(mark, Some(',' | ';' | '、')) || (mark == Some('.') && is_bare(behind)) {
        // Another letter of a list; `B, a cat` names an option's text.
        return match run(behind) {
            Some((others, rest)) if !rest.starts_with(' ') || is_list(rest) => {
                follows(union(letters, others), rest)
            }
            _ => Named::Letters(letters),
        };
    }
    if rest.starts_with(' ') && !marked {
        return spoken(letters, &lower, behind);
    }
    if !marked && rest.starts_with(|c: char| !c.is_ascii()) {
        // Chinese goes on without a blank: `B是错误的`.
        let denied = ["错", "不", "或", "还是"]
            .iter()
            .any(|word| rest.contains(word));
        return if denied {
            Named::Hedge
        } else {
            Named::Letters(letters)
        };
    }
    Named::Letters(letters)
}

fn is_list(rest: &str) -> bool {
    let rest = rest.trim_start();
    ["and ", "or ", "&"]
        .iter()
        .any(|word| rest.starts_with(word))
        || rest.is_empty()
}

fn union(a: Letters, b: Letters) -> Letters {
    Letters(a.0 | b.0)
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '\u{2019}'));
    &text[..end.unwrap_or(text.len())]
}

/// A letter and a sentence without a mark between them.
fn spoken(letters: Letters, first: &str, behind: &str) -> Named {
    match first {
        "is" | "are" | "was" | "seems" | "looks" | "appears" => {
            let said = after_leads_of_verbs(behind);
            let right = [
                "correct", "right", "true", "best", "answer", "my", "because",
            ];
            if right.iter().any(|word| said.eq_ignore_ascii_case(word)) {
                Named::Letters(letters)
            } else {
                Named::Hedge
            }
        }
        "isn't" | "isn\u{2019}t" | "cannot" | "can't" | "can" | "could" | "might" | "may"
        | "would" | "does" | "doesn't" | "not" | "wrong" | "incorrect" | "false" | "vs" | "nor" => {
            Named::Hedge
        }
        // A bare `A` or `I` before a word is an English word.
        _ if letters == Letters::one('A') || letters == Letters::one('I') => {
            if behind.starts_with('(') || first == "because" || first == "since" {
                Named::Letters(letters)
            } else {
                Named::Nothing
            }
        }
        _ => Named::Letters(letters),
    }
}

/// "is wrong", "isn't it" behind a letter and its mark.
fn denied(first: &str, behind: &str) -> bool {
    let said = after_leads_of_verbs(behind).to_lowercase();
    let wrong = [
        "not",
        "wrong",
        "incorrect",
        "false",
        "impossible",
        "unlikely",
        "excluded",
    ];
    matches!(first, "is" | "are" | "was" | "seems") && wrong.contains(&said.as_str())
        || matches!(first, "isn't" | "isn\u{2019}t" | "cannot" | "can't")
}

/// The first word behind "is", "is the", "to be".
fn after_leads_of_verbs(behind: &str) -> &str {
    let skipped = [
        "is",
        "are",
        "was",
        "seems",
        "looks",
        "appears",
        "to",
        "be",
        "the",
        "most",
        "indeed",
        "clearly",
        "definitely",
        "a",
    ];
    behind
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .find(|word| !skipped.contains(&word.to_lowercase().as_str()))
        .unwrap_or("")
}

/// Whether a text without a letter at its beginning speaks of letters and takes them back.
fn hedges(text: &str) -> bool {
    let first = word(text).to_lowercase();
    matches!(
        first.as_str(),
        "not"
            | "neither"
            | "either"
            | "maybe"
            | "perhaps"
            | "possibly"
            | "never"
            | "could"
            | "might"
            | "unclear"
    )
}

/// A letter or letters and nothing else.
pub(super) fn is_bare(text: &str) -> bool {
    let text = plain(text);
    run(after_leads(&text)).is_some_and(|(_, rest)| {
        rest.trim_matches(['.', ')', ':', ',', ' ', '!', ']'])
            .is_empty()
    })
}

/// The letter and the text of an option's line: `(B) dog`, `B. dog`, `b) dog`, `B: dog`.
pub(super) fn option(text: &str) -> Option<(char, &str)> {
    let text = text.trim().trim_start_matches(['*', '-', ' ']);
    let (letter, rest) = one(text)?;
    let open = text.starts_with(['(', '[']);
    let marked = rest.starts_with([')', '.', ':', '．', '：', '、']);
    let rest = rest
        .trim_start_matches([')', '.', ':', '．', '：', '、', '*'])
        .trim();
    (open || marked).then_some((letter, rest))
}

/// What follows the last "I choose", "I pick", "go with".
pub(super) fn picked(text: &str) -> Option<&str> {
    ["choose ", "chose ", "select ", "pick ", "go with "]
        .into_iter()
        .filter_map(|verb| text.rfind(verb).map(|at| (at, at + verb.len())))
        .max()
        .filter(|(at, _)| {
            let before = text[..*at].trim_end().to_lowercase();
            !["not", "n't", "n\u{2019}t", "never"]
                .iter()
                .any(|no| before.ends_with(no))
        })
        .map(|(_, at)| text[at..].lines().next().unwrap_or(""))
}
