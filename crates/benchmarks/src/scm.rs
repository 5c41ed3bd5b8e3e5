//! The structural causal model behind hallucination benchmarks, estimated from a model's yes/no answers.
//!
//! ```text
//!   C  usual company of the object is in the picture
//!   │ ╲
//!   ▼  ▼
//!   X ─▶ Y        X  the object itself is there      Y  the model says yes
//! ```
//!
//! A model that looks answers by X alone. C → Y at fixed X is the shortcut: the object is affirmed because its
//! company is there. The effect is an odds ratio of "yes" with company to "yes" without, adjusted by
//! stratification over X and object (Mantel and Haenszel 1959), with the 95 % interval of Robins, Breslow and
//! Greenland (1986). 1 is no effect. Adjustment blocks the back-door path through X only; what else company
//! brings along (crowded scenes, say) is not taken out.
//!
//! Source of the graph: arXiv 2511.10268, which edits pictures instead (`causal`); this reading needs only
//! annotations.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One answered question "is there an `object`?".
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The picture.
    pub image: String,
    /// What was asked about.
    pub object: String,
    /// Whether the answer was yes.
    pub said_yes: bool,
}

/// An odds ratio with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OddsRatio {
    /// The ratio; NaN where no stratum tells anything.
    pub ratio: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Answers in strata that have both kinds of exposure.
    pub n: usize,
}

/// What was found about one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectEffect {
    /// The object.
    pub object: String,
    /// The class that stands beside it most often.
    pub companion: String,
    /// Answers and yeses: absent without company, absent with it, present without, present with.
    pub counts: [[usize; 2]; 4],
    /// Effect of company on "yes" at fixed presence.
    pub company: OddsRatio,
}

/// The estimated model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scm {
    /// C → Y: company on "yes", at fixed presence and object.
    pub company_on_answer: OddsRatio,
    /// X → Y: presence on "yes", at fixed company and object.
    pub presence_on_answer: OddsRatio,
    /// C → X: how company and presence go together in the questions, by object.
    pub company_on_presence: OddsRatio,
    /// By object, most answers first.
    pub objects: Vec<ObjectEffect>,
    /// Answers about pictures or objects that the annotations do not know.
    pub left_out: usize,
}

/// A 2 × 2 table: `[exposed][outcome]`.
type Table = [[f64; 2]; 2];

/// Estimates the model. `present` has the objects of each annotated picture; company is counted in it.
pub fn estimate_scm(
    observations: &[Observation],
    present: &BTreeMap<String, BTreeSet<String>>,
) -> Scm {
    let companions = companions(present);
    let mut counts: BTreeMap<&str, [[usize; 2]; 4]> = BTreeMap::new();
    let mut left_out = 0;
    for row in observations {
        let known = present
            .get(&row.image)
            .zip(companions.get(row.object.as_str()));
        let Some((objects, companion)) = known else {
            left_out += 1;
            continue;
        };
        let is_there = usize::from(objects.contains(&row.object));
        let has_company = usize::from(objects.contains(*companion));
        let cell = &mut counts.entry(&row.object).or_default()[2 * is_there + has_company];
        cell[0] += 1;
        cell[1] += usize::from(row.said_yes);
    }
    let mut objects: Vec<ObjectEffect> = counts
        .iter()
        .map(|(object, counts)| ObjectEffect {
            object: (*object).to_owned(),
            companion: companions[object].to_owned(),
            company: mantel_haenszel(&company_tables(counts)),
            counts: *counts,
        })
        .collect();
    objects
        .sort_by_key(|effect| std::cmp::Reverse(effect.counts.iter().map(|c| c[0]).sum::<usize>()));
    let all = |tables: fn(&[[usize; 2]; 4]) -> Vec<Table>| {
        let tables: Vec<Table> = counts.values().flat_map(tables).collect();
        mantel_haenszel(&tables)
    };
    Scm {
        company_on_answer: all(company_tables),
        presence_on_answer: all(presence_tables),
        company_on_presence: all(association_tables),
        objects,
        left_out,
    }
}

