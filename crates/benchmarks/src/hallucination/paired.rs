//! Two models on the same pictures: how much less one of them invents, and whether it pays for it by saying less.
//!
//! Everything is a ratio of sums over pictures (Object HalBench's counting): hallucinated objects / objects (mention level),
//! answers with one / answers with objects (response level) and / answers, objects of the picture that are named (coverage).
//! The interval of a difference resamples pictures, with both answers of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use percept_eval::Estimate;
use percept_eval::stats::{ANY, DIFFERENCE, Range, intervals, ratio};

/// What is counted in the answer about a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that it names.
    pub objects: usize,
    /// Those that are not there.
    pub hallucinated: usize,
    /// Objects of the picture.
    pub present: usize,
    /// Those that it names.
    pub covered: usize,
    /// Its words.
    pub words: usize,
}

/// A line of `records.jsonl` of CHAIR, Object HalBench, `scenes` or AMBER's descriptions.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Line {
    Caption {
        image: u64,
        caption: String,
        mentioned: Vec<(String, String)>,
        hallucinated: Vec<(String, String)>,
        present: Vec<String>,
        covered: usize,
    },
    Amber {
        id: u64,
        response: String,
        nouns: Vec<String>,
        unmatched: Vec<String>,
        truth: usize,
        covered: usize,
    },
}

/// The picture and the counts of a record.
///
/// # Errors
/// What stands there instead.
pub fn counted(record: serde_json::Value) -> Result<(u64, Counts), String> {
    let line = serde_json::from_value(record)
        .map_err(|_| "not a description with its objects".to_owned())?;
    let words = |text: &str| text.split_whitespace().count();
    Ok(match line {
        Line::Caption {
            image,
            caption,
            mentioned,
            hallucinated,
            present,
            covered,
        } => {
            let counts = Counts {
                objects: mentioned.len(),
                hallucinated: hallucinated.len(),
                present: present.len(),
                covered,
                words: words(&caption),
            };
            (image, counts)
        }
        Line::Amber {
            id,
            response,
            nouns,
            unmatched,
            truth,
            covered,
        } => {
            let counts = Counts {
                objects: nouns.len(),
                hallucinated: unmatched.len(),
                present: truth,
                covered,
                words: words(&response),
            };
            (id, counts)
        }
    })
}

/// A number of two models on the same pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which number: `mention`, `response`, `response_of_all`, `coverage`, `words`; of yes/no questions `accuracy`, `f1`.
    pub metric: &'static str,
    /// Of the first model.
    pub first: Estimate,
    /// Of the second.
    pub second: Estimate,
    /// Second − first.
    pub difference: Estimate,
    /// 1 − second / first: how much of it is gone.
    pub reduction: Estimate,
}

