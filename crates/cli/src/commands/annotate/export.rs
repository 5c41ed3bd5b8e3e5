//! `percept annotate export`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use percept_annotate::{Project, Take, Works, rows, write_rows};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global};

/// Write what was said of the frames as rows: two for each pair, one a frame.
#[derive(Debug, Args)]
#[command(
    after_help = "A row has images, prompt (the question), labels, boxes ({label, box} in pixels), pair_id, side,
preference (A, B or same), time_s, video, annotator and status. It can be written while the page is served.

Examples:
  percept annotate export labels --output labels/train.jsonl
  percept annotate export labels --output labels/accepted.parquet --take accepted"
)]
pub struct AnnotateExport {
    /// Folder of `percept annotate frames --out`.
    pub folder: PathBuf,
    /// File to write: .jsonl or .parquet.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// What is taken.
    #[arg(long, value_enum, default_value_t = TakeArg::Done)]
    pub take: TakeArg,
}

/// Which work becomes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TakeArg {
    /// One annotation a pair: an accepted one, else one with the preference of the majority.
    Done,
    /// One a pair, of those that a reviewer accepted.
    Accepted,
    /// All of every annotator; pairs stand there several times.
    Every,
}

pub fn run(args: &AnnotateExport, global: &Global) -> Result<Done, Failure> {
    let ending = args.output.extension().and_then(|e| e.to_str());
    if !matches!(ending, Some("jsonl" | "parquet")) {
        return Err(Failure::new(format!(
            "--output {}: expected a file that ends in .jsonl or .parquet",
            args.output.display()
        )));
    }
    let works = Works::read(Project::open(&args.folder)?)?;
    let folder = match args.output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let take = match args.take {
        TakeArg::Done => Take::Done,
        TakeArg::Accepted => Take::Accepted,
        TakeArg::Every => Take::Every,
    };
    let exported = rows(&works, take, &folder.canonicalize()?);
    write_rows(&args.output, &exported.rows)?;
    let out = args.output.display();
    let line = serde_json::json!({
        "out": out.to_string(), "rows": exported.rows.len(),
        "not_done": exported.not_done, "no_majority": exported.no_majority,
    });
    say!("{line}");
    if exported.no_majority > 0 && !global.quiet {
        note!(
            "{} pairs are left out: no preference has a majority; a reviewer can decide them",
            exported.no_majority
        );
    }
    Ok(Done::Well)
}
