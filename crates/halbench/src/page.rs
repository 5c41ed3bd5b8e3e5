//! `report.html`: every pair side by side, and why the others are not there.

use std::fmt::Write;

use percept_data::Media;
use percept_report::{Page, escape};
use percept_steps::Folder;

use percept_benchmarks::causal::{Answer, Tag};
use percept_eval::thumbnail;

use crate::{BuildError, Questions, Tally};

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
pub(crate) fn render(
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
    page.section("Pairs");
    for (at, questions) in pairs.iter().take(MOST).enumerate() {
        // Once, and not in a card of its own.
        let style = if at == 0 { STYLE } else { "" };
        page.html(&format!("{style}{}", pair(folder, questions)?));
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
            thumbnail(&Media::from_path(folder.out.join("images").join(name)))?,
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
        "<p>changed in place: {:.1} levels; outside: {:.4}; target reached: {:.2}</p>",
        checks.change_inside, checks.changed_outside, checks.target_reached
    );
    if let Some([new_before, new_after, old_before, old_after]) = checks.scores {
        let [new, old] = [&choice.counterfactual, &role.target].map(|class| escape(class));
        let _ = write!(
            html,
            "<p>scores: {new} {new_before:.3} → {new_after:.3}; {old} {old_before:.3} → {old_after:.3}</p>"
        );
    }
    html.push_str("<ol>");
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
