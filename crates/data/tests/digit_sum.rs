//! What must hold for the built-in task whatever its configuration.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use percept_data::digit_sum::{DigitSum, DigitSumConfig, QuestionType, Split};
use percept_data::{Dataset, Part, Sample};

fn task(config: DigitSumConfig) -> DigitSum {
    DigitSum::new(config).unwrap()
}

fn numbers(sample: &Sample, key: &str) -> Vec<u64> {
    sample.meta[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap())
        .collect()
}

#[test]
fn a_sample_depends_on_seed_split_and_index_only() {
    let short = task(DigitSumConfig {
        len: 50,
        ..Default::default()
    });
    let long = task(DigitSumConfig {
        len: 5000,
        ..Default::default()
    });
    let reseeded = task(DigitSumConfig {
        len: 50,
        seed: 1,
        ..Default::default()
    });
    let image = |task: &DigitSum, i| task.get(i).unwrap().images[0].encoded().unwrap();
    for i in [49, 0, 7] {
        assert_eq!(image(&short, i), image(&long, i));
        assert_ne!(image(&short, i), image(&reseeded, i));
    }
    let distinct: HashSet<_> = (0..50).map(|i| image(&short, i)).collect();
    assert_eq!(distinct.len(), 50);
}

#[test]
fn no_handwriting_is_seen_in_both_splits_and_every_one_is_used() {
    let seen = |split| {
        let task = task(DigitSumConfig {
            split,
            len: 6000,
            width: 60,
            height: 28,
            clutter: 0.0,
            ..Default::default()
        });
        (0..task.len())
            .flat_map(|i| numbers(&task.get(i).unwrap(), "handwriting"))
            .collect::<HashSet<u64>>()
    };
    let (train, test) = (seen(Split::Train), seen(Split::Test));
    assert!(train.is_disjoint(&test));
    assert_eq!((train.len(), test.len()), (1442, 355));
}

#[test]
fn a_limit_on_handwriting_is_a_subset_of_the_split() {
    let seen = |handwriting| {
        let task = task(DigitSumConfig {
            handwriting,
            len: 2000,
            width: 60,
            height: 28,
            ..Default::default()
        });
        (0..task.len())
            .flat_map(|i| numbers(&task.get(i).unwrap(), "handwriting"))
            .collect::<HashSet<u64>>()
    };
    let (few, more) = (seen(Some(20)), seen(Some(100)));
    assert_eq!((few.len(), more.len()), (20, 100));
    assert!(few.is_subset(&more));
}

#[test]
fn question_types_are_balanced_and_answers_follow_from_the_digits() {
    let task = task(DigitSumConfig {
        len: 80,
        ..Default::default()
    });
    for i in 0..task.len() {
        let sample = task.get(i).unwrap();
        assert_eq!(
            sample.meta["question_type"],
            QuestionType::ALL[i % 8].name()
        );
        let digits = numbers(&sample, "digits");
        assert!((2..=5).contains(&digits.len()));
        let answer: u64 = sample.answer.as_ref().unwrap().parse().unwrap();
        if i % 8 == 0 {
            assert_eq!(answer, digits.iter().sum::<u64>());
        }
        assert!(
            sample
                .expert
                .unwrap()
                .ends_with(&format!(" \\boxed{{{answer}}}"))
        );
        let image = sample.images[0].decode().unwrap();
        assert_eq!(image.dimensions(), (140, 28));
        assert!(matches!(
            &sample.messages[0].content[..],
            [Part::Text(_), Part::Image(0)]
        ));
    }
}

#[test]
fn a_configuration_that_cannot_be_drawn_names_its_field() {
    let refused = |config: DigitSumConfig| DigitSum::new(config).unwrap_err().to_string();
    let d = DigitSumConfig::default;
    assert!(refused(DigitSumConfig { len: 0, ..d() }).contains("digit_sum.len"));
    assert!(
        refused(DigitSumConfig {
            min_digits: 1,
            ..d()
        })
        .contains("min_digits")
    );
    assert!(refused(DigitSumConfig { width: 49, ..d() }).contains("50 to 4096"));
    assert!(
        refused(DigitSumConfig {
            cells: usize::MAX,
            ..d()
        })
        .contains("digit_sum.width")
    );
    assert!(refused(DigitSumConfig { height: 0, ..d() }).contains("height"));
    assert!(
        refused(DigitSumConfig {
            max_scale: f32::NAN,
            ..d()
        })
        .contains("scale")
    );
    assert!(
        refused(DigitSumConfig {
            clutter: 2.0,
            ..d()
        })
        .contains("clutter")
    );
    assert!(
        refused(DigitSumConfig {
            handwriting: Some(3),
            ..d()
        })
        .contains("handwriting")
    );
    assert!(
        refused(DigitSumConfig {
            questions: vec![],
            ..d()
        })
        .contains("questions")
    );
    assert!(serde_json::from_str::<DigitSumConfig>(r#"{"widht": 3}"#).is_err());
}

/// `cargo test --release -p percept-data --test digit_sum -- --ignored` writes `target/…/digit_sum.png` to look at.
#[test]
#[ignore = "writes a contact sheet for a person to look at"]
fn contact_sheet() {
    let (columns, rows, scale) = (6, 8, 2);
    let mut sheet = image::RgbImage::new(columns * (140 * scale + 4), rows * (28 * scale + 4));
    let clutters = [0.0, 0.5, 0.5, 1.0];
    for k in 0..columns * rows {
        let clutter = clutters[(k / columns) as usize % 4];
        let sample = task(DigitSumConfig {
            clutter,
            ..Default::default()
        })
        .get(k as usize)
        .unwrap();
        println!(
            "{k}: {:?} {}",
            sample.messages[0].content[0],
            sample.expert.as_ref().unwrap()
        );
        let image = sample.images[0].decode().unwrap();
        let large = image::imageops::resize(
            &image,
            140 * scale,
            28 * scale,
            image::imageops::FilterType::Nearest,
        );
        let (x, y) = (
            k % columns * (140 * scale + 4),
            k / columns * (28 * scale + 4),
        );
        image::imageops::replace(&mut sheet, &large, x.into(), y.into());
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("digit_sum.png");
    sheet.save(&path).unwrap();
    println!("{}", path.display());
}

#[test]
fn an_expert_errs_as_often_as_configured_and_stays_consistent() {
    let expert_error = 0.1;
    let task = task(DigitSumConfig {
        len: 2000,
        expert_error,
        ..Default::default()
    });
    let (mut digits, mut wrong) = (0, 0);
    for i in 0..task.len() {
        let sample = task.get(i).unwrap();
        let truth = numbers(&sample, "digits");
        let expert = sample.expert.unwrap();
        let seen: Vec<u64> = expert["<think>I see ".len()..expert.find('.').unwrap()]
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(seen.len(), truth.len());
        let errors = seen.iter().zip(&truth).filter(|(a, b)| a != b).count();
        digits += truth.len();
        wrong += errors;
        let boxed = format!("\\boxed{{{}}}", sample.answer.unwrap());
        assert!(errors > 0 || expert.ends_with(&boxed), "{expert}");
    }
    let rate = wrong as f64 / digits as f64;
    assert!((rate - 0.1).abs() < 0.015, "{rate}");
}
