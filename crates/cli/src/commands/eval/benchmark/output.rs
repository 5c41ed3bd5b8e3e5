//! Where a benchmark's results go: files, tables, pages.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use percept_base::files::write_atomic;
use percept_data::Media;
use percept_eval::Estimate;
use percept_report::Page;
use serde::Serialize;
use serde_json::{Value, json};

use crate::shared::answerer::{AnswererArgs, Answers};
use crate::shared::output::say;
use crate::shared::{Failure, Global, open, table};

/// Where results go.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Output folder: records.jsonl, summary.json, report.html, and the answers from which a stopped
    /// command resumes.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Maximum number of questions or images (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
}

impl OutputArgs {
    /// Makes the folder; the file in it that keeps answers under this name.
    pub fn log(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        let Some(folder) = &self.output else {
            return Ok(None);
        };
        std::fs::create_dir_all(folder)?;
        Ok(Some(folder.join(name)))
    }

    /// The first questions.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.limit > 0 {
            rows.truncate(self.limit);
        }
        rows
    }

    /// Writes records, summary and report.
    pub fn write<R: Serialize>(
        &self,
        records: &[R],
        summary: &Value,
        page: &Page,
    ) -> Result<(), Failure> {
        let Some(folder) = &self.output else {
            return Ok(());
        };
        std::fs::create_dir_all(folder)?;
        let mut out = open::JsonLines::create(Some(&folder.join("records.jsonl")))?;
        for record in records {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        }
        out.finish()?;
        write_atomic(
            &folder.join("summary.json"),
            &serde_json::to_vec_pretty(summary)?,
        )?;
        write_atomic(&folder.join("report.html"), page.render().as_bytes())?;
        Ok(())
    }
}

/// Who answered, for the summary.
pub fn answered_by(answers: &Option<Answers>, file: Option<&Path>) -> Value {
    match answers {
        Some(answers) => json!({"model": answers.identity, "usage": answers.usage}),
        None => json!({"file": file.map(|f| f.display().to_string())}),
    }
}

/// Prints a table, or an object a line with `--json`.
pub fn print(global: &Global, rows: &[Vec<String>], objects: &[Value]) -> Result<(), Failure> {
    if global.json {
        for object in objects {
            say!("{object}");
        }
        return Ok(());
    }
    crate::shared::output::result(format_args!("{}", table::format(rows)))
}

/// A share in percent with its interval.
pub fn percent(share: &Estimate) -> String {
    let points = |value: f64| value * 100.0;
    interval(points(share.mean), points(share.low), points(share.high), 1)
}

/// A number with its interval.
pub fn number(value: &Estimate, digits: usize) -> String {
    interval(value.mean, value.low, value.high, digits)
}

pub fn interval(mean: f64, low: f64, high: f64, digits: usize) -> String {
    if mean.is_nan() {
        return "–".into();
    }
    format!("{mean:.digits$} [{low:.digits$}, {high:.digits$}]")
}

/// Rows of a table on a page: the first is its head.
pub fn add_table(page: &mut Page, rows: &[Vec<String>]) {
    if let [head, body @ ..] = rows {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        page.table(&head, body);
    }
}

pub fn cells<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// Images of a folder; the first that is missing is named.
pub fn pictures(
    answerer: &AnswererArgs,
    folder: Option<&Path>,
    names: &[&str],
) -> Result<Vec<Media>, Failure> {
    let Some(folder) = folder else {
        return Err(Failure::new("no images: give --images DIR"));
    };
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let missing: Vec<&PathBuf> = paths.iter().filter(|path| !path.is_file()).collect();
    if let Some(first) = missing.first() {
        return Err(Failure::new(format!(
            "{} of {} images are missing, the first is {}: expected them in --images {}",
            missing.len(),
            paths.len(),
            first.display(),
            folder.display()
        )));
    }
    let media = |path| answerer.picture(folder, path);
    Ok(paths.into_iter().map(media).collect())
}
