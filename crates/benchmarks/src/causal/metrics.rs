//! CAC, AAC, CHR, CPR and the accuracies they come from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names::original_of;
use super::question::{Answer, Answered, Kind, Tag};
use percept_eval::Estimate;
use percept_eval::stats::{DIFFERENCE, Range, SHARE};
use percept_eval::stats::{intervals, ratio};

/// The numbers of a run, each with a 95 % interval over originals with all their edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Contextual object accuracy change (recognition by company; lower is better).
    pub cac: Estimate,
    /// Absent object accuracy change (the authors' code: `nac`; lower is better).
    pub aac: Estimate,
    /// Counterfactual object hallucination rate (lower is better).
    pub chr: Estimate,
    /// Share of pairs with both contextual answers right.
    pub cpr_target: Estimate,
    /// Share of pairs with both answers about the first absent object right.
    pub cpr_absent: Estimate,
    /// Accuracy about contextual objects on originals.
    pub target_origin_accuracy: Estimate,
    /// … and on edits.
    pub target_inpainted_accuracy: Estimate,
    /// Accuracy about absent objects on originals.
    pub absent_origin_accuracy: Estimate,
    /// … and on edits.
    pub absent_inpainted_accuracy: Estimate,
    /// Accuracy of all questions on originals.
    pub origin_accuracy: Estimate,
    /// … and on edits.
    pub inpainted_accuracy: Estimate,
    /// Share of "yes" among all answers.
    pub yes_ratio: Estimate,
    /// Questions.
    pub questions: usize,
    /// Edits with their originals.
    pub pairs: usize,
}

impl Metrics {
    /// Names and values, in the order of a table.
    pub fn rows(&self) -> [(&'static str, &Estimate); 12] {
        [
            ("CAC", &self.cac),
            ("AAC", &self.aac),
            ("CHR", &self.chr),
            ("CPR, contextual", &self.cpr_target),
            ("CPR, absent", &self.cpr_absent),
            (
                "accuracy, contextual, originals",
                &self.target_origin_accuracy,
            ),
            (
                "accuracy, contextual, edits",
                &self.target_inpainted_accuracy,
            ),
            ("accuracy, absent, originals", &self.absent_origin_accuracy),
            ("accuracy, absent, edits", &self.absent_inpainted_accuracy),
            ("accuracy, originals", &self.origin_accuracy),
            ("accuracy, edits", &self.inpainted_accuracy),
            ("yes ratio", &self.yes_ratio),
        ]
    }
}

/// Sums over an original and its edits.
const COLUMNS: usize = 15;

/// Columns: questions and right answers by (kind, tag), then CPR's pairs, then "yes".
const CPR_TARGET: usize = 10;
const CPR_ABSENT: usize = 12;
const YES: usize = 14;

fn column(kind: Kind, tag: Tag) -> usize {
    match (kind, tag) {
        (Kind::Target, Tag::Origin) => 0,
        (Kind::Target, Tag::Inpainted) => 2,
        (Kind::Absent, Tag::Origin) => 4,
        (Kind::Absent, Tag::Inpainted) => 6,
        (Kind::Inpaint, _) => 8,
    }
}

fn share(sums: &[f64; COLUMNS], first: usize) -> f64 {
    ratio(sums[first + 1], sums[first])
}

/// Two differences of accuracies, then shares.
const RANGES: [Range; 12] = {
    let mut ranges = [SHARE; 12];
    ranges[0] = DIFFERENCE;
    ranges[1] = DIFFERENCE;
    ranges
};

/// Measures a run.
pub fn measure(rows: &[Answered]) -> Metrics {
    let families = families(rows);
    let sums: Vec<[f64; COLUMNS]> = families.values().map(|rows| sums(rows)).collect();
    let found = intervals(&sums, RANGES, |sums| {
        let all = |columns: &[usize]| {
            let add = |offset: usize| columns.iter().map(|c| sums[c + offset]).sum::<f64>();
            ratio(add(1), add(0))
        };
        [
            share(sums, 0) - share(sums, 2),
            share(sums, 6) - share(sums, 4),
            1.0 - share(sums, 8),
            share(sums, CPR_TARGET),
            share(sums, CPR_ABSENT),
            share(sums, 0),
            share(sums, 2),
            share(sums, 4),
            share(sums, 6),
            all(&[0, 4]),
            all(&[2, 6, 8]),
            ratio(sums[YES], (0..10).step_by(2).map(|c| sums[c]).sum()),
        ]
    });
    let [
        cac,
        aac,
        chr,
        cpr_target,
        cpr_absent,
        target_origin_accuracy,
        target_inpainted_accuracy,
        absent_origin_accuracy,
        absent_inpainted_accuracy,
        origin_accuracy,
        inpainted_accuracy,
        yes_ratio,
    ] = found;
    Metrics {
        cac,
        aac,
        chr,
        cpr_target,
        cpr_absent,
        target_origin_accuracy,
        target_inpainted_accuracy,
        absent_origin_accuracy,
        absent_inpainted_accuracy,
        origin_accuracy,
        inpainted_accuracy,
        yes_ratio,
        questions: rows.len(),
        pairs: edits(rows.iter()).len(),
    }
}

/// The rows of each original and its edits.
fn families(rows: &[Answered]) -> BTreeMap<String, Vec<&Answered>> {
    let mut families: BTreeMap<String, Vec<&Answered>> = BTreeMap::new();
    for row in rows {
        let original = original_of(&row.question.image_name);
        families.entry(original).or_default().push(row);
    }
    families
}

/// The names of the edited pictures.
fn edits<'a>(rows: impl Iterator<Item = &'a Answered>) -> BTreeSet<&'a str> {
    rows.filter(|row| row.question.tag == Tag::Inpainted)
        .map(|row| row.question.image_name.as_str())
        .collect()
}