/// The class that stands beside each class most often; of equals the first by name.
fn companions(present: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<&str, &str> {
    let mut together: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for objects in present.values() {
        for a in objects {
            for b in objects.iter().filter(|b| *b != a) {
                *together.entry(a).or_default().entry(b).or_default() += 1;
            }
        }
    }
    let most = |counts: &BTreeMap<&'_ str, usize>| counts.values().copied().max().unwrap_or(0);
    together
        .iter()
        .filter_map(|(object, counts)| {
            let most = most(counts);
            let (companion, _) = counts.iter().find(|(_, count)| **count == most)?;
            Some((*object, *companion))
        })
        .collect()
}

fn row([all, yes]: [usize; 2]) -> [f64; 2] {
    [(all - yes) as f64, yes as f64]
}

/// Exposure company, outcome yes; strata absent and present.
fn company_tables(counts: &[[usize; 2]; 4]) -> Vec<Table> {
    vec![
        [row(counts[0]), row(counts[1])],
        [row(counts[2]), row(counts[3])],
    ]
}

/// Exposure presence, outcome yes; strata without and with company.
fn presence_tables(counts: &[[usize; 2]; 4]) -> Vec<Table> {
    vec![
        [row(counts[0]), row(counts[2])],
        [row(counts[1]), row(counts[3])],
    ]
}

/// Exposure company, outcome presence.
fn association_tables(counts: &[[usize; 2]; 4]) -> Vec<Table> {
    let n = |index: usize| counts[index][0] as f64;
    vec![[[n(0), n(2)], [n(1), n(3)]]]
}

/// The common odds ratio of 2 × 2 tables. Tables with an empty row tell nothing. Where the ratio is 0 or
/// infinite, a half is added to every cell (Haldane 1956, Anscombe 1956), so that it has an interval.
fn mantel_haenszel(tables: &[Table]) -> OddsRatio {
    let useful: Vec<Table> = tables
        .iter()
        .copied()
        .filter(|table| table.iter().all(|row| row[0] + row[1] > 0.0))
        .collect();
    let n = useful.iter().flatten().flatten().sum::<f64>() as usize;
    let none = OddsRatio {
        ratio: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
        n,
    };
    if useful.is_empty() {
        return none;
    }
    let found = common_ratio(&useful).or_else(|| {
        let half: Vec<Table> = useful
            .iter()
            .map(|t| t.map(|row| row.map(|x| x + 0.5)))
            .collect();
        common_ratio(&half)
    });
    let Some((ratio, variance)) = found else {
        return none;
    };
    let half = 1.96 * variance.sqrt();
    OddsRatio {
        ratio,
        low: (ratio.ln() - half).exp(),
        high: (ratio.ln() + half).exp(),
        n,
    }
}

/// Ratio and variance of its logarithm; nothing where a sum is 0.
fn common_ratio(tables: &[Table]) -> Option<(f64, f64)> {
    let (mut r, mut s, mut pr, mut mixed, mut qs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &[[unexposed_no, unexposed_yes], [exposed_no, exposed_yes]] in tables {
        let n = unexposed_no + unexposed_yes + exposed_no + exposed_yes;
        let concordant = exposed_yes * unexposed_no / n;
        let discordant = exposed_no * unexposed_yes / n;
        let p = (exposed_yes + unexposed_no) / n;
        let q = (exposed_no + unexposed_yes) / n;
        r += concordant;
        s += discordant;
        pr += p * concordant;
        mixed += p * discordant + q * concordant;
        qs += q * discordant;
    }
    if r == 0.0 || s == 0.0 {
        return None;
    }
    let variance = pr / (2.0 * r * r) + mixed / (2.0 * r * s) + qs / (2.0 * s * s);
    Some((r / s, variance))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of cats and beds: 40 with both, 20 with each alone, 20 with a lamp.
    fn world() -> BTreeMap<String, BTreeSet<String>> {
        let kinds: [(&str, &[&str], usize); 4] = [
            ("both", &["cat", "bed"], 40),
            ("cat", &["cat"], 20),
            ("bed", &["bed"], 20),
            ("lamp", &["lamp"], 20),
        ];
        let of = |(name, objects, count): (&str, &[&str], usize)| {
            let objects: BTreeSet<String> = objects.iter().map(|o| (*o).to_owned()).collect();
            (0..count)
                .map(|i| (format!("{name}{i}"), objects.clone()))
                .collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(of).collect()
    }

    fn answers(model: impl Fn(bool, bool, usize) -> bool) -> Vec<Observation> {
        world()
            .into_iter()
            .enumerate()
            .map(|(index, (image, objects))| Observation {
                image,
                object: "cat".into(),
                said_yes: model(objects.contains("cat"), objects.contains("bed"), index),
            })
            .collect()
    }

    #[test]
    fn who_looks_has_no_shortcut_and_who_guesses_has_nothing_else() {
        // A tenth of the answers are slips, so that odds are finite.
        let slip = |right: bool, index: usize| right != index.is_multiple_of(10);
        let looks = estimate_scm(&answers(|cat, _, i| slip(cat, i)), &world());
        let shortcut = looks.company_on_answer;
        assert!(shortcut.low < 1.0 && shortcut.high > 1.0, "{shortcut:?}");
        assert!(looks.presence_on_answer.low > 5.0, "{looks:?}");
        let guesses = estimate_scm(&answers(|_, bed, i| slip(bed, i)), &world());
        assert!(guesses.company_on_answer.low > 5.0, "{guesses:?}");
        let direct = guesses.presence_on_answer;
        assert!(direct.low < 1.0 && direct.high > 1.0, "{direct:?}");
        // Cats and beds go together: (40 · 20) / (20 · 20).
        assert!((guesses.company_on_presence.ratio - 2.0).abs() < 1e-12);
        assert_eq!(guesses.objects[0].companion, "bed");
    }

    #[test]
    fn one_table_gives_its_own_odds_ratio_and_woolfs_interval() {
        let found = mantel_haenszel(&[[[30.0, 10.0], [15.0, 45.0]]]);
        assert!((found.ratio - 9.0).abs() < 1e-12);
        let woolf = (1.0f64 / 30.0 + 0.1 + 1.0 / 15.0 + 1.0 / 45.0).sqrt();
        assert!((found.high / found.ratio - (1.96 * woolf).exp()).abs() < 1e-9);
    }

    #[test]
    fn adjustment_removes_what_presence_explains() {
        // Within each stratum company does nothing; pooled it would (Simpson).
        let absent = [[80.0, 20.0], [8.0, 2.0]];
        let present = [[2.0, 8.0], [20.0, 80.0]];
        let found = mantel_haenszel(&[absent, present]);
        assert!((found.ratio - 1.0).abs() < 1e-12, "{found:?}");
        let pooled = mantel_haenszel(&[[[82.0, 28.0], [28.0, 82.0]]]);
        assert!(pooled.low > 1.0);
    }

    #[test]
    fn nothing_and_certainty_are_no_accident() {
        assert!(estimate_scm(&[], &world()).company_on_answer.ratio.is_nan());
        let certain = estimate_scm(&answers(|_, bed, _| bed), &world()).company_on_answer;
        assert!(certain.ratio > 100.0 && certain.low.is_finite() && certain.high.is_finite());
        let unknown = Observation {
            image: "other".into(),
            object: "cat".into(),
            said_yes: true,
        };
        assert_eq!(estimate_scm(&[unknown], &world()).left_out, 1);
    }
}
