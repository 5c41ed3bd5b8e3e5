//! What holds for every text: no panic, no hang, and equality that deserves its name.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use percept_reward::{Answer, Math, RewardConfig, RewardSet, Verdict, boxes, choice};
use proptest::prelude::*;

/// Text that looks like mathematics, well formed or not.
fn mathematical() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "1",
        "2",
        "10",
        "0.5",
        "3",
        "0",
        "1,000",
        "x",
        "y",
        "i",
        "e",
        "\\pi",
        "+",
        "-",
        "*",
        "/",
        "^",
        "_",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "\\{",
        "\\}",
        "\\frac",
        "\\sqrt",
        "\\sin",
        "\\log",
        "\\text{cm}",
        "m",
        "%",
        "^\\circ",
        ",",
        "=",
        "<",
        "\\le",
        "\\pm",
        "\\cup",
        "\\infty",
        "|",
        "!",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "&",
        "\\\\",
        " ",
        "and",
        "red",
        "é",
        "\\overline{3}",
        ".",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Well-formed rational expressions: these are compared exactly, whatever their size. (Roots and
/// functions are compared by value to nine digits.)
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0u32..100).prop_map(|n| n.to_string()),
        prop::sample::select(vec!["x", "y", "\\pi", "0.25", "i"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}+{b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}-{b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\\frac{{{a}}}{{{b}}}")),
            (inner.clone(), 0u32..4).prop_map(|(a, n)| format!("({a})^{{{n}}}")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(completion in ".{0,60}", truth in ".{0,30}") {
        let functions = r#"functions = [
            { name = "accuracy" }, { name = "math" }, { name = "exact" }, { name = "choice" },
            { name = "iou" }, { name = "format" }, { name = "length" },
        ]"#;
        let set = RewardSet::build(&toml::from_str::<RewardConfig>(functions).unwrap()).unwrap();
        let answer = Answer {
            completion: &completion,
            ground_truth: Some(&truth),
            alternatives: &[],
            prompt: "",
            finished: false,
            n_tokens: 0,
            meta: &serde_json::Map::new(),
            ..Answer::default()
        };
        let reward = set.judge(&[answer]).remove(0);
        prop_assert_eq!(reward.parts.len(), 7);
        for (name, verdict) in reward.parts {
            if let Some(score) = verdict.score() {
                prop_assert!((0.0..=1.0).contains(&score), "{}: {}", name, score);
            }
        }
        boxes(&completion);
        choice::chosen(&completion, &[]);
    }

    #[test]
    fn an_answer_equals_itself(text in mathematical()) {
        let verdict = Math::default().compare(&text, &text);
        prop_assert!(verdict != Verdict::WRONG, "{}", text);
    }

    #[test]
    fn equality_has_no_direction(a in mathematical(), b in mathematical()) {
        let math = Math::default();
        let (forward, back) = (math.compare(&a, &b), math.compare(&b, &a));
        if let (Some(forward), Some(back)) = (forward.score(), back.score()) {
            prop_assert_eq!(forward, back, "{} and {}", a, b);
        }
    }

    #[test]
    fn rewriting_keeps_the_value(a in expression(), b in expression()) {
        let math = Math::default();
        for (left, right) in [
            (format!("{a} + {b}"), format!("{b} + {a}")),
            (format!("2({a})"), format!("({a}) + ({a})")),
            (format!("(({a})+({b}))^2"), format!("({a})^2 + 2({a})({b}) + ({b})^2")),
        ] {
            // Where the value is undefined (1/0) nothing is equal; where it is defined, it must be.
            let defined = math.compare(&format!("{a} + {b} + 0"), &format!("{a} + {b}"));
            if defined == Verdict::RIGHT && math.compare(&a, &format!("{a}+0")) == Verdict::RIGHT {
                prop_assert_eq!(math.compare(&left, &right), Verdict::RIGHT, "{} and {}", left, right);
            }
        }
    }

    #[test]
    fn what_divides_by_zero_equals_nothing(a in expression(), b in expression()) {
        let math = Math::default();
        let undefined = format!("\\frac{{1}}{{({a})-({a})}} + {b}");
        prop_assert_eq!(math.compare(&undefined, &b), Verdict::WRONG);
        prop_assert_eq!(math.compare(&b, &undefined), Verdict::WRONG);
        prop_assert_eq!(math.compare(&format!("{undefined} + 1"), &undefined), Verdict::WRONG);
    }

    #[test]
    fn adding_one_changes_the_value(a in expression()) {
        let math = Math::default();
        prop_assert_eq!(math.compare(&format!("({a}) + 1"), &a), Verdict::WRONG);
    }
}

/// Found by the property above: by value, `i^3 + i` was 10⁻¹⁶ and one over it large enough to hide a one.
#[test]
fn a_hidden_zero_is_divided_by() {
    let math = Math::default();
    for zero in [
        "(i)^{3}+(i)^{1}",
        "(1+i)^{2}-2i",
        "(\\pi+i)(\\pi-i)-\\pi^{2}-1",
    ] {
        for rest in ["", "+\\sqrt{2}"] {
            let a = format!("\\frac{{1}}{{{zero}}}{rest}");
            assert_eq!(
                math.compare(&format!("({a}) + 1"), &a),
                Verdict::WRONG,
                "{a}"
            );
        }
    }
}

/// Completions made to be expensive.
fn pathological() -> Vec<(&'static str, String)> {
    let boxed = |text: String| format!("\\boxed{{{text}}}");
    vec![
        ("a megabyte of words", "word ".repeat(200_000)),
        ("a megabyte of boxes", "\\boxed{1}".repeat(100_000)),
        ("open boxes", "\\boxed{".repeat(150_000)),
        (
            "nested boxes",
            format!("{}1{}", "\\boxed{".repeat(70_000), "}".repeat(70_000)),
        ),
        ("a boxed megabyte", boxed("1".repeat(1_000_000))),
        ("a boxed sum", boxed("1+".repeat(500_000) + "1")),
        (
            "nested brackets",
            boxed(format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000))),
        ),
        (
            "nested sets",
            boxed(format!(
                "{}1,2{}",
                "\\{".repeat(10_000),
                "\\}".repeat(10_000)
            )),
        ),
        (
            "nested tuples",
            boxed(format!("{}1{}", "(1,".repeat(10_000), ")".repeat(10_000))),
        ),
        (
            "nested fractions",
            boxed(format!(
                "{}1{}",
                "\\frac{1}{".repeat(9_000),
                "}".repeat(9_000)
            )),
        ),
        ("nested roots", boxed("\\sqrt".repeat(15_000) + "2")),
        ("nested sines", boxed("\\sin ".repeat(15_000) + "2")),
        ("a tower of powers", boxed("2^".repeat(40_000) + "2")),
        ("minus signs", boxed("-".repeat(90_000) + "2")),
        ("bars", boxed("|".repeat(90_000))),
        ("factorials", boxed("3".to_owned() + &"!".repeat(90_000))),
        ("degrees", boxed("3".to_owned() + &"^\\circ".repeat(15_000))),
        ("a large factorial", boxed("99999!".into())),
        ("huge powers", boxed("9^{9^{9^{9}}}".into())),
        ("a huge exponent", boxed("1e32000".into())),
        (
            "a long set",
            boxed(format!("\\{{{}1\\}}", "1,".repeat(40_000))),
        ),
        ("signs of both kinds", boxed("\\pm ".repeat(20_000) + "2")),
        ("quotients", boxed("1/2*".repeat(20_000) + "1")),
        (
            "a long index",
            boxed(format!("x_{{{}}}", "1".repeat(90_000))),
        ),
        ("relations", boxed("1<".repeat(40_000) + "2")),
        ("unions", boxed("(1,2)\\cup".repeat(9_000) + "(3,4)")),
        ("dollars", "$".repeat(1_000_000)),
        ("answers", "answer is ".repeat(100_000)),
        ("thoughts", "<think></think>".repeat(70_000)),
    ]
}

