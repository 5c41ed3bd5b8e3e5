//! Sentences as NLTK's Punkt model for English finds them: `sent_tokenize`.
//!
//! A `.`, `?` or `!` ends a sentence unless the word before it is an abbreviation, an initial or a
//! number that the next word goes on. Exact for lower-case text, which is what CHAIR reads: there the
//! model's table of 20 000 words seen in upper and lower case decides in four cases only. In text
//! with capitals a sentence that starts after an abbreviation is found if its first word is one of
//! the model's frequent sentence starters, where the model would also look that word up.
//! Source: Kiss & Strunk 2006; NLTK 3.10 `tokenize/punkt.py` and its model `punkt_tab/english`
//! (Apache-2.0). Tested against both on `tests/golden/chair.json`.

use std::ops::Range;

/// The sentences of a text.
pub fn sentences_of(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let ranges = sentences(&characters);
    ranges
        .into_iter()
        .map(|range| characters[range].iter().collect())
        .collect()
}

/// The sentences of a text as ranges of its characters.
pub(super) fn sentences(text: &[char]) -> Vec<Range<usize>> {
    let breaks = breaks(text);
    let mut found = Vec::with_capacity(breaks.len());
    // Closing quotes and brackets after a break belong to the sentence before it.
    let mut skip = 0;
    for (at, sentence) in breaks.iter().enumerate() {
        let start = sentence.start + skip;
        skip = 0;
        let mut end = sentence.end;
        if let Some(next) = breaks.get(at + 1)
            && let Some((closing, length)) = closing(&text[next.clone()])
        {
            end = next.start + closing;
            skip = length;
            found.push(start.min(end)..end);
            continue;
        }
        if start < end {
            found.push(start..end);
        }
    }
    found
}

/// Closing punctuation at the beginning of a sentence: its length without and with the blanks after.
fn closing(sentence: &[char]) -> Option<(usize, usize)> {
    let marks = sentence
        .iter()
        .take_while(|c| "\"')]}\u{2018}\u{2019}\u{201c}\u{201d}\u{ab}\u{bb}".contains(**c))
        .count();
    for length in 1..=marks {
        let rest = &sentence[length..];
        let blanks = rest.iter().take_while(|c| c.is_whitespace()).count();
        if blanks > 0 || rest.is_empty() || rest.starts_with(&['-', '-']) {
            return Some((length, length + blanks));
        }
    }
    None
}

fn breaks(text: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for mark in marks(text) {
        if !ends_sentence(&text[mark.context.clone()]) {
            continue;
        }
        found.push(start..mark.at + 1);
        start = mark.next;
    }
    let end = text
        .iter()
        .rposition(|c| !c.is_whitespace())
        .map_or(0, |at| at + 1);
    // What `text[start:end]` is in Python where the start lies behind the end.
    found.push(start..end.max(start));
    found
}

/// A possible end of a sentence.
struct Mark {
    /// The character `.`, `?` or `!`.
    at: usize,
    /// Where a next sentence would start.
    next: usize,
    /// From the word before it to the word after it.
    context: Range<usize>,
}

