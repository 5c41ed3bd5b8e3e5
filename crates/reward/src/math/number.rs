//! Numbers as people write them: `1,234.5`, `12\ 000`, `1_234`, `3{.}14`, `0.\overline{3}`,
//! `0.\dot{3}`, `0.333…`, `1.5e-3`.

use super::expr::Decimal;
use super::lexer::Lexer;
use super::token::Token;

/// Significant digits from which on a decimal may be the rounded form of another number: with fewer,
/// nothing but the number itself is within the tolerance of 1e-6.
const ROUNDED_DIGITS: usize = 6;

/// Most digits before an ellipsis that are searched for a period.
const MAX_PERIOD: usize = 60;

/// What may stand between groups of three digits.
const GROUP_MARKS: [&str; 13] = [
    "{,}", ",\\!", "\\,\\!", "\\,", "\\!", "\\ ", "\\;", "\\:", "{ }", "~", "_", " ", ",",
];

impl<'a> Lexer<'a> {
    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn number(&mut self) {
        let mut digits = self.digits().to_owned();
        if (1..=3).contains(&digits.len()) {
            while let Some(skip) = self.thousands() {
                self.at += skip;
                digits.push_str(self.digits());
            }
        }
        let mut number = Decimal::integer(digits);
        if let Some(mark) = self.point() {
            self.at += mark;
            let fraction = self.digits();
            number.exponent = -i32::try_from(fraction.len()).unwrap_or(i32::MAX);
            number.digits.push_str(fraction);
            number.rounded = number.significant() >= ROUNDED_DIGITS;
            if let Some(period) = self.period(fraction) {
                number.rounded = false;
                return self.push(Token::Repeating(number, period));
            }
        }
        self.scientific(&mut number);
        self.push(Token::Number(number));
    }

    /// Bytes of a decimal point that stands here.
    fn point(&self) -> Option<usize> {
        let rest = self.rest();
        let mark = if rest.starts_with("{.}") { "{.}" } else { "." };
        let after = rest.strip_prefix(mark)?;
        let repeats = ["\\overline{", "\\bar{", "\\dot{", "\\dot "]
            .iter()
            .any(|command| after.starts_with(command));
        // `0.(3)`, but not `2.(3)` after a full stop.
        let bracketed =
            after.starts_with('(') && after[1..].starts_with(|c: char| c.is_ascii_digit());
        (repeats || bracketed || after.starts_with(|c: char| c.is_ascii_digit()))
            .then_some(mark.len())
    }

    /// The digits that repeat for ever after `fraction`, if the text says that some do.
    fn period(&mut self, fraction: &str) -> Option<String> {
        for command in ["\\overline{", "\\bar{"] {
            if let Some(after) = self.rest().strip_prefix(command) {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
                if end > 0 && after[end..].starts_with('}') {
                    self.at += command.len() + end + 1;
                    return Some(after[..end].to_owned());
                }
            }
        }
        if self.rest().starts_with("\\dot") {
            return self.dotted();
        }
        if fraction.is_empty() {
            let after = self.rest().strip_prefix('(')?;
            let end = after.find(|c: char| !c.is_ascii_digit())?;
            after[end..].starts_with(')').then_some(())?;
            self.at += end + 2;
            return Some(after[..end].to_owned());
        }
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let mark = ["...", "\\ldots", "\\dots", "\\cdots", ".."]
            .into_iter()
            .find(|mark| rest[blanks..].starts_with(mark))?;
        let period = repeated(fraction)?;
        self.at += blanks + mark.len();
        Some(period)
    }

    /// `\dot{1}4285\dot{7}`: from the first dotted digit to the last.
    fn dotted(&mut self) -> Option<String> {
        let rest = self.rest();
        let (first, mut at) = dotted_digit(rest)?;
        let mut period = String::from(first);
        let between = rest[at..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len() - at);
        if let Some((last, used)) = dotted_digit(&rest[at + between..]) {
            period.push_str(&rest[at..at + between]);
            period.push(last);
            at += between + used;
        }
        self.at += at;
        Some(period)
    }

    /// `e-3` directly after the digits.
    fn scientific(&mut self, number: &mut Decimal) {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(['e', 'E']) else {
            return;
        };
        let unsigned = after.strip_prefix(['-', '+']).unwrap_or(after);
        let length = unsigned
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(unsigned.len());
        let written = &after[..after.len() - unsigned.len() + length];
        if let Ok(exponent) = written.parse::<i16>() {
            number.exponent = number.exponent.saturating_add(i32::from(exponent));
            number.rounded |= exponent < 0 && number.significant() >= ROUNDED_DIGITS;
            if number.exponent > 0 && number.exponent < 4096 {
                // Whole numbers stay whole: 1e3 is 1000.
                let zeros = number.exponent as usize;
                number.digits.extend(std::iter::repeat_n('0', zeros));
                number.exponent = 0;
            }
            self.at += 1 + written.len();
        }
    }

    /// Bytes of a thousands separator, if one stands here with exactly three digits after it.
    fn thousands(&self) -> Option<usize> {
        let rest = self.rest();
        let mark = GROUP_MARKS
            .into_iter()
            .find(|mark| rest.starts_with(mark) && (*mark != "," || self.brackets == 0))?;
        let after = &rest.as_bytes()[mark.len()..];
        let three = after.len() >= 3 && after[..3].iter().all(u8::is_ascii_digit);
        // `3 125/1000` is a mixed number.
        let ends = match after.get(3) {
            Some(b'/') => mark != " ",
            Some(next) => !next.is_ascii_digit(),
            None => true,
        };
        (three && ends).then_some(mark.len())
    }
}

/// `\dot{3}` or `\dot 3`: the digit and the bytes that it takes.
fn dotted_digit(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix("\\dot")?;
    let inner = rest.trim_start_matches([' ', '{']);
    let digit = inner.chars().next().filter(char::is_ascii_digit)?;
    let open = rest[..rest.len() - inner.len()].contains('{');
    if open && !inner[1..].starts_with('}') {
        return None;
    }
    Some((digit, text.len() - inner.len() + 1 + usize::from(open)))
}

/// The shortest period at the end of `0.1666` or `0.142857142857`; a single digit must stand there
/// three times or be all that there is.
fn repeated(fraction: &str) -> Option<String> {
    let digits = fraction.as_bytes();
    if digits.len() < 2 || digits.len() > MAX_PERIOD {
        return None;
    }
    let ends_with = |length: usize, times: usize| {
        length * times <= digits.len() && {
            let tail = &digits[digits.len() - length * times..];
            let (first, _) = tail.split_at(length);
            tail.chunks(length).all(|chunk| chunk == first)
        }
    };
    let single = ends_with(1, 3) || (ends_with(1, 2) && digits.len() == 2);
    let length = if single {
        1
    } else {
        (2..=digits.len() / 2).find(|&length| ends_with(length, 2))?
    };
    Some(fraction[fraction.len() - length..].to_owned())
}
