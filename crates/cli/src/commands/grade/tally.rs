//! What all verdicts of a file come to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::graded::{Graded, text};
use crate::shared::table;

/// Reasons that the summary names.
const REASONS: usize = 5;

/// Verdicts, reasons and, where rows say what is right, the agreement.
#[derive(Debug)]
pub struct Tally {
    /// The file as messages name it.
    pub shown: PathBuf,
    pub right: usize,
    pub wrong: usize,
    pub ungraded: usize,
    pub bad_rows: usize,
    scores: f64,
    /// Verdict and reason, with what is quoted in it left out: count and the first example.
    reasons: BTreeMap<(&'static str, String), (usize, String)>,
    /// By the kind of row; an empty name where rows have none.
    kinds: BTreeMap<String, Agreement>,
    disagreements: Vec<String>,
}

/// Verdicts on completions that a person called right, and on those called wrong: right, wrong, ungraded.
#[derive(Debug, Default, Clone, Copy)]
struct Agreement {
    right: [usize; 3],
    wrong: [usize; 3],
}

impl Agreement {
    fn rows(&self) -> usize {
        self.right.iter().chain(&self.wrong).sum()
    }

    fn agree(&self) -> usize {
        self.right[0] + self.wrong[1]
    }

    fn add(&mut self, other: &Self) {
        for at in 0..3 {
            self.right[at] += other.right[at];
            self.wrong[at] += other.wrong[at];
        }
    }

    fn json(&self) -> Value {
        let named = |[right, wrong, ungraded]: [usize; 3]| json!({"right": right, "wrong": wrong, "ungraded": ungraded});
        json!({
            "rows": self.rows(),
            "agree": self.agree(),
            "called_right": named(self.right),
            "called_wrong": named(self.wrong),
        })
    }
}

impl Tally {
    pub fn new(shown: PathBuf) -> Self {
        Self {
            shown,
            right: 0,
            wrong: 0,
            ungraded: 0,
            bad_rows: 0,
            scores: 0.0,
            reasons: BTreeMap::new(),
            kinds: BTreeMap::new(),
            disagreements: Vec::new(),
        }
    }

    /// Completions with a score.
    pub fn graded(&self) -> usize {
        self.right + self.wrong
    }

    pub fn add(&mut self, graded: &Graded<'_>) {
        let place = match graded.verdict {
            "right" => 0,
            "wrong" => 1,
            _ => 2,
        };
        *[&mut self.right, &mut self.wrong, &mut self.ungraded][place] += 1;
        let score = graded.reward.parts.first().and_then(|(_, v)| v.score());
        self.scores += score.unwrap_or(0.0);
        let reason = graded.reason();
        if let Some(reason) = &reason {
            let key = (graded.verdict, without_quotes(reason));
            let entry = self.reasons.entry(key);
            entry.or_insert_with(|| (0, reason.clone())).0 += 1;
        }
        let Some(right) = graded.given.right else {
            return;
        };
        let kind = graded.given.kind.clone().unwrap_or_default();
        let agreement = self.kinds.entry(kind).or_default();
        let row = if right {
            &mut agreement.right
        } else {
            &mut agreement.wrong
        };
        row[place] += 1;
        if place != usize::from(!right) {
            let called = if right { "right" } else { "wrong" };
            self.disagreements.push(format!(
                "{}:{}: called {called}, graded {}{}",
                self.shown.display(),
                graded.given.number,
                graded.verdict,
                detail(graded, reason),
            ));
        }
    }

    fn agreement(&self) -> Option<Agreement> {
        let mut all = Agreement::default();
        self.kinds.values().for_each(|kind| all.add(kind));
        (all.rows() > 0).then_some(all)
    }

    /// The commonest reasons first.
    fn commonest(&self) -> Vec<(&'static str, usize, &str)> {
        let mut all: Vec<_> = self
            .reasons
            .iter()
            .map(|((verdict, _), (count, example))| (*verdict, *count, example.as_str()))
            .collect();
        all.sort_by_key(|&(_, count, _)| std::cmp::Reverse(count));
        all
    }

