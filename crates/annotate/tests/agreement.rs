//! Kappas against scikit-learn and statsmodels (`tools/agreement_reference.py`; versions stand in the golden file).
#![allow(clippy::unwrap_used)]

use percept_annotate::{cohen_kappa, fleiss_kappa};
use serde_json::Value;

fn golden(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("golden/agreement.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

fn counts(list: &Value) -> Vec<usize> {
    let list = list.as_array().unwrap().iter();
    list.map(|n| n.as_u64().unwrap() as usize).collect()
}

/// None where the reference has NaN.
fn check(found: Option<f64>, case: &Value) {
    match (found, case["kappa"].as_f64()) {
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() < 1e-12, "{found}: {case}")
        }
        (found, expected) => assert_eq!(found, expected, "{case}"),
    }
}

#[test]
fn cohens_kappa_is_scikit_learns() {
    let cases = golden("cohen");
    assert!(cases.len() >= 40);
    for case in cases {
        let ratings: Vec<(usize, usize)> = counts(&case["a"])
            .into_iter()
            .zip(counts(&case["b"]))
            .collect();
        check(cohen_kappa(&ratings), &case);
        let turned: Vec<(usize, usize)> = ratings.iter().map(|&(a, b)| (b, a)).collect();
        assert_eq!(cohen_kappa(&turned), cohen_kappa(&ratings), "{case}");
    }
    assert_eq!(cohen_kappa(&[]), None);
}

#[test]
fn fleiss_kappa_is_statsmodels() {
    let cases = golden("fleiss");
    assert!(cases.len() >= 40);
    for case in cases {
        let table = case["table"].as_array().unwrap().iter().map(counts);
        check(fleiss_kappa(&table.collect::<Vec<_>>()), &case);
    }
    assert_eq!(fleiss_kappa(&[]), None);
    assert_eq!(fleiss_kappa(&[vec![1, 0]]), None, "one rater");
    assert_eq!(
        fleiss_kappa(&[vec![2, 0], vec![1, 0]]),
        None,
        "uneven numbers of raters"
    );
}
