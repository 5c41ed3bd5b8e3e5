//! What rows lack, in words.

use percept_credit::preference::Kind;

/// What a row lacks that is no pair.
pub(crate) fn not_a_pair() -> &'static str {
    "no pair: found neither a chosen answer nor rejected ones; expected the columns `chosen` and `rejected` (or `rejected_images`)\n  \
     help: `[dpo]` reads rows of TRL (`prompt`, `chosen`, `rejected`, `images`), ms-swift (`messages`, `rejected_response`, \
     `rejected_images`) and RLHF-V; other rows go to [sft] or [rl]"
}

pub(crate) const CONFIDENCE: &str = "confidence of the annotator";
pub(crate) const CLIP_GAP: &str = "similarity of picture and text (clip_gap)";

/// A kind of response in words, and how rows get one.
pub(crate) fn named(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::ChosenRejectedImage | Kind::CorrectedRejectedImage => (
            "rejected picture",
            "`percept data visual-pairs` makes them; the column is `rejected_images`",
        ),
        Kind::Corrected => (
            "corrected answer",
            "a column `corrected`, or ai_pair_coef = 0",
        ),
        Kind::ChosenNoImage | Kind::RejectedNoImage => {
            ("picture to take away", "choose rows with pictures")
        }
        Kind::Chosen => ("chosen answer", "a column `chosen`"),
        Kind::Rejected => ("rejected answer", "a column `rejected`"),
        Kind::General => ("general response", "rows with an answer"),
    }
}