fn marks(text: &[char]) -> Vec<Mark> {
    let mut found: Vec<Mark> = Vec::new();
    let mut pending: Option<(Mark, Range<usize>)> = None;
    let mut previous = 0..0;
    for (at, c) in text.iter().enumerate() {
        if !matches!(c, '.' | '?' | '!') {
            continue;
        }
        let Some((next, end)) = after(text, at) else {
            continue;
        };
        // `string.whitespace` in the original: blanks of ASCII.
        let blank = text[previous.end..at]
            .iter()
            .rposition(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'));
        let word = match blank {
            Some(blank) if blank > 0 => previous.end + blank + 1,
            _ => previous.start,
        };
        if let Some((mark, before)) = pending.take()
            && before.end <= word
        {
            found.push(mark);
        }
        previous = word..at;
        let mark = Mark {
            at,
            next,
            context: word..end,
        };
        pending = Some((mark, previous.clone()));
    }
    found.extend(pending.map(|(mark, _)| mark));
    found
}

/// Where the next sentence would start after a mark, and where the token after the mark ends.
fn after(text: &[char], at: usize) -> Option<(usize, usize)> {
    let next = *text.get(at + 1)?;
    if ends_word(next) {
        return Some((at + 1, at + 2));
    }
    let blanks = text[at + 1..]
        .iter()
        .take_while(|c| c.is_whitespace())
        .count();
    let start = at + 1 + blanks;
    let length = text[start..]
        .iter()
        .take_while(|c| !c.is_whitespace())
        .count();
    (blanks > 0 && length > 0).then_some((start, start + length))
}

/// `_re_non_word_chars`: characters that cannot stand within a word.
fn ends_word(c: char) -> bool {
    ")\";}]*:@'({[\u{2018}\u{2019}\u{201c}\u{201d}\u{ab}\u{bb}?!".contains(c)
}

/// Whether a token before the last one of a context ends a sentence.
fn ends_sentence(context: &[char]) -> bool {
    let tokens = tokens(context);
    tokens
        .windows(2)
        .any(|pair| breaks_after(&pair[0], &pair[1]))
}

fn breaks_after(token: &str, next: &str) -> bool {
    if matches!(token, "." | "?" | "!") {
        return token != "." || !collocated(".", next);
    }
    let Some(stem) = token.strip_suffix('.') else {
        return false;
    };
    if stem.ends_with('.') && !stem.contains(' ') {
        // An ellipsis breaks before a capital that starts sentences.
        return stem.chars().all(|c| c == '.') && starts_sentence(next);
    }
    let lower = stem.to_lowercase();
    let number = is_number(token);
    let mut letters = stem.chars();
    let initial = letters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.next().is_none();
    let kind = if number { "##number##" } else { &lower };
    if collocated(kind, next) {
        return false;
    }
    let tail = lower.rsplit('-').next().unwrap_or(&lower);
    let short = |word: &str| ABBREVIATIONS.contains(&word);
    if short(&lower) || short(tail) {
        return !initial && starts_sentence(next);
    }
    if (initial || number) && goes_on(next) {
        return false;
    }
    true
}

/// The orthographic heuristic's "no": a word that does not start a sentence.
fn goes_on(next: &str) -> bool {
    if matches!(next, ";" | ":" | "," | "." | "!" | "?") {
        return true;
    }
    // The only words of the model seen in lower case at the beginning of a sentence and never in
    // upper case.
    let exceptions = ["administrators", "z-holiday", "r-revised", "b-week"];
    next.chars().next().is_some_and(char::is_lowercase)
        && !exceptions.contains(&next.to_lowercase().as_str())
}

fn starts_sentence(next: &str) -> bool {
    next.chars().next().is_some_and(char::is_uppercase)
        && STARTERS.contains(&next.to_lowercase().as_str())
}

fn collocated(word: &str, next: &str) -> bool {
    let lower = next.to_lowercase();
    let next = if lower.len() > 1 && !ABBREVIATIONS.contains(&lower.trim_end_matches('.')) {
        lower.strip_suffix('.').unwrap_or(&lower)
    } else {
        &lower
    };
    COLLOCATIONS.contains(&(word, next))
}

/// `-?[.,]?\d[\d,.-]*\.?`
fn is_number(token: &str) -> bool {
    let rest = token.strip_prefix('-').unwrap_or(token);
    let rest = rest.strip_prefix(['.', ',']).unwrap_or(rest);
    rest.starts_with(char::is_numeric)
        && rest
            .chars()
            .all(|c| c.is_numeric() || matches!(c, ',' | '.' | '-'))
}

/// Punkt's own tokens, periods kept at words.
fn tokens(text: &[char]) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at].is_whitespace() {
            at += 1;
            continue;
        }
        let length = several_marks(&text[at..]).unwrap_or_else(|| word(&text[at..]));
        found.push(text[at..at + length].iter().collect());
        at += length;
    }
    found
}

/// `-{2,}|\.{2,}|(\.\s){2,}\.`
fn several_marks(text: &[char]) -> Option<usize> {
    let run = |mark: char| text.iter().take_while(|c| **c == mark).count();
    if let length @ 2.. = run('-').max(run('.')) {
        return Some(length);
    }
    let mut spaced = 0;
    while text.get(spaced) == Some(&'.') && text.get(spaced + 1).is_some_and(|c| c.is_whitespace())
    {
        spaced += 2;
    }
    (spaced >= 4 && text.get(spaced) == Some(&'.')).then_some(spaced + 1)
}

