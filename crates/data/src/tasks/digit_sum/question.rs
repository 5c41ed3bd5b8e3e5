//! The questions, their answers and the exact expert.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is asked about the digits of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionType {
    /// The sum of all digits.
    Sum,
    /// The largest digit.
    Largest,
    /// The smallest digit.
    Smallest,
    /// How many digits are even (0 is even).
    CountEven,
    /// The absolute difference of the left-most and the right-most digit.
    Difference,
    /// How many digits there are.
    Count,
    /// The product of the two left-most digits.
    Product,
    /// The second digit from the left.
    Second,
}

impl QuestionType {
    /// Every type, in the order in which samples cycle through them.
    pub const ALL: [Self; 8] = [
        Self::Sum,
        Self::Largest,
        Self::Smallest,
        Self::CountEven,
        Self::Difference,
        Self::Count,
        Self::Product,
        Self::Second,
    ];

    /// The name in recipes, metrics and `meta.question_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Largest => "largest",
            Self::Smallest => "smallest",
            Self::CountEven => "count_even",
            Self::Difference => "difference",
            Self::Count => "count",
            Self::Product => "product",
            Self::Second => "second",
        }
    }

    /// The ways to ask it.
    pub(super) fn phrasings(self) -> &'static [&'static str] {
        match self {
            Self::Sum => &[
                "What is the sum of the digits?",
                "Add all digits.",
                "What do all digits add up to?",
            ],
            Self::Largest => &[
                "What is the largest digit?",
                "Name the largest digit.",
                "Which digit is the largest?",
            ],
            Self::Smallest => &[
                "What is the smallest digit?",
                "Name the smallest digit.",
                "Which digit is the smallest?",
            ],
            Self::CountEven => &[
                "How many digits are even?",
                "Count the even digits.",
                "What is the number of even digits?",
            ],
            Self::Difference => &[
                "What is the difference of the first and the last digit?",
                "How far apart are the first and the last digit?",
                "Name the difference of the first and the last digit.",
            ],
            Self::Count => &[
                "How many digits are there?",
                "Count the digits.",
                "What is the number of digits?",
            ],
            Self::Product => &[
                "What is the product of the first two digits?",
                "Multiply the first two digits.",
                "Name the product of the first two digits.",
            ],
            Self::Second => &[
                "What is the second digit from the left?",
                "Name the second digit from the left.",
                "Which digit is the second from the left?",
            ],
        }
    }

    /// The answer for `digits`, left to right; at least two of them.
    pub(super) fn answer(self, digits: &[u8]) -> u32 {
        let values = digits.iter().map(|&d| u32::from(d));
        match self {
            Self::Sum => values.sum(),
            Self::Largest => values.max().unwrap_or(0),
            Self::Smallest => values.min().unwrap_or(0),
            Self::CountEven => values.filter(|d| d % 2 == 0).count() as u32,
            Self::Difference => u32::from(digits[0].abs_diff(digits[digits.len() - 1])),
            Self::Count => digits.len() as u32,
            Self::Product => u32::from(digits[0]) * u32::from(digits[1]),
            Self::Second => u32::from(digits[1]),
        }
    }

    /// The expert's text: what it sees from left to right, small steps, the boxed answer.
    /// `seen` is the content of each cell.
    pub(super) fn expert(self, seen: &[Option<u8>]) -> String {
        let digits: Vec<u8> = seen.iter().flatten().copied().collect();
        let cells: String = seen
            .iter()
            .map(|cell| cell.map_or_else(|| " _".to_owned(), |d| format!(" {d}")))
            .collect();
        let steps = self.steps(&digits);
        format!(
            "<think>I see{cells}.{steps}.</think> \\boxed{{{}}}",
            self.answer(&digits)
        )
    }

    fn steps(self, digits: &[u8]) -> String {
        let (first, last) = (digits[0], digits[digits.len() - 1]);
        match self {
            Self::Sum => running(digits, |total, digit| {
                (total + digit, format!("{total}+{digit}={}", total + digit))
            }),
            Self::Largest => running(digits, |best, digit| {
                (best.max(digit), compare(best, digit))
            }),
            Self::Smallest => running(digits, |best, digit| {
                (best.min(digit), compare(best, digit))
            }),
            Self::CountEven => {
                let even: String = digits
                    .iter()
                    .filter(|&d| d % 2 == 0)
                    .map(|d| format!(" {d}"))
                    .collect();
                format!(" Even{}", if even.is_empty() { " none" } else { &even })
            }
            Self::Difference => {
                let (high, low) = (first.max(last), first.min(last));
                format!(" Ends {first} {last}. {high}-{low}={}", high - low)
            }
            Self::Count => {
                " Count".to_owned()
                    + &(1..=digits.len())
                        .map(|n| format!(" {n}"))
                        .collect::<String>()
            }
            Self::Product => format!(" {}*{}={}", digits[0], digits[1], self.answer(digits)),
            Self::Second => format!(" Second {}", digits[1]),
        }
    }
}

/// Folds the digits from left to right and writes each step.
fn running(digits: &[u8], step: impl Fn(u32, u32) -> (u32, String)) -> String {
    let mut state = u32::from(digits[0]);
    let mut text = String::new();
    for &digit in &digits[1..] {
        let (next, written) = step(state, u32::from(digit));
        state = next;
        text.push(' ');
        text.push_str(&written);
    }
    text
}

