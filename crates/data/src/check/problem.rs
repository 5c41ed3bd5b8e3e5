//! The kinds of problems that a row can have.

/// What a caller knows about a row that this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowTokens {
    /// Tokens of the prompt, image tokens included.
    pub prompt: usize,
    /// Tokens that stand for images and videos.
    pub image: usize,
}

/// Kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The row cannot be read or has no usable prompt.
    Row,
    /// An image is missing, damaged or too large.
    Image,
    /// The prompt is longer than the limit.
    Overlong,
    /// The verifier cannot use the ground truth, or there is none.
    Answer,
    /// Supervised training has nothing to learn from the row.
    Target,
    /// Rows that are judged together, and one of them is missing or says something else.
    Group,
    /// A span that supervised training is to mask stands nowhere in the answer.
    Span,
    /// Same prompt and images as an earlier row, but another answer: one of the two is wrong.
    Contradiction,
    /// A pair teaches nothing, or something that nobody means: its answers are equal or differ in white space
    /// alone, its rejected picture is the real one.
    Pair,
    /// The rejected picture has another size, and so another number of tokens: the two contrasts differ in length too.
    PictureSize,
    /// Same prompt and images as an earlier row.
    Duplicate,
}

impl ProblemKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Image => "image",
            Self::Overlong => "overlong",
            Self::Answer => "answer",
            Self::Target => "target",
            Self::Group => "group",
            Self::Span => "span",
            Self::Contradiction => "contradiction",
            Self::Pair => "pair",
            Self::PictureSize => "picture size",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether training would lose the row or learn something wrong. A duplicate only costs, a loss may bear pictures of
    /// two sizes, and an answer without the span to be masked is learned whole.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Duplicate | Self::PictureSize | Self::Span)
    }
}

/// One problem of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The row: its id, or `file:row` when it cannot be read.
    pub id: String,
    /// The field inside the row, where one is to blame: `images[0]`.
    pub field: Option<String>,
    /// What kind.
    pub kind: ProblemKind,
    /// What, where, what was expected, what to do.
    pub message: String,
}
