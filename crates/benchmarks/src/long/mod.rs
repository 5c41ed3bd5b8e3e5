//! Long texts: a needle in a haystack, RULER's synthetic tasks, perplexity.
//!
//! Questions are those of NVIDIA's RULER (Hsieh et al., arXiv 2404.06654; `scripts/data/synthetic`)
//! in its words, with its settings and its score: the share of the expected strings that stand in
//! the answer, whatever their case (`string_match_all`). Not taken over: its word lists (`wonderwords`
//! and 8 MB of English words) and the essays of Paul Graham, which it downloads: words come from the
//! lists in `words.rs`, essays from a text of the user's, random numbers from our own generator. So
//! numbers are comparable between models here, not with published tables.

mod haystack;
mod needle;
mod perplexity;
mod plan;
mod question;
mod random;
mod ruler;
mod score;
mod words;

pub use haystack::Haystack;
pub use needle::grid;
pub use perplexity::{Perplexity, Window, perplexity, windows};
pub use plan::{CountTokens, Plan};
pub use question::Question;
pub use ruler::{TASKS, questions};
pub use score::string_match_all;

#[cfg(test)]
mod tests;
