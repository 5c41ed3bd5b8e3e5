//! Numbers in words: `forty-two`, `two thirds`, `third`, `三百五十`, `三分之二`.

use super::expr::{Decimal, Expr};

const ONES: [&str; 20] = [
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
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const ORDINALS: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];

fn find(table: &[&str], word: &str) -> Option<u64> {
    let at = table
        .iter()
        .position(|known| known.eq_ignore_ascii_case(word))?;
    u64::try_from(at).ok()
}

/// `7`, `70` of a word below a hundred.
fn small(word: &str) -> Option<u64> {
    find(&ONES, word).or_else(|| Some((find(&TENS, word)? + 2) * 10))
}

/// Words that multiply what stands before them.
pub(super) fn magnitude(word: &str) -> Option<u64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "hundred" | "百" => 100,
        "thousand" | "thousands" | "千" => 1000,
        "lakh" => 100_000,
        "million" | "millions" | "百万" => 1_000_000,
        "crore" => 10_000_000,
        "billion" | "billions" | "十亿" => 1_000_000_000,
        "trillion" | "trillions" | "万亿" => 1_000_000_000_000,
        "万" => 10_000,
        "千万" => 10_000_000,
        "亿" => 100_000_000,
        "dozen" | "dozens" => 12,
        _ => return None,
    })
}

/// Denominators by name, one or several.
fn denominator(word: &str) -> Option<u64> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "half" | "halves" => 2,
        "quarter" | "quarters" => 4,
        "third" | "thirds" => 3,
        other => {
            let value = find(&ORDINALS, other.strip_suffix('s').unwrap_or(other))?;
            (value >= 4).then_some(value)?
        }
    })
}

/// Reads a number from the front of `words`: its value and how many words it takes.
pub(super) fn english(words: &[&str]) -> Option<(Expr, usize)> {
    let (mut total, mut group, mut at) = (0u64, None::<u64>, 0);
    while let Some(&word) = words.get(at) {
        if let Some(value) = small(word) {
            group = match group {
                None => Some(value),
                // `forty two`, `two hundred five`, but not `two three`.
                Some(before)
                    if (before % 10 == 0 && before % 100 >= 20 && (1..10).contains(&value))
                        || (before >= 100 && before % 100 == 0) =>
                {
                    Some(before + value)
                }
                Some(_) => break,
            };
        } else if let Some(factor) = magnitude(word).filter(|&factor| factor != 12) {
            let Some(before) = group else { break };
            if factor == 100 {
                group = Some(before.checked_mul(100)?);
            } else {
                total = total.checked_add(before.checked_mul(factor)?)?;
                group = Some(0);
            }
        } else {
            break;
        }
        at += 1;
    }
    let Some(last) = group else {
        return fraction(1, words, 0);
    };
    let value = total.checked_add(last)?;
    fraction(value, words, at).or_else(|| Some((integer(value), at)))
}

/// `half`, `two thirds`: the numerator was read.
fn fraction(numerator: u64, words: &[&str], at: usize) -> Option<(Expr, usize)> {
    let name = words.get(at)?;
    let below = denominator(name)?;
    if at == 0 && !matches!(name.to_ascii_lowercase().as_str(), "half" | "quarter") {
        return None;
    }
    Some((
        Expr::Quotient(Box::new(integer(numerator)), Box::new(integer(below))),
        at + 1,
    ))
}

/// `third`, `twenty-first`.
pub(super) fn ordinal(words: &[&str]) -> Option<u64> {
    match words {
        [one] if one.eq_ignore_ascii_case("twentieth") => Some(20),
        [one] => find(&ORDINALS, one),
        [tens, one] => {
            let one = find(&ORDINALS, one).filter(|one| (1..10).contains(one))?;
            Some((find(&TENS, tens)? + 2) * 10 + one)
        }
        _ => None,
    }
}

fn integer(value: u64) -> Expr {
    Expr::Number(Decimal::integer(value.to_string()))
}

fn chinese_digit(c: char) -> Option<u64> {
    const DIGITS: &str = "零一二三四五六七八九";
    match c {
        '两' => Some(2),
        '〇' => Some(0),
        _ => u64::try_from(DIGITS.chars().position(|digit| digit == c)?).ok(),
    }
}

/// Reads a number from the front of Chinese text: its value and the bytes that it takes.
pub(super) fn chinese(text: &str) -> Option<(Expr, usize)> {
    let (value, used) = chinese_integer(text)?;
    let Some(rest) = text[used..].strip_prefix("分之") else {
        return Some((integer(value), used));
    };
    let (above, more) = chinese_integer(rest)?;
    let used = used + "分之".len() + more;
    Some((
        Expr::Quotient(Box::new(integer(above)), Box::new(integer(value))),
        used,
    ))
}

fn chinese_integer(text: &str) -> Option<(u64, usize)> {
    let (mut total, mut section, mut digit) = (0u64, 0u64, None::<u64>);
    let mut used = 0;
    for c in text.chars() {
        if let Some(value) = chinese_digit(c) {
            digit = match digit {
                // 二零一九: digit by digit.
                Some(before) if section == 0 && total == 0 => {
                    Some(before.checked_mul(10)?.checked_add(value)?)
                }
                Some(0) | None => Some(value),
                Some(_) => break,
            };
        } else {
            let factor = match c {
                '十' => 10,
                '百' => 100,
                '千' => 1000,
                '万' => 10_000,
                '亿' => 100_000_000,
                _ => break,
            };
            if factor < 10_000 {
                if used == 0 && factor != 10 && text.chars().nth(1).is_some_and(|c| c == '分') {
                    section = section.checked_add(factor)?;
                } else if digit.is_none() && factor != 10 {
                    break;
                } else {
                    section =
                        section.checked_add(digit.take().unwrap_or(1).checked_mul(factor)?)?;
                }
            } else {
                let below = section.checked_add(digit.take().unwrap_or(0))?;
                if below == 0 {
                    break;
                }
                total = total.checked_add(below.checked_mul(factor)?)?;
                section = 0;
            }
        }
        used += c.len_utf8();
    }
    if used == 0 {
        return None;
    }
    let value = total
        .checked_add(section)?
        .checked_add(digit.unwrap_or(0))?;
    Some((value, used))
}