fn word(text: &[char]) -> usize {
    if "(\"`{[:;&#*@)}]-,".contains(text[0]) {
        return 1;
    }
    let ends = |at: usize| {
        text.get(at)
            .is_none_or(|c| c.is_whitespace() || ends_word(*c))
            || several_marks(&text[at..]).is_some()
    };
    (1..)
        .find(|&at| ends(at) || (text[at] == ',' && ends(at + 1)))
        .unwrap_or(1)
}

#[rustfmt::skip]
const ABBREVIATIONS: &[&str] = &[
    ". .", "a.a", "a.c", "a.d", "a.g", "a.h", "a.m", "a.m.e", "a.s", "a.t", "adm", "ala", "ariz", "aug",
    "ave", "b.f", "b.v", "bros", "c", "c.i.t", "c.o.m.b", "c.v", "calif", "chg", "cie", "co", "col",
    "colo", "conn", "corp", "cos", "ct", "d", "d.c", "d.h", "d.w", "dec", "dr", "e", "e.f", "e.h", "e.l",
    "e.m", "f", "f.g", "f.j", "feb", "fla", "fri", "ft", "g", "g.d", "g.f", "g.k", "ga", "gen", "h",
    "h.c", "h.f", "h.m", "i.m.s", "ill", "inc", "j.b", "j.c", "j.j", "j.k", "j.p", "j.r", "jan", "jr",
    "k", "kan", "ky", "l", "l.a", "l.f", "l.p", "lt", "ltd", "m", "m.b.a", "m.d.c", "m.j", "maj",
    "messrs", "mg", "mich", "minn", "mr", "mrs", "ms", "n", "n.c", "n.d", "n.h", "n.j", "n.m", "n.v",
    "n.y", "nev", "nov", "oct", "ok", "okla", "ore", "p", "p.a.m", "p.m", "pa", "ph.d", "prof", "r",
    "r.a", "r.h", "r.i", "r.j", "r.k", "r.t", "rep", "reps", "s", "s.a", "s.a.y", "s.c", "s.g", "s.p.a",
    "s.s", "sen", "sep", "sept", "sr", "st", "sw", "t", "t.j", "tenn", "tues", "u.k", "u.n", "u.s",
    "u.s.a", "u.s.s.r", "v", "va", "vs", "vt", "w", "w.c", "w.r", "w.va", "w.w", "wash", "wed", "wis",
    "yr",
];

#[rustfmt::skip]
const STARTERS: &[&str] = &[
    "according", "although", "among", "both", "but", "despite", "even", "he", "however", "i", "if", "in",
    "indeed", "instead", "it", "many", "meanwhile", "moreover", "most", "nevertheless", "nonetheless",
    "nor", "sales", "separately", "similarly", "since", "so", "some", "the", "there", "these", "they",
    "this", "though", "thus", "under", "when", "while", "yet",
];

#[rustfmt::skip]
const COLLOCATIONS: &[(&str, &str)] = &[
    ("##number##", "abreast"), ("##number##", "aes"), ("##number##", "business"), ("##number##", "cbot"),
    ("##number##", "colgate"), ("##number##", "commodities"), ("##number##", "cooper"),
    ("##number##", "corrections"), ("##number##", "credit"), ("##number##", "dividend"),
    ("##number##", "financing"), ("##number##", "genentech"), ("##number##", "henley"),
    ("##number##", "insider"), ("##number##", "international"), ("##number##", "leisure"),
    ("##number##", "letters"), ("##number##", "notable"), ("##number##", "pay-fone"),
    ("##number##", "pegasus"), ("##number##", "pepper"), ("##number##", "review"), ("##number##", "rj"),
    ("##number##", "wedgestone"), ("##number##", "who"), ("##number##", "zimmer"), ("b", "edelman"),
    ("b", "levine"), ("b", "smith"), ("b", "stewart"), ("b", "wigton"), ("i", "magnin"), ("i", "toussie"),
    ("j", "aron"), ("j", "fialka"), ("j", "walter"), ("o", "ludcke"),
];