fn compare(a: u32, b: u32) -> String {
    let sign = match a.cmp(&b) {
        std::cmp::Ordering::Less => '<',
        std::cmp::Ordering::Equal => '=',
        std::cmp::Ordering::Greater => '>',
    };
    format!("{a}{sign}{b}")
}

/// Every piece of text that a tokenizer needs for the prompts and the expert of this task, longest first, without
/// repetition: words with their leading space, single digits with and without one, operators, the tags, and the words
/// of a ChatML turn. Cutting a text greedily by the longest piece loses nothing.
pub fn corpus_pieces() -> Vec<String> {
    let mut pieces: Vec<String> = [
        "<think>",
        "</think>",
        " \\boxed{",
        "\\boxed{",
        "}",
        " ",
        " _",
        "\n",
        "I",
        " see",
        " Even",
        " none",
        " Ends",
    ]
    .into_iter()
    .chain([
        " Count", " Second", ".", ",", "?", ":", "+", "-", "*", "=", "<", ">",
    ])
    // The turns of ChatML and the usual system prompt.
    .chain([
        "system",
        "user",
        "assistant",
        "You",
        " are",
        " a",
        " helpful",
        " assistant",
    ])
    .map(str::to_owned)
    .collect();
    for digit in 0..10 {
        pieces.extend([format!("{digit}"), format!(" {digit}")]);
    }
    for phrasing in QuestionType::ALL
        .iter()
        .flat_map(|question| question.phrasings())
    {
        for (i, word) in phrasing.split(' ').enumerate() {
            let word = word.trim_end_matches(['.', '?']);
            pieces.push(if i == 0 {
                word.to_owned()
            } else {
                format!(" {word}")
            });
        }
    }
    pieces.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    pieces.dedup();
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digits in the last of five cells.
    fn spread(digits: &[u8]) -> Vec<Option<u8>> {
        let empty = std::iter::repeat_n(None, 5 - digits.len());
        empty.chain(digits.iter().copied().map(Some)).collect()
    }

    /// Greedy longest-match; the pieces come longest first.
    fn cut<'a>(mut text: &'a str, pieces: &[String]) -> Vec<&'a str> {
        let mut cuts = Vec::new();
        while !text.is_empty() {
            let piece = pieces.iter().find(|piece| text.starts_with(piece.as_str()));
            let length = piece
                .unwrap_or_else(|| panic!("no piece begins {text:?}"))
                .len();
            cuts.push(&text[..length]);
            text = &text[length..];
        }
        cuts
    }

    fn every_digits() -> impl Iterator<Item = Vec<u8>> {
        (2..=5u32).flat_map(|n| {
            (0..10u32.pow(n))
                .step_by(7)
                .map(move |k| (0..n).map(|i| (k / 10u32.pow(i) % 10) as u8).collect())
        })
    }

    #[test]
    fn pieces_cover_every_question_and_expert() {
        let pieces = corpus_pieces();
        assert!(pieces.len() < 128, "{}", pieces.len());
        let longest_prompt = QuestionType::ALL
            .iter()
            .flat_map(|q| q.phrasings())
            .map(|text| cut(text, &pieces).len())
            .max();
        assert!(longest_prompt.unwrap() <= 14, "{longest_prompt:?}");
        let mut longest = 0;
        for digits in every_digits() {
            for question in QuestionType::ALL {
                let seen = spread(&digits);
                longest = longest.max(cut(&question.expert(&seen), &pieces).len());
            }
        }
        assert!(longest <= 42, "{longest}");
        cut("system\nYou are a helpful assistant.\nuser\n", &pieces);
    }

    #[test]
    fn the_expert_boxes_the_answer_and_names_the_digits() {
        for digits in every_digits() {
            for question in QuestionType::ALL {
                let expert = question.expert(&spread(&digits));
                let boxed = expert
                    .split("\\boxed{")
                    .nth(1)
                    .unwrap()
                    .trim_end_matches('}');
                assert_eq!(boxed, question.answer(&digits).to_string());
                let seen: Vec<u8> = expert["<think>I see ".len()..expert.find('.').unwrap()]
                    .split(' ')
                    .filter_map(|d| d.parse().ok())
                    .collect();
                assert_eq!(seen, digits);
            }
        }
    }

    #[test]
    fn steps_read_as_arithmetic() {
        let digits = [3, 7, 2].map(Some);
        let think = |question: QuestionType| question.expert(&digits);
        assert_eq!(
            think(QuestionType::Sum),
            "<think>I see 3 7 2. 3+7=10 10+2=12.</think> \\boxed{12}"
        );
        assert_eq!(
            think(QuestionType::Largest),
            "<think>I see 3 7 2. 3<7 7>2.</think> \\boxed{7}"
        );
        assert_eq!(
            think(QuestionType::Smallest),
            "<think>I see 3 7 2. 3<7 3>2.</think> \\boxed{2}"
        );
        assert_eq!(
            think(QuestionType::CountEven),
            "<think>I see 3 7 2. Even 2.</think> \\boxed{1}"
        );
        assert_eq!(
            think(QuestionType::Difference),
            "<think>I see 3 7 2. Ends 3 2. 3-2=1.</think> \\boxed{1}"
        );
        assert_eq!(
            think(QuestionType::Count),
            "<think>I see 3 7 2. Count 1 2 3.</think> \\boxed{3}"
        );
        assert_eq!(
            think(QuestionType::Product),
            "<think>I see 3 7 2. 3*7=21.</think> \\boxed{21}"
        );
        assert_eq!(
            think(QuestionType::Second),
            "<think>I see 3 7 2. Second 7.</think> \\boxed{7}"
        );
    }
}
