//! The reports.

use percept_benchmarks::video_reward::files::ClipPair;
use percept_benchmarks::video_reward::{FrameCalibration, FrameScores};
use percept_frames::Preference;
use percept_report::Page;

use super::measure::{Numbers, delta};
use super::scorers::Scorer;
use crate::commands::eval::benchmark::output::{add_table, percent};

/// Pairs that the report shows of each reward model.
const SHOWN: usize = 50;

const ABOUT: &str = "Accuracy of score differences against people's preferences. Without ties: human ties are left out, equal \
    scores are wrong. With ties: differences up to the threshold \u{201c}tie at\u{201d} are ties, which is chosen on these pairs \
    where it is best (\u{201c}Ties Matter\u{201d}, arXiv 2305.14324). 95 % bootstrap intervals over prompts, the threshold \
    given. A pair with a clip without a score is wrong. ECE: expected calibration error of the probabilities that \
    differences promise by Bradley\u{2013}Terry with ties, on the scale of REACT and VideoReward; other scales are not \
    comparable in it.";

/// A benchmark of pairs.
pub fn pairs(
    title: &str,
    table: &[Vec<String>],
    numbers: &[Numbers],
    pairs: &[ClipPair],
    scorers: &[Scorer],
) -> Page {
    let mut page = Page::new(title);
    page.text(ABOUT);
    add_table(&mut page, table);
    page.section("As other programs count");
    let rows: Vec<Vec<String>> = numbers.iter().map(other_programs).collect();
    let head = [
        "reward model",
        "dimension",
        "VideoAlign: w/ ties %",
        "UnifiedReward: Acc. %",
        "concordant",
        "discordant",
        "tie: people alone",
        "tie: model alone",
        "tie: both",
    ];
    page.table(&head, &rows);
    page.section("Calibration");
    let rows: Vec<Vec<String>> = numbers.iter().flat_map(bins).collect();
    let head = [
        "reward model",
        "dimension",
        "promised",
        "n",
        "mean",
        "came true",
    ];
    page.table(&head, &rows);
    let Some((dimension, _)) = pairs.first().and_then(|pair| pair.preferences.last()) else {
        return page;
    };
    for scorer in scorers {
        page.section(&format!("{}: surest mistakes ({dimension})", scorer.name));
        page.table(
            &["pair", "prompt", "A", "B", "people", "score A − score B"],
            &mistakes(scorer, pairs, dimension),
        );
    }
    page
}

fn other_programs(n: &Numbers) -> Vec<String> {
    let (a, points) = (&n.accuracy, |share: f64| format!("{:.1}", share * 100.0));
    let counts = [
        a.counts.concordant,
        a.counts.discordant,
        a.counts.human_ties,
        a.counts.model_ties,
        a.counts.both_ties,
    ];
    let mut row = vec![n.scorer.clone(), n.dimension.to_owned()];
    row.extend([a.with_ties_videoalign, a.accuracy_unified_reward].map(points));
    row.extend(counts.map(|count| count.to_string()));
    row
}

fn bins(n: &Numbers) -> Vec<Vec<String>> {
    let row = |bin: &percept_benchmarks::video_reward::Bin| {
        vec![
            n.scorer.clone(),
            n.dimension.to_owned(),
            format!("{:.1}–{:.1}", bin.low, bin.high),
            bin.n.to_string(),
            format!("{:.3}", bin.predicted),
            format!("{:.3}", bin.observed),
        ]
    };
    n.calibration.bins.iter().map(row).collect()
}

/// Pairs on which people prefer one side and the score the other, by how much.
fn mistakes(scorer: &Scorer, pairs: &[ClipPair], dimension: &str) -> Vec<Vec<String>> {
    let wrong = |pair: &ClipPair| {
        let said = pair
            .preferences
            .iter()
            .find(|(name, _)| *name == dimension)?;
        let delta = delta(scorer, pair, dimension);
        let against = match said.1 {
            Preference::A => delta < 0.0,
            Preference::B => delta > 0.0,
            Preference::Tie => false,
        };
        against.then_some((said.1, delta))
    };
    let mut found: Vec<(&ClipPair, Preference, f64)> = pairs
        .iter()
        .filter_map(|pair| wrong(pair).map(|(said, delta)| (pair, said, delta)))
        .collect();
    found.sort_by(|x, y| y.2.abs().total_cmp(&x.2.abs()));
    let row = |(pair, said, delta): &(&ClipPair, Preference, f64)| {
        vec![
            pair.id.clone(),
            pair.prompt.clone(),
            pair.a.clone(),
            pair.b.clone(),
            said.name().to_owned(),
            format!("{delta:+.3}"),
        ]
    };
    found.iter().take(SHOWN).map(row).collect()
}

/// Frames of every reward model: classes, labels, bands of scores.
pub fn frames(page: &mut Page, all: &[(String, FrameScores, FrameCalibration)]) {
    page.text(
        "A frame is said to be distorted where the list of labels is not empty. A frame whose answer cannot be read is in \
         neither class. 95 % bootstrap intervals over clips.",
    );
    for (name, scores, calibration) in all {
        page.section(&format!("{name}: labels"));
        let label = |l: &percept_benchmarks::video_reward::LabelScores| {
            let s = &l.scores;
            let mut row = vec![l.label.name().to_owned(), s.support.to_string()];
            row.extend([&s.precision, &s.recall, &s.f1].map(percent));
            row
        };
        let rows: Vec<Vec<String>> = scores.labels.iter().map(label).collect();
        page.table(
            &["label", "frames", "precision %", "recall %", "F1 %"],
            &rows,
        );
        page.section(&format!("{name}: scores of frames"));
        let band = |b: &percept_benchmarks::video_reward::Band| {
            vec![
                format!("{}–{}", b.low, b.high),
                b.n.to_string(),
                format!("{:.1}", b.distorted * 100.0),
                format!("{:.2}", b.labels),
            ]
        };
        let rows: Vec<Vec<String>> = calibration.bands.iter().map(band).collect();
        page.table(&["score", "frames", "distorted %", "labels a frame"], &rows);
    }
}
