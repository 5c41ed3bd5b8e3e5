//! The page of `percept analyze direction`.

use percept_eval::Estimate;
use percept_eval::direction::{
    Occurrence, Response, Rule, TokenMove, histogram, occurrences, sparsity, token_moves,
};
use percept_report::{Chart, Page, Series, escape};
use percept_sampler::Draft;

use super::args::AnalyzeDirection;
use super::measure::{Measurements, accuracy, curve, name, separation};

/// Token texts and occurrences in a list, and how often a text must occur to have a mean.
const SHOWN: usize = 20;
const OFTEN: usize = 20;

/// The whole page.
pub fn render(args: &AnalyzeDirection, found: &Measurements) -> String {
    let mut page = Page::new("What training changed: Δ log p of single tokens");
    page.text(&format!(
        "Base {}, tuned {}; {} questions, {} responses each, temperature {}, top-p {}, seed {}. \
         Δ log p = log p(tuned) − log p(base) of a token, in nats, at temperature 1. Intervals are 95 % \
         bootstrap intervals over questions.",
        args.base.display(),
        args.tuned.display(),
        accuracy(&found.base).n,
        args.n,
        args.temperature,
        args.top_p,
        args.seed
    ));
    models(&mut page, found);
    distributions(&mut page, found);
    moves(&mut page, found);
    replacement(&mut page, args, found);
    extrapolation(&mut page, args, found);
    page.render()
}

/// The rules side by side at the budget.
pub fn comparison(args: &AnalyzeDirection, found: &Measurements) -> Vec<Vec<String>> {
    let percent = format!("{:.0} %", 100.0 * args.budget);
    let mut rows = vec![vec![
        "drafts, rule".to_owned(),
        format!("gap closed at {percent}"),
        "of random's".into(),
        "lead over random, points".into(),
        "lead over KL, points".into(),
        "tokens for 50 %".into(),
        "tokens for 90 %".into(),
    ]];
    for (draft, rule, here) in &found.curves {
        let lead = |other: Rule| match curve(found, *draft, other) {
            Some(curve) if other != *rule => points(here.lead(curve, args.budget)),
            _ => String::new(),
        };
        let share = |part| {
            here.share_for(part)
                .map_or_else(|| "–".into(), |s| format!("{:.1} %", 100.0 * s))
        };
        rows.push(vec![
            format!("{}, {}", name(*draft), rule.name()),
            points(here.recovery(args.budget)),
            times_random(args, found, *draft, *rule),
            lead(Rule::Random),
            lead(Rule::Kl),
            share(0.5),
            share(0.9),
        ]);
    }
    rows
}

/// The gap that a rule closes as a multiple of what chance closes.
fn times_random(args: &AnalyzeDirection, found: &Measurements, draft: Draft, rule: Rule) -> String {
    let closed = |rule| curve(found, draft, rule).map(|c| c.recovery(args.budget).mean);
    match (closed(rule), closed(Rule::Random)) {
        (Some(here), Some(random)) if rule != Rule::Random && random > 0.0 => {
            format!("{:.1} ×", here / random)
        }
        _ => String::new(),
    }
}

/// `12.3 [10.0, 14.1]`, times 100.
fn points(e: Estimate) -> String {
    let [mean, low, high] = [e.mean, e.low, e.high].map(|v| 100.0 * v);
    match mean.is_nan() {
        true => "–".into(),
        false => format!("{mean:.1} [{low:.1}, {high:.1}]"),
    }
}

fn table(page: &mut Page, rows: &[Vec<String>]) {
    if let Some((head, rows)) = rows.split_first() {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        page.table(&head, rows);
    }
}

fn models(page: &mut Page, found: &Measurements) {
    let row = |name: &str, responses: &[Response]| {
        let tokens: usize = responses.iter().map(|r| r.tokens.len()).sum();
        vec![
            name.to_owned(),
            points(accuracy(responses)),
            format!("{:.1}", tokens as f64 / responses.len().max(1) as f64),
        ]
    };
    page.table(
        &["model", "accuracy %", "tokens/response"],
        &[row("base", &found.base), row("tuned", &found.tuned)],
    );
}

