//! Small tables for the terminal.

use percept_report::Change;
use percept_train::StoredEvaluation;

/// Accuracy before and after, by question type, in percent.
pub fn evaluations(all: &[StoredEvaluation]) -> String {
    let shown: Vec<&StoredEvaluation> = all.iter().filter(|e| !e.name.contains("-step-")).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut header = vec!["accuracy %".to_owned()];
    header.extend(shown.iter().map(|e| e.name.clone()));
    let mut total = vec!["all".to_owned()];
    total.extend(shown.iter().map(|e| {
        let a = &e.accuracy;
        format!(
            "{:.1} [{:.1}, {:.1}]",
            a.mean * 100.0,
            a.low * 100.0,
            a.high * 100.0
        )
    }));
    let mut rows = vec![header, total];
    let mut kinds: Vec<&str> = shown
        .iter()
        .flat_map(|e| e.by_type.iter().map(|(kind, _)| kind.as_str()))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        rows.extend(kinds.into_iter().map(|kind| {
            let mut row = vec![format!("  {kind}")];
            row.extend(shown.iter().map(|e| {
                let found = e.by_type.iter().find(|(name, _)| name == kind);
                found.map_or_else(String::new, |(_, a)| format!("{:.1}", a.mean * 100.0))
            }));
            row
        }));
    }
    let numbers = |label: &str, number: &dyn Fn(&StoredEvaluation) -> String| {
        let mut row = vec![label.to_owned()];
        row.extend(shown.iter().map(|e| number(e)));
        row
    };
    rows.push(numbers("questions", &|e| e.accuracy.n.to_string()));
    if shown.iter().any(|e| e.ungraded > 0) {
        rows.push(numbers("ungraded", &|e| e.ungraded.to_string()));
    }
    rows.push(numbers("tokens/response", &|e| {
        format!("{:.1}", e.response_length)
    }));
    rows.push(numbers("seconds", &|e| format!("{:.0}", e.seconds)));
    format(&rows)
}

/// What each stage changed, newest first, in percentage points.
pub fn changes(all: &[Change]) -> String {
    let points = |x: f64| format!("{:+.1}", 100.0 * x);
    let rows: Vec<Vec<String>> = all
        .iter()
        .filter(|change| change.n > 0)
        .map(|change| {
            vec![
                format!("{} over {}", change.to, change.from),
                format!("{} points", points(change.mean)),
                format!("[{}, {}]", points(change.ci_low), points(change.ci_high)),
                format!("{} better, {} worse", change.better, change.worse),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "change, question by question, with 95 % interval\n{}",
            format(&rows)
        ),
    }
}

/// Columns as wide as their widest cell; the first is left-aligned, the others right-aligned.
pub fn format(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            match column {
                0 => line.push_str(&format!("{cell}{pad}")),
                _ => line.push_str(&format!("  {pad}{cell}")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "10"], ["long", "1"]].map(|r| r.map(str::to_owned).to_vec());
        assert_eq!(format(&rows), "a     10\nlong   1\n");
    }
}