const COLUMNS: usize = 8;
type Sums = [f64; COLUMNS];
type Metric = (&'static str, fn(&Sums) -> f64, Range, Range);

const METRICS: [Metric; 5] = [
    ("mention", |s| ratio(s[3], s[2]), SHARED, DIFFERENCE),
    ("response", |s| ratio(s[4], s[1]), SHARED, DIFFERENCE),
    ("response_of_all", |s| ratio(s[4], s[0]), SHARED, DIFFERENCE),
    ("coverage", |s| ratio(s[6], s[5]), SHARED, DIFFERENCE),
    ("words", |s| ratio(s[7], s[0]), ANY, ANY),
];
const SHARED: Range = percept_eval::stats::SHARE;

fn row(counts: &Counts) -> Sums {
    [
        1.0,
        f64::from(counts.objects > 0),
        counts.objects as f64,
        counts.hallucinated as f64,
        f64::from(counts.hallucinated > 0),
        counts.present as f64,
        counts.covered as f64,
        counts.words as f64,
    ]
}

/// Counts of a model by picture; a picture that several runs (seeds) describe has the counts of each.
pub type ByPicture = BTreeMap<u64, Vec<Counts>>;

/// What changes from the first model to the second, over the pictures that both describe equally often. Each picture is
/// drawn with all its answers.
pub fn changes(first: &ByPicture, second: &ByPicture) -> Vec<Change> {
    let rows: Vec<[f64; 2 * COLUMNS]> = paired_rows(first, second, row);
    let side = |both: &[f64; 2 * COLUMNS], first: usize| -> Sums {
        std::array::from_fn(|at| both[first + at])
    };
    METRICS
        .into_iter()
        .map(|(metric, of, range, differences)| {
            change(metric, &rows, [range, differences], |both| {
                [of(&side(both, 0)), of(&side(both, COLUMNS))]
            })
        })
        .collect()
}

/// Sums of what both models have equally often, those of the first model before those of the second.
pub(super) fn paired_rows<T, const ONE: usize, const BOTH: usize>(
    first: &BTreeMap<u64, Vec<T>>,
    second: &BTreeMap<u64, Vec<T>>,
    row: impl Fn(&T) -> [f64; ONE],
) -> Vec<[f64; BOTH]> {
    let sum = |all: &[T]| {
        all.iter().map(&row).fold([0.0; ONE], |mut sums, row| {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
            sums
        })
    };
    let shared = first.iter().filter_map(|(id, before)| {
        let after = second.get(id)?;
        (after.len() == before.len()).then(|| (sum(before), sum(after)))
    });
    shared
        .map(|(before, after)| {
            std::array::from_fn(|at| match at < ONE {
                true => before[at],
                false => after[at - ONE],
            })
        })
        .collect()
}

/// What changes in a number that `of` reads from the sums of both models; `ranges` are those of the number and of a difference.
pub(super) fn change<const BOTH: usize>(
    metric: &'static str,
    rows: &[[f64; BOTH]],
    [range, differences]: [Range; 2],
    of: impl Fn(&[f64; BOTH]) -> [f64; 2],
) -> Change {
    let ranges = [range, range, differences, ANY];
    let [first, second, difference, reduction] = intervals(rows, ranges, |both| {
        let [a, b] = of(both);
        [a, b, b - a, 1.0 - ratio(b, a)]
    });
    Change {
        metric,
        first,
        second,
        difference,
        reduction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(invented: impl Fn(u64) -> usize) -> ByPicture {
        let counts = |image: u64| Counts {
            objects: 4,
            hallucinated: invented(image),
            present: 4,
            covered: 4 - invented(image),
            words: 10,
        };
        (0..200).map(|image| (image, vec![counts(image)])).collect()
    }

    fn of<'a>(changes: &'a [Change], metric: &str) -> &'a Change {
        changes
            .iter()
            .find(|change| change.metric == metric)
            .unwrap()
    }

    #[test]
    fn a_model_that_invents_a_quarter_as_much_is_seen_to() {
        // Half of the pictures have two of four objects invented; then an eighth.
        let (base, tuned) = (
            model(|i| 2 * usize::from(i % 2 == 0)),
            model(|i| 2 * usize::from(i % 8 == 0)),
        );
        let found = changes(&base, &tuned);
        let mention = of(&found, "mention");
        assert_eq!((mention.first.mean, mention.second.mean), (0.25, 0.0625));
        assert!((mention.reduction.mean - 0.75).abs() < 1e-12);
        assert!(
            mention.difference.high < 0.0 && mention.reduction.low > 0.6,
            "{mention:?}"
        );
        assert_eq!(of(&found, "response").first.mean, 0.5);
        assert_eq!(of(&found, "coverage").second.mean, 1.0 - 0.0625);
    }

    #[test]
    fn pairing_takes_away_what_pictures_have_in_common() {
        // Noise of the pictures is far larger than the difference, and the same for both.
        let base = model(|i| (i % 5) as usize);
        let better = model(|i| ((i % 5) as usize).saturating_sub(usize::from(i % 10 == 4)));
        let found = changes(&base, &better);
        let mention = of(&found, "mention");
        assert!(mention.difference.high < 0.0, "{mention:?}");
        assert!(
            mention.first.low < mention.second.mean,
            "unpaired intervals overlap: {mention:?}"
        );
        let same = changes(&base, &base);
        assert!(
            of(&same, "mention").difference.low < 0.0 && of(&same, "mention").difference.high > 0.0
        );
    }

    #[test]
    fn pictures_that_one_model_did_not_describe_are_left_out_and_seeds_are_summed() {
        let mut more = model(|_| 1);
        more.insert(1000, vec![Counts::default()]);
        let found = changes(&model(|_| 1), &more);
        assert_eq!(of(&found, "mention").first.n, 200);
        let mut twice = model(|_| 0);
        twice.values_mut().for_each(|counts| counts.push(counts[0]));
        assert_eq!(of(&changes(&twice, &twice), "words").first.mean, 10.0);
    }

    #[test]
    fn records_of_every_description_benchmark_are_read() {
        let caption = json!({"image": 7, "caption": "a cat and a dog", "mentioned": [["cat", "cat"], ["dog", "dog"]],
            "hallucinated": [["dog", "dog"]], "present": ["cat", "bus"], "covered": 1, "length": 5});
        let amber = json!({"id": 7, "response": "a cat and a dog", "nouns": ["cat", "dog"], "unmatched": ["dog"],
            "truth": 2, "covered": 1, "targets": 0, "named_targets": 0});
        let expected = Counts {
            objects: 2,
            hallucinated: 1,
            present: 2,
            covered: 1,
            words: 5,
        };
        for record in [caption, amber] {
            assert_eq!(counted(record), Ok((7, expected)));
        }
        let choice =
            json!({"id": 7, "kind": "k", "truth": true, "response": "Yes", "parsed": true});
        assert!(counted(choice).is_err());
    }
}