#[test]
fn pathological_answers_end_quickly() {
    let set = RewardSet::build(&RewardConfig::default()).unwrap();
    for (what, completion) in pathological() {
        for truth in ["17", "\\{1, 2, 3\\}", "B"] {
            let clock = Instant::now();
            let answer = Answer {
                completion: &completion,
                ground_truth: Some(truth),
                alternatives: &[],
                prompt: "",
                finished: true,
                n_tokens: 0,
                meta: &serde_json::Map::new(),
                ..Answer::default()
            };
            let reward = set.judge(&[answer]).remove(0);
            let seconds = clock.elapsed().as_secs_f64();
            assert!(seconds < 0.5, "{what}: {seconds} s");
            let score = reward.total;
            assert!(score.is_none_or(|score| score == 0.0), "{what}: {score:?}");
        }
        // The same as a ground truth: a reason, no hang, no overflow.
        let _ = set.check_ground_truth(&completion);
    }
}

#[test]
fn a_spent_budget_is_ungraded_with_its_reason() {
    let math = Math::default();
    let long = format!("\\boxed{{{}1}}", "1+".repeat(100_000));
    let verdict = math.judge(&long, "17");
    assert!(
        verdict.reason().unwrap().contains("step budget of 100000"),
        "{verdict:?}"
    );
    let more = Math {
        max_steps: 100_000_000,
        ..math
    };
    assert_eq!(more.judge(&long, "100001"), Verdict::RIGHT);
}

#[test]
fn pairs_of_long_sets_stay_within_the_budget() {
    let math = Math::default();
    let up: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
    let down: Vec<String> = (0..3000).rev().map(|n| n.to_string()).collect();
    let clock = Instant::now();
    let verdict = math.compare(&up.join(", "), &down.join(", "));
    assert!(verdict.score().is_none());
    assert!(clock.elapsed().as_secs_f64() < 0.5);
}
