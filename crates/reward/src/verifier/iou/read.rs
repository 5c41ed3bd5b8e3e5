//! Boxes in a text: one pass.

use super::rectangle::Rectangle;

/// What is known of four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Their order follows the option `format`.
    Unnamed,
    /// Left, top, right, bottom, by their names or as corners.
    Corners,
}

/// All boxes in a text, as groups of four numbers in its brackets, or of two pairs in a row; sides and
/// corners by their names. One pass.
///
/// ```
/// use percept_reward::boxes;
/// assert_eq!(boxes(r#"[{"bbox_2d": [1, 2, 3.5, 4], "label": "cat 2"}]"#), [[1.0, 2.0, 3.5, 4.0]]);
/// assert_eq!(boxes("<box>(1,2),(3,4)</box>"), [[1.0, 2.0, 3.0, 4.0]]);
/// assert_eq!(boxes("y1=2 x1=1 y2=4 x2=3"), [[1.0, 2.0, 3.0, 4.0]]);
/// ```
pub fn boxes(text: &str) -> Vec<Rectangle> {
    read(text).into_iter().map(|(sides, _)| sides).collect()
}

/// The same with what is known of the numbers.
pub(super) fn read(text: &str) -> Vec<(Rectangle, Shape)> {
    let mut reader = Reader::default();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += reader.step(text, at);
    }
    reader.flush();
    if reader.found.is_empty()
        && reader.open == 0
        && let Ok(four) = reader.loose[..].try_into()
    {
        reader.found.push((four, Shape::Unnamed));
    }
    reader.found
}

/// Most numbers of one bracket that are kept: the corners of a quadrilateral, and one that is too many.
const MOST: usize = 9;

#[derive(Default)]
struct Reader<'a> {
    found: Vec<(Rectangle, Shape)>,
    /// Numbers since the last bracket.
    group: Vec<f64>,
    /// Points since the last word.
    points: Vec<[f64; 2]>,
    /// All numbers outside quotes.
    loose: Vec<f64>,
    /// Sides by their names.
    named: [Option<f64>; SIDES.len()],
    /// A name, until its value is read.
    key: Option<&'a str>,
    /// Brackets that are open.
    open: usize,
    in_object: bool,
    /// There is no closing quote from here on.
    no_quotes: bool,
}

/// Names of sides; the first four make a box, as do groups of other four.
const SIDES: [&[&str]; 8] = [
    &["x1", "xmin", "x_min", "left", "x0", "x"],
    &["y1", "ymin", "y_min", "top", "y0", "y"],
    &["x2", "xmax", "x_max", "right"],
    &["y2", "ymax", "y_max", "bottom"],
    &["w", "width"],
    &["h", "height"],
    &["cx", "x_center", "center_x"],
    &["cy", "y_center", "center_y"],
];

impl<'a> Reader<'a> {
    /// Reads what is at `at`; how many bytes that were.
    fn step(&mut self, text: &'a str, at: usize) -> usize {
        let rest = &text.as_bytes()[at..];
        let byte = rest[0];
        if byte == b'"' || rest.starts_with(b"\\\"") {
            return self.quoted(text, at);
        }
        if byte.is_ascii_alphabetic() || byte == b'_' {
            let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
            let length = rest.iter().position(|b| !word(b)).unwrap_or(rest.len());
            self.word(&text[at..at + length]);
            return length;
        }
        if let Some((value, length)) = number(rest) {
            self.number(value);
            return length;
        }
        match byte {
            b'[' | b'(' | b'{' => {
                self.group.clear();
                self.open += 1;
                self.in_object = byte == b'{';
                if byte != b'{' {
                    self.key = None;
                }
            }
            b']' | b')' | b'}' => self.close(byte),
            b'<' => {
                if self.open == 0 {
                    self.take_group();
                }
                self.flush();
            }
            _ => {}
        }
        1
    }

