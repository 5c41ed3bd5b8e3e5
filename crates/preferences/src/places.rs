//! Where a collection's files are.

use std::path::{Path, PathBuf};

/// The files of a collection: in a folder of their own, or beside the file that a user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The pairs.
    pub pairs: PathBuf,
    /// Every answer with its claims.
    pub candidates: PathBuf,
    /// Rows that gave no pair.
    pub skipped: PathBuf,
    /// Counts.
    pub summary: PathBuf,
    /// What the model answered.
    pub answers: PathBuf,
    /// What the judge answered.
    pub judge: PathBuf,
}

impl Places {
    /// `out.jsonl` and `out.candidates.jsonl`, … beside it; or, in the folder `out`, `preferences.jsonl`,
    /// `candidates.jsonl`, ….
    pub fn of(out: &Path) -> Self {
        let file = out.extension().is_some_and(|ending| ending == "jsonl");
        let place = |name: &str| match file {
            true => out.with_extension(name),
            false => out.join(name),
        };
        Self {
            pairs: match file {
                true => out.to_path_buf(),
                false => out.join("preferences.jsonl"),
            },
            candidates: place("candidates.jsonl"),
            skipped: place("skipped.jsonl"),
            summary: place("summary.json"),
            answers: place("answers.journal.jsonl"),
            judge: place("judge.journal.jsonl"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_others_beside_it_and_a_folder_has_all_inside() {
        let beside = Places::of(Path::new("sets/round-1.jsonl"));
        assert_eq!(
            beside.candidates,
            Path::new("sets/round-1.candidates.jsonl")
        );
        assert_eq!(beside.summary, Path::new("sets/round-1.summary.json"));
        let inside = Places::of(Path::new("sets/round.1"));
        assert_eq!(inside.pairs, Path::new("sets/round.1/preferences.jsonl"));
        assert_eq!(inside.judge, Path::new("sets/round.1/judge.journal.jsonl"));
    }
}
