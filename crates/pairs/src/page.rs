//! `index.html`: every row with what was found, what was removed, and what was chosen.

use std::collections::HashMap;
use std::fmt::Write;

use percept_data::coco::Mask;
use percept_data::{Dataset, Media};
use percept_eval::thumbnail;
use percept_report::{Page, escape};
use percept_steps::{Folder, Row};

use crate::finish::{Reasons, Written};
use crate::objects::ObjectScorer;
use crate::overlay::{Drawn, colour, drawn};
use crate::pictures::media;
use crate::steps::candidates::masks;
use crate::{
    BoxRecord, CandidateFile, ChoiceRecord, MaskRecord, Method, PairsError, SourceRow, StepTally,
    TagRecord,
};

/// Pairs shown: more make a page that browsers are slow with.
const MOST: usize = 200;

/// Rows without a rejected picture that are shown.
const MOST_SKIPPED: usize = 40;

/// Candidates shown of a row, those least like the answer.
const MOST_CANDIDATES: usize = 6;

const STYLE: &str = "<style>
.pair { display: flex; gap: 14px; flex-wrap: wrap; align-items: flex-start; }
.pair figure { margin: 0; max-width: 320px; }
.pair img { display: block; max-width: 100%; height: auto; }
.pair figcaption { color: var(--muted); font-size: 12px; margin-top: 4px; white-space: normal; }
.pair .chosen img { outline: 3px solid #009e73; outline-offset: 1px; }
.pair .small { max-width: 200px; }
.pair .say { max-width: 34em; white-space: normal; flex-basis: 100%; }
.pair .dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .3em; }
</style>";

/// What the page is made from.
pub(crate) struct Shown<'a> {
    pub data: &'a dyn Dataset,
    pub folder: &'a Folder,
    pub method: Method,
    pub sources: &'a [(String, SourceRow)],
    pub rows: &'a [Row<Written>],
    pub steps: &'a [StepTally],
    pub reasons: &'a Reasons,
    pub tags: HashMap<String, TagRecord>,
    pub boxes: HashMap<String, BoxRecord>,
    pub masks: HashMap<String, MaskRecord>,
    pub candidates: HashMap<String, Vec<CandidateFile>>,
    pub choices: HashMap<String, ChoiceRecord>,
}

/// The page.
pub(crate) fn render(shown: &Shown<'_>) -> Result<String, PairsError> {
    let mut page = Page::new("Visual pairs");
    let visual: HashMap<&str, &Written> = (shown.rows.iter())
        .filter_map(|row| Some((row.id.as_str(), row.kept.as_ref()?)))
        .filter(|(_, written)| written.visual)
        .collect();
    page.text(&format!(
        "Method {}: {} rows with a rejected picture, {} without. The chosen answer is worse with the rejected picture (green \
         outline) than with the real one.",
        shown.method.name(),
        visual.len(),
        shown.reasons.len()
    ));
    page.section("Steps");
    let rows: Vec<Vec<String>> = (shown.steps.iter())
        .map(|step| {
            let out: usize = step.left_out.values().sum();
            vec![step.step.into(), step.kept.to_string(), out.to_string()]
        })
        .collect();
    page.table(&["step", "kept", "left out"], &rows);
    let why = percept_steps::reasons(shown.reasons.values().map(String::as_str));
    if !why.is_empty() {
        page.section("Why rows have no rejected picture");
        let why = why
            .iter()
            .map(|(why, count)| vec![why.clone(), count.to_string()]);
        page.table(&["reason", "rows"], &why.collect::<Vec<_>>());
    }
    page.section("Pairs");
    let pairs = shown.sources.iter().filter_map(|(key, row)| {
        let written = visual.get(key.as_str())?;
        Some((key, row, *written))
    });
    // Once, and not in a card of its own.
    let mut style = STYLE;
    for (key, row, written) in pairs.take(MOST) {
        page.html(&format!("{style}{}", pair(shown, key, row, written)?));
        style = "";
    }
    if visual.len() > MOST {
        let more = visual.len() - MOST;
        page.text(&format!(
            "{more} more pairs are in pairs.jsonl and images/."
        ));
    }
    let skipped = shown
        .sources
        .iter()
        .filter(|(key, _)| shown.reasons.contains_key(key));
    let skipped: Vec<_> = skipped.collect();
    if !skipped.is_empty() {
        page.section("Rows without a rejected picture");
    }
    for (key, row) in skipped.iter().take(MOST_SKIPPED) {
        page.html(&format!("{style}{}", without(shown, key, row)?));
        style = "";
    }
    if skipped.len() > MOST_SKIPPED {
        let more = skipped.len() - MOST_SKIPPED;
        page.text(&format!("{more} more are in steps/."));
    }
    Ok(page.render())
}

fn figure(class: &str, picture: &Media, caption: &str) -> Result<String, PairsError> {
    Ok(format!(
        "<figure class=\"{class}\"><img alt=\"{0}\" src=\"{1}\"><figcaption>{0}</figcaption></figure>",
        escape(caption),
        thumbnail(picture)?
    ))
}

