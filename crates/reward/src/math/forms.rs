//! Dates and times of day: they are read whole, never computed.

/// A point in time that an answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Date {
        year: Option<u32>,
        month: u32,
        day: u32,
    },
    /// Hour and minute as written, seconds, and whether it is before (false) or after noon.
    Time {
        hour: u32,
        minute: u32,
        second: u32,
        afternoon: Option<bool>,
    },
}

/// Reads a text in normal form (`text::normal`): pieces between blanks.
pub(super) fn read(text: &str) -> Option<Form> {
    if text.len() > 60 || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let pieces: Vec<&str> = text
        .split(' ')
        .filter(|piece| !matches!(*piece, "at" | "on" | "the" | "of" | "is" | "it" | "," | "∶"))
        .collect();
    time(&pieces).or_else(|| date(&pieces))
}

fn number(piece: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let whole = piece.bytes().all(|b| b.is_ascii_digit()) && digits.contains(&piece.len());
    whole.then(|| piece.parse().ok())?
}

fn time(pieces: &[&str]) -> Option<Form> {
    let (afternoon, pieces) = match pieces {
        [rest @ .., "am" | "AM"] => (Some(false), rest),
        [rest @ .., "pm" | "PM"] => (Some(true), rest),
        [rest @ .., "o", "clock"] | [rest @ .., "o’clock"] => (None, rest),
        all => (None, all),
    };
    let marked = afternoon.is_some();
    let (hour, minute, second) = match pieces {
        [hour] if marked => (number(hour, 1..=2)?, 0, 0),
        [hour, ":", minute] => (number(hour, 1..=2)?, number(minute, 2..=2)?, 0),
        [hour, ":", minute, ":", second] => (
            number(hour, 1..=2)?,
            number(minute, 2..=2)?,
            number(second, 2..=2)?,
        ),
        _ => return None,
    };
    (hour <= 24 && minute < 60 && second < 60 && (!marked || hour <= 12)).then_some(Form::Time {
        hour,
        minute,
        second,
        afternoon,
    })
}

fn month(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = MONTHS.iter().position(|full| {
        *full == name || (name.len() >= 3 && full.starts_with(name) && name.len() <= 4)
    })?;
    u32::try_from(at + 1).ok()
}

fn day(pieces: &[&str]) -> Option<(u32, usize)> {
    let day = number(pieces.first()?, 1..=2)?;
    let suffix = pieces
        .get(1)
        .is_some_and(|next| matches!(*next, "st" | "nd" | "rd" | "th"));
    Some((day, 1 + usize::from(suffix)))
}

fn date(pieces: &[&str]) -> Option<Form> {
    let found = match pieces {
        [y, "-", m, "-", d] | [y, "/", m, "/", d] | [y, "年", m, "月", d, "日" | "号"] => {
            if let Some(year) = number(y, 4..=4) {
                Some((Some(year), number(m, 1..=2)?, number(d, 1..=2)?))
            } else {
                // 7/4/1776: which of the two is the month is not said; they are kept in order.
                Some((
                    Some(number(d, 4..=4)?),
                    number(y, 1..=2)?,
                    number(m, 1..=2)?,
                ))
            }
        }
        [m, "月", d, "日" | "号"] => Some((None, number(m, 1..=2)?, number(d, 1..=2)?)),
        [name, rest @ ..] if month(name).is_some() => {
            let (day, used) = day(rest)?;
            Some((year(&rest[used..])?, month(name)?, day))
        }
        all => {
            let (day, used) = day(all)?;
            let name = month(all.get(used)?)?;
            Some((year(&all[used + 1..])?, name, day))
        }
    };
    let (year, month, day) = found?;
    ((1..=31).contains(&month) && (1..=31).contains(&day)).then_some(Form::Date {
        year,
        month,
        day,
    })
}

/// The year, none, or what is no date.
fn year(pieces: &[&str]) -> Option<Option<u32>> {
    match pieces {
        [] => Some(None),
        [year] | [",", year] => number(year, 4..=4).map(Some),
        _ => None,
    }
}

impl Form {
    /// Whether the answer names the same date or time: half of the day may be left out.
    pub(super) fn same(self, answer: Self) -> bool {
        let (
            Self::Time {
                hour: h1,
                minute: m1,
                second: s1,
                afternoon: a1,
            },
            Self::Time {
                hour: h2,
                minute: m2,
                second: s2,
                afternoon: a2,
            },
        ) = (self, answer)
        else {
            return self == answer;
        };
        if (m1, s1) != (m2, s2) {
            return false;
        }
        let full = |hour: u32, afternoon: Option<bool>| match afternoon {
            Some(true) if hour < 12 => hour + 12,
            Some(false) if hour == 12 => 0,
            _ => hour,
        };
        match (a1, a2) {
            (Some(_), Some(_)) => full(h1, a1) == full(h2, a2),
            _ => h1 == h2 || full(h1, a1) == full(h2, a2),
        }
    }
}