fn distributions(page: &mut Page, found: &Measurements) {
    page.section("How tokens moved");
    let both = [
        ("base's responses", &found.base),
        ("tuned's responses", &found.tuned),
    ];
    let chart = |title: &str, x: &str, values: &dyn Fn(&[Response]) -> Vec<f64>, signed: bool| {
        let all = both.map(|(name, responses)| (name, values(responses)));
        let mut sizes: Vec<f64> = all.iter().flat_map(|(_, v)| v).map(|v| v.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let end = sizes.get(sizes.len().saturating_sub(1 + sizes.len() / 1000));
        let high = end.copied().unwrap_or(1.0).max(0.01);
        let low = if signed { -high } else { 0.0 };
        let series = all.map(|(name, values)| {
            let bins = histogram(values.into_iter(), low, high, 60);
            let at = |i: usize| bins.low + bins.width * (i as f64 + 0.5);
            let points = bins.shares.iter().enumerate();
            Series {
                name: name.into(),
                points: points.map(|(i, share)| (at(i), share.log10())).collect(),
                steps: false,
                ..Default::default()
            }
        });
        Chart {
            title: title.into(),
            x: x.into(),
            y: "log10 of the share of tokens".into(),
            series: series.to_vec(),
        }
    };
    let delta = |r: &[Response]| r.iter().flat_map(Response::deltas).collect();
    let kl = |r: &[Response]| Rule::Kl.values(Draft::Base, r);
    page.chart(&chart("Δ log p", "Δ log p, nats", &delta, true))
        .chart(&chart("KL(tuned ‖ base)", "nats", &kl, false))
        .chart(&chart(
            "Entropy of the tuned model",
            "nats",
            &|r| Rule::Entropy.values(Draft::Tuned, r),
            false,
        ));
    page.text(
        "Does a number tell tokens of the tuned model's responses from tokens of the base's? Probability that it is \
         larger for the former (AUC; 0.5: it does not).",
    );
    let rows: Vec<Vec<String>> = separation(found)
        .into_iter()
        .map(|(name, auc)| vec![name.to_owned(), format!("{auc:.3}")])
        .collect();
    page.table(&["number", "AUC"], &rows);
    let both = both.map(|(name, responses)| {
        let deltas: Vec<f64> = responses.iter().flat_map(Response::deltas).collect();
        (name, sparsity(&deltas))
    });
    let mut rows = vec![
        vec!["".to_owned()],
        vec!["tokens".into()],
        vec!["mean Δ".into()],
    ];
    rows.push(vec!["mean |Δ|".into()]);
    let (_, first) = &both[0];
    rows.extend(
        first
            .above
            .iter()
            .map(|(t, _)| vec![format!("|Δ| above {t}, % of tokens")]),
    );
    let carried = first.carried.iter();
    rows.extend(carried.map(|(s, _)| vec![format!("% of all |Δ| in the top {:.0} %", 100.0 * s)]));
    for (name, s) in &both {
        let mut column = vec![(*name).to_owned(), s.tokens.to_string()];
        column.extend([s.mean, s.mean_abs].map(|v| format!("{v:.4}")));
        let shares = s.above.iter().chain(&s.carried);
        column.extend(shares.map(|(_, share)| format!("{:.1}", 100.0 * share)));
        rows.iter_mut()
            .zip(column)
            .for_each(|(row, cell)| row.push(cell));
    }
    table(page, &rows);
}

fn moves(page: &mut Page, found: &Measurements) {
    let texts = |moves: &mut dyn Iterator<Item = TokenMove>| -> Vec<Vec<String>> {
        let shown = moves.take(SHOWN);
        shown
            .map(|m| {
                vec![
                    visible(&m.text).replace(' ', "␣"),
                    format!("{:+.3}", m.mean),
                    m.count.to_string(),
                ]
            })
            .collect()
    };
    let head = ["token", "mean Δ", "times"];
    page.section("Tokens that training raised (tuned's responses)");
    let raised = token_moves(&found.tuned, OFTEN);
    page.table(
        &head,
        &texts(&mut raised.into_iter().filter(|m| m.mean > 0.0)),
    );
    page.html(&places(&occurrences(&found.tuned, true, SHOWN)));
    page.section("Tokens that training lowered (base's responses)");
    let lowered = token_moves(&found.base, OFTEN);
    let lowest = lowered.into_iter().rev().filter(|m| m.mean < 0.0);
    page.table(&head, &texts(&mut { lowest }));
    page.html(&places(&occurrences(&found.base, false, SHOWN)));
}

/// Tokens in their places, as an HTML table.
fn places(all: &[Occurrence]) -> String {
    let mut html = String::from(
        "<table><thead><tr><th>in context</th><th>Δ</th><th>p(base)</th><th>p(tuned)</th><th>score</th>\
         <th>question</th></tr></thead><tbody>",
    );
    for o in all {
        let [base, tuned] = o.probabilities;
        html.push_str(&format!(
            "<tr><td class=\"tok\">{}<mark>{}</mark>{}</td><td>{:+.2}</td><td>{base:.4}</td><td>{tuned:.4}</td>\
             <td>{}</td><td>{}</td></tr>",
            escape(&visible(&o.before)),
            escape(&visible(&o.token)),
            escape(&visible(&o.after)),
            o.delta,
            o.score.map_or_else(|| "–".into(), |s| s.to_string()),
            escape(&o.id)
        ));
    }
    html.push_str("</tbody></table>");
    html
}

/// Line ends shown, so that a token stays on its line.
fn visible(text: &str) -> String {
    text.replace('\n', "⏎").replace('\t', "⇥")
}

fn replacement(page: &mut Page, args: &AnalyzeDirection, found: &Measurements) {
    page.section("Replacing tokens");
    page.text(
        "One model drafts each token; where the rule fires, it is drawn again from the other model. Thresholds are \
         quantiles over the drafting model's own responses; the horizontal axis is the share of tokens on which the \
         rule fired. Gap closed: 0 is the drafting model, 100 the other one; leads are points of accuracy towards \
         the other model, at the same share of tokens.",
    );
    for (draft, title) in [
        (Draft::Base, "The base drafts, the tuned model replaces"),
        (Draft::Tuned, "The tuned model drafts, the base replaces"),
    ] {
        let of_draft = found.curves.iter().filter(|(d, _, _)| *d == draft);
        let most = of_draft
            .clone()
            .flat_map(|(_, _, c)| c.points())
            .map(|p| p.share)
            .filter(|share| *share < 1.0)
            .fold(0.0, f64::max);
        let series = of_draft.map(|(_, rule, curve)| {
            let shown = || curve.points().iter().filter(|p| p.share <= most);
            let estimate = |point: &percept_eval::direction::Outcome| point.accuracy();
            Series {
                name: rule.name().into(),
                points: shown()
                    .map(|p| (100.0 * p.share, 100.0 * estimate(p).mean))
                    .collect(),
                ..Default::default()
            }
        });
        let mut series: Vec<Series> = series.collect();
        let target = match draft {
            Draft::Base => ("tuned alone", accuracy(&found.tuned)),
            Draft::Tuned => ("base alone", accuracy(&found.base)),
        };
        series.push(Series {
            name: target.0.into(),
            points: [0.0, 100.0 * most]
                .map(|x| (x, 100.0 * target.1.mean))
                .to_vec(),
            ..Default::default()
        });
        page.chart(&Chart {
            title: title.into(),
            x: "tokens replaced, %".into(),
            y: "accuracy, %".into(),
            series,
        });
    }
    table(page, &comparison(args, found));
    let mut rows = vec![
        ["drafts, rule", "tokens replaced %", "accuracy %"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (draft, rule, curve) in &found.curves {
        rows.extend(curve.points().iter().map(|p| {
            vec![
                format!("{}, {}", name(*draft), rule.name()),
                format!("{:.2}", 100.0 * p.share),
                points(p.accuracy()),
            ]
        }));
    }
    table(page, &rows);
}

fn extrapolation(page: &mut Page, args: &AnalyzeDirection, found: &Measurements) {
    page.section("Going further");
    page.text(&format!(
        "log p = (1 + γ) log p(tuned) − γ log p(base), over {}. Everywhere: the tuned model drafts, every token is \
         drawn from the mixture (γ = 0 is the tuned model). Selective: the base drafts, and the mixture replaces \
         drafts with Δ ≤ {} ({:.1} % of tokens at the first γ).",
        match args.candidates {
            0 => "the whole vocabulary".to_owned(),
            k => format!("the drafting model's {k} likeliest tokens"),
        },
        args.tau,
        100.0 * found.fired
    ));
    let series = [
        ("everywhere", &found.everywhere),
        ("selective", &found.selective),
    ];
    let rows: Vec<Vec<String>> = found
        .everywhere
        .iter()
        .zip(&found.selective)
        .map(|((gamma, all), (_, some))| vec![gamma.to_string(), points(*all), points(*some)])
        .collect();
    page.chart(&Chart {
        title: "Accuracy by γ".into(),
        x: "γ".into(),
        y: "accuracy, %".into(),
        series: series
            .map(|(name, curve)| Series {
                name: name.into(),
                points: curve
                    .iter()
                    .map(|(g, e)| (f64::from(*g), 100.0 * e.mean))
                    .collect(),
                band: curve
                    .iter()
                    .map(|(_, e)| (100.0 * e.low, 100.0 * e.high))
                    .collect(),
                steps: false,
            })
            .to_vec(),
    });
    page.table(
        &["γ", "everywhere, accuracy %", "selective, accuracy %"],
        &rows,
    );
}