fn pair(
    shown: &Shown<'_>,
    key: &str,
    row: &SourceRow,
    written: &Written,
) -> Result<String, PairsError> {
    let mut html = String::from("<div class=\"pair\">");
    for number in 0..row.pictures.len() {
        let real = media(shown.data, row, number)?;
        html += &figure("", &real, "real picture")?;
        if let Some(found) = found(shown, key, row, &real)? {
            html += &figure("", &found, "what was found")?;
        }
    }
    match shown.choices.get(key) {
        Some(choice) => html += &candidates(shown, key, choice)?,
        None => {
            let files = written.row["rejected_images"].as_array();
            for file in files.into_iter().flatten().filter_map(|file| file.as_str()) {
                let picture = Media::from_path(shown.folder.out.join(file));
                html += &figure("chosen", &picture, "rejected picture")?;
            }
        }
    }
    html += &said(shown, key, row);
    html.push_str("</div>");
    Ok(html)
}

/// The picture with boxes and masks.
fn found(
    shown: &Shown<'_>,
    key: &str,
    row: &SourceRow,
    real: &Media,
) -> Result<Option<Media>, PairsError> {
    let Some(record) = shown.masks.get(key) else {
        return Ok(None);
    };
    let all = record
        .masks
        .iter()
        .map(|mask| masks(&row.id, record.size, mask));
    let all: Vec<[Mask; 2]> = all.collect::<Result<_, _>>()?;
    let boxes = shown.boxes.get(key).map_or(&[][..], |found| &found.boxes);
    let things = record.masks.iter().zip(&all).enumerate();
    let things = things.map(|(number, (mask, [pixels, _]))| Drawn {
        number,
        mask: pixels,
        boxes: (boxes.iter())
            .filter(|found| found.tag == mask.tag)
            .map(|found| found.bbox)
            .collect(),
    });
    let picture = drawn(&real.decode()?, &things.collect::<Vec<_>>());
    Ok(Some(Media::from_image(picture)))
}

fn candidates(shown: &Shown<'_>, key: &str, choice: &ChoiceRecord) -> Result<String, PairsError> {
    let mut html = String::new();
    let files = shown.candidates.get(key).map_or(&[][..], Vec::as_slice);
    let mut scored: Vec<_> = choice.candidates.iter().collect();
    scored.sort_by(|a, b| {
        let chosen = |tag: &str| tag != choice.chosen;
        (chosen(&a.tag).cmp(&chosen(&b.tag))).then(a.similarity.total_cmp(&b.similarity))
    });
    for candidate in scored.iter().take(MOST_CANDIDATES) {
        let Some(file) = files.iter().find(|file| file.tag == candidate.tag) else {
            continue;
        };
        let picture = Media::from_path(shown.folder.out.join(&file.file));
        let caption = format!(
            "without {}: similarity {:.3} (real {:.3})",
            candidate.tag, candidate.similarity, choice.original
        );
        let class = match candidate.tag == choice.chosen {
            true => "chosen",
            false => "small",
        };
        html += &figure(class, &picture, &caption)?;
    }
    Ok(html)
}

/// Id, answer, and what each tag came to.
fn said(shown: &Shown<'_>, key: &str, row: &SourceRow) -> String {
    let mut html = format!(
        "<div class=\"say\"><p><b>{}</b> {}</p>",
        escape(&row.id),
        escape(&row.sentences.join(" "))
    );
    let Some(tags) = shown.tags.get(key) else {
        html.push_str("</div>");
        return html;
    };
    let words = ObjectScorer::default();
    let answer = row.sentences.join(" ");
    let masks = shown.masks.get(key).map_or(&[][..], |record| &record.masks);
    html.push_str("<p>");
    for tag in &tags.tags {
        let place = masks.iter().position(|mask| mask.tag == tag.tag);
        let dot = place.map_or(String::new(), |at| {
            let [r, g, b] = colour(at);
            format!("<span class=\"dot\" style=\"background:rgb({r},{g},{b})\"></span>")
        });
        let became = match place.map(|at| &masks[at]) {
            None => "not found".into(),
            Some(mask) => match &mask.skipped {
                Some(reason) => reason.clone(),
                None => format!(
                    "{} found, {:.1} % removed",
                    mask.instances,
                    mask.area * 100.0
                ),
            },
        };
        let named = match words.names(&answer, &tag.tag) {
            true => ", in the answer",
            false => "",
        };
        let line = format!("{} {:.2}{named}: {became}", tag.tag, tag.score);
        let _ = write!(html, "{dot}{}<br>", escape(&line));
    }
    html.push_str("</p></div>");
    html
}

fn without(shown: &Shown<'_>, key: &str, row: &SourceRow) -> Result<String, PairsError> {
    let mut html = String::from("<div class=\"pair\">");
    if !row.pictures.is_empty() {
        let real = media(shown.data, row, 0)?;
        html += &figure("small", &real, "real picture")?;
    }
    let reason = shown.reasons.get(key).map_or("", String::as_str);
    let _ = write!(html, "<p class=\"say\">{}</p>", escape(reason));
    html += &said(shown, key, row);
    html.push_str("</div>");
    Ok(html)
}
