//! Agreement on the pairs that several annotators have done, as each submitted them before a reviewer had a say.

use std::collections::BTreeMap;

use percept_frames::{Distortion, Preference};
use serde::Serialize;

use crate::agreement::boxes::{BoxAgreement, BoxSums};
use crate::agreement::cohen::{CohenKappa, cohen_kappa};
use crate::agreement::fleiss::{FleissKappa, fleiss_kappa};
use crate::work::{Side, Work, Works};

/// Kappas of one question.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Kappas {
    /// Every two annotators with common items.
    pub cohen: Vec<CohenKappa>,
    /// All: over the items with the commonest number of ratings.
    pub fleiss: Option<FleissKappa>,
}

/// Agreement on everything that is asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Pairs that several annotators have submitted.
    pub pairs: usize,
    /// A, B or neither; items are pairs.
    pub preference: Kappas,
    /// Whether a frame has any label; items are frames.
    pub distorted: Kappas,
    /// Whether a frame has this label.
    pub labels: BTreeMap<&'static str, Kappas>,
    /// Boxes of every two annotators.
    pub boxes: Vec<(String, String, BoxAgreement)>,
}

/// Ratings of one item: annotator and category.
type Ratings<'w> = Vec<(&'w str, usize)>;

impl Agreement {
    /// Of all work.
    pub fn of(works: &Works) -> Self {
        let mut pairs: BTreeMap<usize, Vec<(&str, &Work)>> = BTreeMap::new();
        for entry in works.entries() {
            if let Some(work) = entry.independent {
                let of = pairs.entry(entry.place).or_default();
                of.push((entry.annotator, work));
            }
        }
        pairs.retain(|_, by| by.len() > 1);
        let frames = || {
            let pairs = pairs.values();
            pairs.flat_map(|by| Side::BOTH.map(|side| (side, by)))
        };
        let of_frames = |rate: &dyn Fn(&Work, Side) -> bool| {
            let items = frames().map(|(side, by)| {
                let rated = by
                    .iter()
                    .map(|(who, work)| (*who, usize::from(rate(work, side))));
                rated.collect()
            });
            Kappas::of(&items.collect::<Vec<Ratings<'_>>>(), 2)
        };
        let preferences = pairs.values().map(|by| {
            let rated = by.iter().filter_map(|(who, work)| {
                let category = match work.preference? {
                    Preference::A => 0,
                    Preference::B => 1,
                    Preference::Tie => 2,
                };
                Some((*who, category))
            });
            rated.collect()
        });
        let labels = Distortion::ALL.map(|label| {
            let has = move |work: &Work, side: Side| work.labels_of(side).contains(&label);
            (label.name(), of_frames(&has))
        });
        let mut boxes: BTreeMap<(&str, &str), BoxSums> = BTreeMap::new();
        for (side, by) in frames() {
            for (at, (a, first)) in by.iter().enumerate() {
                for (b, second) in &by[at + 1..] {
                    let [first, second] = [first, second].map(|work| corners(work, side));
                    boxes.entry((a, b)).or_default().add(&first, &second);
                }
            }
        }
        Self {
            pairs: pairs.len(),
            preference: Kappas::of(&preferences.collect::<Vec<_>>(), 3),
            distorted: of_frames(&|work, side| !work.labels_of(side).is_empty()),
            labels: labels.into(),
            boxes: boxes
                .into_iter()
                .map(|((a, b), sums)| (a.to_owned(), b.to_owned(), sums.finish()))
                .collect(),
        }
    }
}

impl Kappas {
    fn of(items: &[Ratings<'_>], categories: usize) -> Self {
        let mut two: BTreeMap<(&str, &str), Vec<(usize, usize)>> = BTreeMap::new();
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for ratings in items {
            for (at, (a, first)) in ratings.iter().enumerate() {
                for (b, second) in &ratings[at + 1..] {
                    two.entry((a, b)).or_default().push((*first, *second));
                }
            }
            *sizes.entry(ratings.len()).or_default() += usize::from(ratings.len() > 1);
        }
        let raters = sizes.iter().max_by_key(|(_, items)| **items);
        let fleiss = raters
            .filter(|(_, items)| **items > 0)
            .map(|(&raters, &count)| {
                let table: Vec<Vec<usize>> = items
                    .iter()
                    .filter(|ratings| ratings.len() == raters)
                    .map(|ratings| {
                        let said = |c| ratings.iter().filter(|(_, found)| *found == c).count();
                        (0..categories).map(said).collect()
                    })
                    .collect();
                FleissKappa {
                    items: count,
                    raters,
                    kappa: fleiss_kappa(&table),
                }
            });
        let cohen = two.into_iter().map(|((a, b), ratings)| {
            let equal = ratings.iter().filter(|(a, b)| a == b).count();
            CohenKappa {
                a: a.to_owned(),
                b: b.to_owned(),
                items: ratings.len(),
                observed: equal as f64 / ratings.len() as f64,
                kappa: cohen_kappa(&ratings),
            }
        });
        Self {
            cohen: cohen.collect(),
            fleiss,
        }
    }
}

fn corners(work: &Work, side: Side) -> Vec<[f64; 4]> {
    work.boxes_of(side).into_iter().map(|b| b.corners).collect()
}