fn sums(rows: &[&Answered]) -> [f64; COLUMNS] {
    let mut sums = [0.0; COLUMNS];
    for row in rows {
        let at = column(row.question.kind, row.question.tag);
        sums[at] += 1.0;
        sums[at + 1] += f64::from(row.is_right());
        sums[YES] += f64::from(row.parsed == Answer::Yes);
    }
    for edit in edits(rows.iter().copied()) {
        for (kind, at) in [(Kind::Target, CPR_TARGET), (Kind::Absent, CPR_ABSENT)] {
            if let Some(both) = both_right(rows, edit, kind) {
                sums[at] += 1.0;
                sums[at + 1] += f64::from(both);
            }
        }
    }
    sums
}

/// Whether the original's first and the edit's first answer of a kind are right. The official file has the
/// questions of all edits under one original; its code reads the first, whichever edit it was made for.
fn both_right(rows: &[&Answered], edit: &str, kind: Kind) -> Option<bool> {
    let first = |tag: Tag, edit: Option<&str>| {
        rows.iter().find(|row| {
            let q = &row.question;
            q.kind == kind && q.tag == tag && edit.is_none_or(|name| q.image_name == name)
        })
    };
    let (origin, inpainted) = (
        first(Tag::Origin, None)?,
        first(Tag::Inpainted, Some(edit))?,
    );
    Some(origin.is_right() && inpainted.is_right())
}

/// What changed from run `a` to run `b` of the same questions: for each of CAC, AAC, CHR the difference
/// `b − a` with a paired 95 % interval over originals, and McNemar's exact two-sided p-value over all
/// questions that both answered.
pub fn paired(a: &[Answered], b: &[Answered]) -> Vec<(&'static str, Estimate, f64)> {
    type Of = fn(&[f64; COLUMNS]) -> f64;
    let kinds: [(&'static str, Of, &[Kind]); 3] = [
        ("CAC", |s| share(s, 0) - share(s, 2), &[Kind::Target]),
        ("AAC", |s| share(s, 6) - share(s, 4), &[Kind::Absent]),
        ("CHR", |s| 1.0 - share(s, 8), &[Kind::Inpaint]),
    ];
    let (before, after) = (families(a), families(b));
    let shared: Vec<[f64; 2 * COLUMNS]> = before
        .iter()
        .filter_map(|(original, rows)| {
            let mut both = [0.0; 2 * COLUMNS];
            let (left, right) = both.split_at_mut(COLUMNS);
            left.copy_from_slice(&sums(rows));
            right.copy_from_slice(&sums(after.get(original)?));
            Some(both)
        })
        .collect();
    let side = |both: &[f64; 2 * COLUMNS], first: usize| -> [f64; COLUMNS] {
        std::array::from_fn(|i| both[first + i])
    };
    kinds
        .into_iter()
        .map(|(name, of, kinds)| {
            let [difference] = intervals(&shared, [DIFFERENCE], |both| {
                [of(&side(both, COLUMNS)) - of(&side(both, 0))]
            });
            (name, difference, mcnemar(a, b, kinds))
        })
        .collect()
}

/// Exact two-sided McNemar test: of the questions that one run alone has right, each run should have half
/// (McNemar 1947).
fn mcnemar(a: &[Answered], b: &[Answered], kinds: &[Kind]) -> f64 {
    let key = |row: &Answered| (row.question.image_name.clone(), row.question.id);
    let second: BTreeMap<(String, u64), bool> =
        b.iter().map(|row| (key(row), row.is_right())).collect();
    let (mut only_a, mut only_b) = (0u64, 0u64);
    for row in a.iter().filter(|row| kinds.contains(&row.question.kind)) {
        match (row.is_right(), second.get(&key(row))) {
            (true, Some(false)) => only_a += 1,
            (false, Some(true)) => only_b += 1,
            _ => {}
        }
    }
    let (n, least) = (only_a + only_b, only_a.min(only_b));
    // Σ_{k ≤ least} C(n, k) / 2ⁿ, in logarithms: n may be thousands.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 0..least {
        log_term += ((n - k) as f64 / (k + 1) as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}
