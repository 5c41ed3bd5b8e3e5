//! `percept reward react`

mod args;

use percept_base::files::write_atomic;
use percept_react::{ClipRecord, Shown, contact_sheet};
use serde_json::json;

pub use args::ReactArgs;

use crate::shared::judging::NamedClip;
use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};

pub fn run(args: &ReactArgs, global: &Global) -> Result<Done, Failure> {
    let clips = args.clips()?;
    let journal = match &args.output {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            Some(folder.join("clips.jsonl"))
        }
        None => None,
    };
    let quiet = global.quiet || global.json;
    let judged = args.judging.judge(&clips, journal.as_deref(), quiet)?;
    if global.json || args.output.is_none() {
        for record in judged.iter().flatten() {
            say!("{}", json!(record));
        }
    } else {
        let rows = std::iter::once(head()).chain(judged.iter().flatten().map(row));
        let rows: Vec<Vec<String>> = rows.collect();
        crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    }
    tell(&judged);
    if let Some(folder) = &args.output {
        let path = folder.join("sheet.html");
        let page = sheet(&clips, &judged, args.sheet_frames)?;
        write_atomic(&path, page.as_bytes())?;
        if !quiet {
            note!("worst frames: {}", path.display());
        }
    }
    let failed = judged.iter().filter(|record| record.is_none()).count();
    if failed > 0 {
        note!("{failed} of {} clips could not be judged", clips.len());
        return Ok(Done::Problems);
    }
    Ok(Done::Well)
}

fn head() -> Vec<String> {
    ["clip", "score", "frames", "unreadable", "labels"]
        .map(str::to_owned)
        .to_vec()
}

fn row(record: &ClipRecord) -> Vec<String> {
    let labels: Vec<String> = record
        .labels
        .iter()
        .map(|(label, count)| format!("{label} × {count}"))
        .collect();
    let score = record.score.map_or("–".to_owned(), |s| format!("{s:.2}"));
    vec![
        record.video.clone(),
        score,
        record.judged.to_string(),
        record.unreadable.to_string(),
        labels.join(", "),
    ]
}

/// Says which answers could not be read.
fn tell(judged: &[Option<ClipRecord>]) {
    let frames = || judged.iter().flatten().flat_map(|record| &record.frames);
    let unreadable: Vec<&str> = frames().filter_map(|f| f.unreadable.as_deref()).collect();
    if let Some(first) = unreadable.first() {
        let (count, all) = (unreadable.len(), frames().count());
        note!(
            "{count} of {all} answers could not be read and count in no score; the first: {first}"
        );
    }
}

fn sheet(
    clips: &[NamedClip],
    judged: &[Option<ClipRecord>],
    frames: usize,
) -> Result<String, Failure> {
    let mut shown = Vec::new();
    for (clip, record) in clips.iter().zip(judged) {
        if let Some(record) = record {
            // A clip that was judged in an earlier run may be gone by now.
            let footage = clip.footage().ok();
            shown.push(Shown { record, footage });
        }
    }
    Ok(contact_sheet("Worst frames", &mut shown, frames)?.render())
}
