//! Step `rows`: what a row has, its pictures read once, and whether it can get a rejected picture.

use percept_base::hex;
use percept_benchmarks::hallucination::sentences_of;
use percept_data::{Dataset, Media, Sample};
use percept_steps::Row;

use crate::answer::Answered;
use crate::{Method, PictureRecord, SourceRow};

/// The name of a row in all steps.
pub(crate) fn key(at: usize) -> String {
    format!("{at:06}")
}

/// Reads a row.
pub(crate) fn read(data: &dyn Dataset, method: Method, at: usize) -> Row<SourceRow> {
    let sample = match data.get(at) {
        Ok(sample) => sample,
        Err(e) => return Row::dropped(key(at), format!("the row cannot be read: {e}")),
    };
    let Some(answered) = Answered::of(&sample) else {
        let reason = format!(
            "no chosen answer, expert, last turn or answer: {}",
            sample.id
        );
        return Row::dropped(key(at), reason);
    };
    if !sample.videos.is_empty() {
        let reason = format!("rows with videos are not made into pairs: {}", sample.id);
        return Row::dropped(key(at), reason);
    }
    let has_rejected = !answered.rejected.is_empty();
    let mut row = SourceRow {
        at,
        id: sample.id.clone(),
        pictures: Vec::new(),
        sentences: sentences_of(&answered.text()),
        has_rejected,
        skipped: None,
    };
    match pictures(&sample) {
        Ok(pictures) => row.pictures = pictures,
        // The other answer is no use without the picture either.
        Err(reason) => return Row::dropped(key(at), reason),
    }
    row.skipped = match (row.pictures.len(), method) {
        (0, _) => Some("no picture".into()),
        (1, _) => None,
        (more, Method::Adavip) => Some(format!("several pictures: {more}")),
        _ => None,
    };
    match (&row.skipped, has_rejected) {
        (Some(reason), false) => Row::dropped(key(at), reason.clone()),
        _ => Row::kept(key(at), row),
    }
}

fn pictures(sample: &Sample) -> Result<Vec<PictureRecord>, String> {
    let image_id = sample.meta.get("image_id").and_then(|id| match id {
        serde_json::Value::String(text) => text.trim().parse().ok(),
        id => id.as_u64(),
    });
    let record = |media: &Media| -> Result<PictureRecord, percept_data::Error> {
        // A picture that is made worse is copied, and may be sent to a tool.
        media.may_leave()?;
        let image = media.decode()?;
        Ok(PictureRecord {
            file: media.path().map(|path| path.to_string_lossy().into_owned()),
            image_id,
            sha256: hex(&media.hash()?),
            size: [image.width(), image.height()],
        })
    };
    let read = sample.images.iter().map(record);
    read.collect::<Result<_, _>>()
        .map_err(|e| format!("a picture cannot be read: {e}"))
}