    pub fn json(&self) -> Value {
        let reasons = self.commonest().into_iter().map(
            |(verdict, rows, example)| json!({"verdict": verdict, "rows": rows, "example": example}),
        );
        let mut summary = json!({
            "completions": self.graded() + self.ungraded,
            "right": self.right,
            "wrong": self.wrong,
            "ungraded": self.ungraded,
            "bad_rows": self.bad_rows,
            "mean_score": (self.graded() > 0).then(|| self.scores / self.graded() as f64),
            "reasons": reasons.collect::<Vec<_>>(),
        });
        if let Some(all) = self.agreement() {
            summary["agreement"] = all.json();
            let kinds = self.kinds.iter().filter(|(kind, _)| !kind.is_empty());
            let kinds = kinds.map(|(kind, found)| (kind.clone(), found.json()));
            summary["agreement"]["by_kind"] = Value::Object(kinds.collect());
        }
        summary
    }

    /// For people; at most `most` disagreements are listed (0: all).
    pub fn text(&self, most: usize) -> String {
        let total = self.graded() + self.ungraded;
        let share = |count: usize| format!("{:.1} %", 100.0 * count as f64 / total.max(1) as f64);
        let mut rows = vec![vec!["completions".to_owned(), total.to_string()]];
        for (name, count) in [
            ("  right", self.right),
            ("  wrong", self.wrong),
            ("  ungraded", self.ungraded),
        ] {
            rows.push(vec![name.to_owned(), count.to_string(), share(count)]);
        }
        if self.bad_rows > 0 {
            rows.push(vec!["bad rows".to_owned(), self.bad_rows.to_string()]);
        }
        let mut text = table::format(&rows);
        self.write_reasons(&mut text);
        self.write_agreement(&mut text, most);
        text
    }

    fn write_reasons(&self, text: &mut String) {
        let reasons = self.commonest();
        if reasons.is_empty() {
            return;
        }
        text.push_str("commonest reasons\n");
        for (verdict, count, example) in reasons.iter().take(REASONS) {
            let line = example.lines().next().unwrap_or_default();
            let line: String = line.chars().take(160).collect();
            let _ = writeln!(text, "  {count:>5}  {verdict}: {line}");
        }
        if reasons.len() > REASONS {
            let rest: usize = reasons.iter().skip(REASONS).map(|(_, n, _)| n).sum();
            let _ = writeln!(text, "  {rest:>5}  others");
        }
    }

    fn write_agreement(&self, text: &mut String, most: usize) {
        let Some(all) = self.agreement() else {
            return;
        };
        let (agree, of) = (all.agree(), all.rows());
        let _ = writeln!(
            text,
            "agreement with the column `right`: {agree} of {of} ({:.1} %)",
            100.0 * agree as f64 / of as f64
        );
        let line = |name: &str, [right, wrong, ungraded]: [usize; 3]| {
            [right, wrong, ungraded]
                .iter()
                .fold(vec![format!("  {name}")], |mut row, n| {
                    row.push(n.to_string());
                    row
                })
        };
        let header = ["", "rewarded", "refused", "ungraded"].map(str::to_owned);
        text.push_str(&table::format(&[
            header.to_vec(),
            line("called right", all.right),
            line("called wrong", all.wrong),
        ]));
        let mut rows = vec![
            ["  kind", "rows", "agree", "right refused", "wrong rewarded"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (kind, found) in self.kinds.iter().filter(|(kind, _)| !kind.is_empty()) {
            rows.push(vec![
                format!("  {kind}"),
                found.rows().to_string(),
                found.agree().to_string(),
                (found.right[1] + found.right[2]).to_string(),
                found.wrong[0].to_string(),
            ]);
        }
        if rows.len() > 1 {
            text.push_str(&table::format(&rows));
        }
        let listed = match most {
            0 => self.disagreements.len(),
            most => most.min(self.disagreements.len()),
        };
        for line in &self.disagreements[..listed] {
            let _ = writeln!(text, "{line}");
        }
        if listed < self.disagreements.len() {
            let more = self.disagreements.len() - listed;
            let _ = writeln!(text, "{more} more disagreements (--most 0 lists all)");
        }
    }
}

/// Gold and what was taken for the answer, or the reason.
fn detail(graded: &Graded<'_>, reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!(": {reason}"),
        None => {
            let short = |text: &str| text.chars().take(80).collect::<String>();
            let found = graded.extracted.first().and_then(text);
            let found = short(found.unwrap_or(&graded.given.completion));
            let truth = short(graded.given.answers.first().map_or("", String::as_str));
            format!(": `{found}` counts as `{truth}`")
        }
    }
}

/// A reason without what stands between backticks, so that equal reasons are counted together.
fn without_quotes(reason: &str) -> String {
    let outside = reason.split('`').enumerate();
    outside
        .map(|(at, piece)| if at % 2 == 0 { piece } else { "`…`" })
        .collect()
}
