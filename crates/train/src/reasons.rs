//! Why things failed, by kind: a thousand rows that fail alike are one line.

use percept_base::without_numbers;
use serde::{Deserialize, Serialize};

/// Kinds that are told apart; what comes after is counted without a kind.
const KINDS: usize = 50;

/// Characters of a reason that tell its kind.
const LETTERS: usize = 1000;

/// Failures by kind, with an example of each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reasons {
    count: usize,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kind {
    count: usize,
    /// The first reason of the kind.
    reason: String,
    /// Where it was.
    place: String,
}

impl Reasons {
    /// Something at `place` failed.
    pub fn add(&mut self, place: &str, reason: &str) {
        self.insert(1, place, reason);
        self.count += 1;
    }

    fn insert(&mut self, count: usize, place: &str, reason: &str) {
        let wanted = without_numbers(reason, LETTERS);
        let known = self
            .kinds
            .iter_mut()
            .find(|kind| without_numbers(&kind.reason, LETTERS) == wanted);
        if let Some(kind) = known {
            kind.count += count;
        } else if self.kinds.len() < KINDS {
            self.kinds.push(Kind {
                count,
                reason: reason.to_owned(),
                place: place.to_owned(),
            });
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        for kind in &other.kinds {
            self.insert(kind.count, &kind.place, &kind.reason);
        }
        self.count += other.count;
    }

    /// How many failed.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The commonest kinds, a line each: how often, why, and one example.
    pub fn commonest(&self, most: usize) -> String {
        let mut kinds: Vec<&Kind> = self.kinds.iter().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        let line = |kind: &&Kind| {
            let reason = kind.reason.trim().replace('\n', "\n    ");
            format!("  {} × {reason} (for example {})", kind.count, kind.place)
        };
        let mut lines: Vec<String> = kinds.iter().take(most).map(line).collect();
        let shown: usize = kinds.iter().take(most).map(|kind| kind.count).sum();
        if shown < self.count {
            lines.push(format!("  {} × other reasons", self.count - shown));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_numbers_are_one_kind_and_the_commonest_comes_first() {
        let mut reasons = Reasons::default();
        reasons.add("a.jsonl:1", "no image");
        for row in 2..5 {
            reasons.add(
                &format!("a.jsonl:{row}"),
                &format!("prompt of {}00 tokens", row),
            );
        }
        assert_eq!(reasons.count(), 4);
        assert_eq!(
            reasons.commonest(1),
            "  3 × prompt of 200 tokens (for example a.jsonl:2)\n  1 × other reasons"
        );
    }
}