    /// A quoted text: a name, a number, or nothing of interest.
    fn quoted(&mut self, text: &'a str, at: usize) -> usize {
        let rest = &text[at..];
        let mark = if rest.starts_with('\\') { 2 } else { 1 };
        let inside = &rest[mark..];
        if self.no_quotes {
            return mark;
        }
        let end = if mark == 2 {
            inside.find("\\\"")
        } else {
            let mut escaped = false;
            inside.bytes().position(|b| {
                let ends = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                ends
            })
        };
        // A quote without an end is a sign for inches.
        let Some(end) = end else {
            self.no_quotes = true;
            return mark;
        };
        let inside = &inside[..end];
        match number(inside.trim().as_bytes()) {
            Some((value, length)) if length == inside.trim().len() && self.key.is_some() => {
                self.number(value);
            }
            _ => self.word(inside),
        }
        2 * mark + end
    }

    fn word(&mut self, word: &'a str) {
        // "(1, 2) to (3, 4)" is one box; behind it, others come.
        if self.open == 0 && self.points.len() > 1 {
            self.flush();
        }
        self.key = Some(word);
    }

    fn number(&mut self, value: f64) {
        if self.loose.len() < MOST {
            self.loose.push(value);
        }
        if let Some(key) = self.key.take() {
            let side = SIDES
                .iter()
                .position(|names| names.iter().any(|name| name.eq_ignore_ascii_case(key)));
            if let Some(side) = side {
                self.side(side, value);
                return;
            }
            if self.in_object {
                return; // "score": 0.9
            }
        }
        if self.group.len() < MOST {
            self.group.push(value);
        }
    }

    /// A side by its name; a box once it has four.
    fn side(&mut self, side: usize, value: f64) {
        self.named[side] = Some(value);
        let sides = match self.named {
            [Some(a), Some(b), Some(c), Some(d), ..] => [a, b, c, d],
            [Some(x), Some(y), _, _, Some(w), Some(h), ..] => [x, y, x + w, y + h],
            [_, _, _, _, Some(w), Some(h), Some(x), Some(y)] => {
                [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
            }
            _ => return,
        };
        self.named = [None; SIDES.len()];
        self.found.push((sides, Shape::Corners));
    }

    fn close(&mut self, byte: u8) {
        self.open = self.open.saturating_sub(1);
        let pair = self.group.len() == 2;
        self.take_group();
        // The bracket around points ends their list.
        if !pair {
            self.flush();
        }
        self.key = None;
        // Behind a list inside an object, its next name comes.
        self.in_object = byte == b']' && self.open > 0;
    }

    /// The numbers of a bracket that ends.
    fn take_group(&mut self) {
        if let Ok(four) = self.group[..].try_into() {
            self.found.push((four, Shape::Unnamed));
            self.points.clear();
        } else if let [x, y] = self.group[..] {
            if self.points.len() < MOST {
                self.points.push([x, y]);
            }
        } else if self.group.len() == 8 {
            let points = self.group.chunks_exact(2).map(|p| [p[0], p[1]]);
            self.points = points.collect();
        }
        self.group.clear();
    }

    /// Points in a row: two are corners of a box, more the outline of a shape.
    fn flush(&mut self) {
        let points = std::mem::take(&mut self.points);
        match points[..] {
            [] | [_] => {}
            [[left, top], [x, y]] => self.found.push(([left, top, x, y], Shape::Corners)),
            _ => {
                let side = |at: usize, pick: fn(f64, f64) -> f64| {
                    points
                        .iter()
                        .map(|point| point[at])
                        .reduce(pick)
                        .unwrap_or(0.0)
                };
                let low = [side(0, f64::min), side(1, f64::min)];
                let high = [side(0, f64::max), side(1, f64::max)];
                self.found
                    .push(([low[0], low[1], high[0], high[1]], Shape::Corners));
            }
        }
    }
}

/// The number that a text starts with and its length in bytes: `-3`, `.1`, `3.`, `1e-05`.
fn number(bytes: &[u8]) -> Option<(f64, usize)> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len())
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + signed);
        if exponent > 0 {
            end += 1 + signed + exponent;
        }
    }
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let value: f64 = text.trim_end_matches('.').parse().ok()?;
    value.is_finite().then_some((value, end))
}
