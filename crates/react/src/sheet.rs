//! The contact sheet: a page with the worst frames first.

use std::fmt::Write;

use percept_eval::thumbnail;
use percept_report::{Page, escape};

use crate::Error;
use crate::footage::Footage;
use crate::record::{ClipRecord, FrameRecord};

const STYLE: &str = "<style>
.sheet { display: flex; flex-wrap: wrap; gap: 12px; }
.sheet figure { margin: 0; width: 200px; }
.sheet img { width: 200px; height: auto; display: block; border-radius: 4px; }
.sheet figcaption { font-size: 12px; line-height: 1.4; }
.sheet b { font-variant-numeric: tabular-nums; }
</style>";

/// A judged clip and where its frames come from; none where they cannot be had any more.
#[derive(Debug)]
pub struct Shown<'a> {
    /// What was judged.
    pub record: &'a ClipRecord,
    /// Its frames.
    pub footage: Option<Footage>,
}

/// A page of the clips, worst first, each with at most `frames` of its frames, worst first. It loads nothing.
///
/// # Errors
/// A frame that cannot be read.
pub fn contact_sheet(title: &str, clips: &mut [Shown<'_>], frames: usize) -> Result<Page, Error> {
    clips.sort_by(|a, b| ascending(a.record.score, b.record.score));
    let mut page = Page::new(title);
    page.html(STYLE);
    let row = |shown: &Shown<'_>| {
        let record = shown.record;
        vec![
            record.video.clone(),
            number(record.score),
            record.judged.to_string(),
            record.unreadable.to_string(),
            labels(record),
        ]
    };
    let rows: Vec<Vec<String>> = clips.iter().map(row).collect();
    page.table(&["clip", "score", "frames", "unreadable", "labels"], &rows);
    for shown in clips.iter_mut() {
        let record = shown.record;
        page.section(&format!("{} · {}", number(record.score), record.video));
        if !record.prompt.is_empty() {
            page.text(&record.prompt);
        }
        let Some(footage) = &mut shown.footage else {
            page.text("The clip cannot be opened any more: its frames are not shown.");
            continue;
        };
        let mut worst: Vec<&FrameRecord> = record.frames.iter().collect();
        worst.sort_by(|a, b| ascending(a.score, b.score));
        worst.truncate(frames);
        let times: Vec<f64> = worst.iter().map(|frame| frame.time_s).collect();
        let mut html = String::from("<div class=\"sheet\">");
        for (frame, picture) in worst.iter().zip(footage.frames_at(&times)?) {
            html.push_str(&figure(frame, &thumbnail(&picture)?));
        }
        html.push_str("</div>");
        page.html(&html);
    }
    Ok(page)
}

/// From the worst; what has no score stands last.
fn ascending(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    let known = |score: Option<f64>| score.unwrap_or(f64::INFINITY);
    known(a).total_cmp(&known(b))
}

fn number(score: Option<f64>) -> String {
    score.map_or("–".to_owned(), |score| format!("{score:.2}"))
}

fn labels(record: &ClipRecord) -> String {
    let one = record
        .labels
        .iter()
        .map(|(label, n)| format!("{label} × {n}"));
    one.collect::<Vec<_>>().join(", ")
}

fn figure(frame: &FrameRecord, source: &str) -> String {
    let names: Vec<&str> = frame.labels.iter().map(|label| label.name()).collect();
    let said = match &frame.unreadable {
        Some(error) => format!("unreadable: {error}"),
        None if names.is_empty() => "nothing".to_owned(),
        None => names.join(", "),
    };
    let mut html = String::new();
    let _ = write!(
        html,
        "<figure><img src=\"{source}\" alt=\"frame at {time:.2} s\"><figcaption><b>{score}</b> at {time:.2} s: {said}",
        time = frame.time_s,
        score = number(frame.score),
        said = escape(&said),
    );
    let words = frame.response.as_deref().unwrap_or(&frame.reasoning);
    if !words.is_empty() {
        let words = escape(words);
        let _ = write!(html, "<details><summary>why</summary>{words}</details>");
    }
    html.push_str("</figcaption></figure>");
    html
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use percept_data::Media;

    use super::*;

    fn record(name: &str, scores: &[f64]) -> ClipRecord {
        let frame = |(at, score): (usize, &f64)| {
            let answer = format!(
                "<think><script>frame {at}</script></think><answer>{{\"labels\":[],\"score\":{score}}}</answer>"
            );
            FrameRecord::of(at as f64, 1, &answer)
        };
        let frames = scores.iter().enumerate().map(frame).collect();
        ClipRecord::of(name.into(), "a <b> dog".into(), scores.len() as f64, frames)
    }

    #[test]
    fn the_worst_stand_first_and_words_of_a_model_are_text() {
        let (good, bad) = (
            record("good.mp4", &[5.0, 4.5]),
            record("bad.mp4", &[4.0, 1.5, 3.0]),
        );
        let footage = || {
            let still = Media::from_image(RgbImage::new(8, 8));
            Some(Footage::frames(vec![still; 3], 1.0).unwrap())
        };
        let mut clips = [
            Shown {
                record: &good,
                footage: footage(),
            },
            Shown {
                record: &bad,
                footage: footage(),
            },
        ];
        let html = contact_sheet("sheet", &mut clips, 2).unwrap().render();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("· bad.mp4") < at("· good.mp4"));
        assert!(at("<b>1.50</b>") < at("<b>3.00</b>"));
        // Two frames a clip.
        assert!(!html.contains("<b>4.00</b>"));
        assert!(html.contains("&lt;script&gt;frame 1"));
        assert!(!html.contains("<script>frame") && !html.contains("http://"));
        assert_eq!(html.matches("<img").count(), 4);
    }
}
