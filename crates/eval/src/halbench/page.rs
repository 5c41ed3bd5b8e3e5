//! `report.html`: every pair side by side, and why the others are not there.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops;
use percept_data::Media;
use percept_report::{Page, escape};

use crate::causal::{Answer, Tag};

use super::build::Tally;
use super::edit::jpeg;
use super::folder::Folder;
use super::{BuildError, Questions};

/// Longer side of a thumbnail.
const SIDE: u32 = 320;

/// JPEG quality of a thumbnail: a page of 300 pairs stays below 10 MB.
const QUALITY: u8 = 75;

/// Pairs shown: more make a page that browsers are slow with.
const MOST: usize = 300;

const STYLE: &str = "<style>
.pair { display: flex; gap: 14px; flex-wrap: wrap; align-items: flex-start; }
.pair figure { margin: 0; }
.pair img { display: block; max-width: 320px; height: auto; }
.pair figcaption { color: var(--muted); font-size: 12px; margin-top: 4px; }
.pair .say { max-width: 34em; white-space: normal; }
.pair .say p { margin: 0 0 6px; }
.pair .say li { white-space: normal; }
</style>";

/// The page.
pub(super) fn render(
    folder: &Folder,
    pairs: &[Questions],
    tallies: &[Tally],
) -> Result<String, BuildError> {
    let mut page = Page::new("Counterfactual benchmark");
    page.text(&format!(
        "{} pairs, {} questions. Left the original, right the edit; outside the edit's mask both are equal.",
        pairs.len(),
        pairs.iter().map(|p| p.questions.len()).sum::<usize>()
    ));
    page.section("Steps");
    let rows: Vec<Vec<String>> = (tallies.iter())
        .map(|t| {
            vec![
                t.step.name().into(),
                t.kept.to_string(),
                t.dropped().to_string(),
            ]
        })
        .collect();
    page.table(&["step", "kept", "dropped"], &rows);
    page.section("Why rows were dropped");
    let reasons = tallies.iter().flat_map(|t| {
        (t.reasons.iter())
            .map(|(why, count)| vec![t.step.name().into(), why.clone(), count.to_string()])
    });
    page.table(&["step", "reason", "rows"], &reasons.collect::<Vec<_>>());
    page.section("Pairs").html(STYLE);
    for questions in pairs.iter().take(MOST) {
        page.html(&pair(folder, questions)?);
    }
    if pairs.len() > MOST {
        page.text(&format!(
            "{} more pairs are in qa.json and images/.",
            pairs.len() - MOST
        ));
    }
    Ok(page.render())
}

fn pair(folder: &Folder, questions: &Questions) -> Result<String, BuildError> {
    let record = &questions.pair.edit;
    let choice = &record.choice;
    let role = &choice.role;
    let mut html = String::from("<div class=\"pair\">");
    for (name, what) in [
        (&questions.original_name, &role.target),
        (&questions.edited_name, &choice.counterfactual),
    ] {
        let _ = write!(
            html,
            "<figure><img alt=\"{}\" src=\"{}\"><figcaption>{}: {}</figcaption></figure>",
            escape(what),
            thumbnail(folder, name)?,
            escape(name),
            escape(what)
        );
    }
    let _ = write!(
        html,
        "<div class=\"say\"><p><b>{}</b> replaced by <b>{}</b>; <b>{}</b> stays</p><p>{}</p>",
        escape(&role.target),
        escape(&choice.counterfactual),
        escape(&role.contextual),
        escape(&format!("{}: {}", choice.chosen_by, choice.reason)),
    );
    let checks = &questions.pair.checks;
    let _ = write!(
        html,
        "<p>changed in place: {:.1} levels; outside: {:.4}; target reached: {:.2}</p><ol>",
        checks.change_inside, checks.changed_outside, checks.target_reached
    );
    for question in &questions.questions {
        let side = if question.tag == Tag::Origin {
            "original"
        } else {
            "edit"
        };
        let truth = if question.answer == Answer::Yes {
            "yes"
        } else {
            "no"
        };
        let line = format!("{side} · {} · {truth}", question.q);
        let _ = write!(html, "<li>{}</li>", escape(&line));
    }
    html.push_str("</ol></div></div>");
    Ok(html)
}

fn thumbnail(folder: &Folder, name: &str) -> Result<String, BuildError> {
    let image = Media::from_path(folder.out.join("images").join(name)).decode()?;
    let scale = f64::from(SIDE) / f64::from(image.width().max(image.height()));
    let side = |len: u32| ((f64::from(len) * scale.min(1.0)).round() as u32).max(1);
    let (width, height) = (side(image.width()), side(image.height()));
    let small = imageops::resize(&image, width, height, imageops::FilterType::Triangle);
    let jpeg = jpeg(&small, QUALITY)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}
