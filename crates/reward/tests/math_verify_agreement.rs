//! Agreement with math-verify, pair by pair; each disagreement has its reason.
//!
//! `golden/math_verify.json` is made by `tools/reward_goldens.py`.
#![allow(clippy::unwrap_used, missing_docs)]

use percept_reward::Math;
use serde_json::Value;

/// Pairs on which we differ: ground truth, answer, and why ours is the verdict that we want.
const DISAGREEMENTS: &[(&str, &str, &str)] = &[
    (
        "(1,2,3)",
        "\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}",
        "a column is its tuple",
    ),
    (
        "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}",
        "(1,2)",
        "a column is its tuple",
    ),
    ("\\langle 1,2 \\rangle", "(1,2)", "a column is its tuple"),
    (
        "\\frac{200000}{3}",
        "66666.6667",
        "a decimal stands for what it is a rounding of, or cut off",
    ),
    (
        "\\frac{2}{3}",
        "0.666666",
        "a decimal stands for what it is a rounding of, or cut off",
    ),
    (
        "12.5\\%",
        "\\frac{1}{8}",
        "a percentage is its number or its hundredth",
    ),
    (
        "28\\%",
        "0.28",
        "a percentage is its number or its hundredth",
    ),
    ("28\\%", "28", "a percentage is its number or its hundredth"),
    (
        "50 percent",
        "50%",
        "a percentage is its number or its hundredth",
    ),
    ("50%", "0.5", "a percentage is its number or its hundredth"),
    ("50\\%", "50", "a percentage is its number or its hundredth"),
    (
        "50\\%",
        "50%",
        "a percentage is its number or its hundredth",
    ),
    (
        "\\frac{28}{100}",
        "28\\%",
        "a percentage is its number or its hundredth",
    ),
    ("(1,2)", "\\{1,2\\}", "a point is no set"),
    (
        "1,2,2",
        "1,1,2",
        "a root that occurs twice is not the other one twice",
    ),
    (
        "0.1\\overline{6}",
        "\\frac{1}{6}",
        "a spelling that models use",
    ),
    ("0.\\overline{3}", "1/3", "a spelling that models use"),
    ("1.5e-3", "0.0015", "a spelling that models use"),
    ("10\\,000", "10000", "a spelling that models use"),
    ("1e3", "1000", "a spelling that models use"),
    ("1000", "1 000", "a spelling that models use"),
    ("1e6", "1000000", "a spelling that models use"),
    ("2**10", "1024", "a spelling that models use"),
    ("3 1/2", "3.5", "a spelling that models use"),
    (
        "6.02\\times10^{23}",
        "602000000000000000000000",
        "a spelling that models use",
    ),
    ("\\frac{\\pi}{2}", "0.5pi", "a spelling that models use"),
    ("\\infty", "∞", "a spelling that models use"),
    ("six", "6", "a spelling that models use"),
    ("√2", "\\sqrt2", "a spelling that models use"),
    (
        "25 \\text{ cm}^2",
        "25 cm^2",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    (
        "25 cm^{2}",
        "25 square centimeters",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    (
        "3 m/s^2",
        "3",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    (
        "30^\\circ \\text{C}",
        "30°C",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    (
        "5 \\text{ cm}",
        "5 \\text{ meters}",
        "another unit is another quantity",
    ),
    (
        "5\\text{ cm}",
        "5 centimeters",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    (
        "60 km/h",
        "60 \\text{ km/h}",
        "a unit is read in all its spellings, or taken for granted where it is left out",
    ),
    ("10 = 5 + 5", "10", "an equation of constants is its result"),
    ("2+3=5", "5", "an equation of constants is its result"),
    (
        "(-\\infty, 3]",
        "x \\le 3",
        "an inequality is its interval, on whichever side it stands",
    ),
    (
        "2 \\ge x > 1",
        "1 < x ≤ 2",
        "an inequality is its interval, on whichever side it stands",
    ),
    (
        "2x > 4",
        "x > 2",
        "an inequality is its interval, on whichever side it stands",
    ),
    (
        "[2,5]",
        "2 \\le x \\le 5",
        "an inequality is its interval, on whichever side it stands",
    ),
    (
        "x<1 \\text{ or } x>2",
        "(-\\infty,1)\\cup(2,\\infty)",
        "an inequality is its interval, on whichever side it stands",
    ),
    ("101_2", "101_3", "another base is another number"),
    ("3 hours", "3 minutes", "another unit is another quantity"),
    ("5 cm", "5 kg", "another unit is another quantity"),
    ("5 cm", "5 m", "another unit is another quantity"),
    ("(1+i)^2", "2i", "complex numbers are computed with"),
    ("(2+i)(2-i)", "5", "complex numbers are computed with"),
    (
        "1+i\\sqrt{3}",
        "2e^{i\\pi/3}",
        "complex numbers are computed with",
    ),
    ("\\frac{1+i}{1-i}", "i", "complex numbers are computed with"),
    ("\\frac{1}{i}", "-i", "complex numbers are computed with"),
    ("\\sqrt{-4}", "2i", "complex numbers are computed with"),
    ("e^{i\\pi}", "-1", "complex numbers are computed with"),
    ("i^2", "-1", "complex numbers are computed with"),
    ("i^3", "-i", "complex numbers are computed with"),
    ("|3+4i|", "5", "complex numbers are computed with"),
    (
        "90^\\circ",
        "\\frac{\\pi}{2}",
        "degrees are read as degrees and as radians",
    ),
    (
        "90^{\\circ}",
        "90°",
        "degrees are read as degrees and as radians",
    ),
    (
        "\\cos 60^\\circ",
        "0.5",
        "degrees are read as degrees and as radians",
    ),
    (
        "\\sin 30^\\circ",
        "\\frac12",
        "degrees are read as degrees and as radians",
    ),
    ("0.30000001", "0.3", "eight digits say more than six"),
    (
        "\\sqrt[3]{-8}",
        "-2",
        "the cube root of a negative number is its real one",
    ),
    (
        "2 \\text{ hours}",
        "120 minutes",
        "units of one dimension are converted",
    ),
    ("5 m", "500 cm", "units of one dimension are converted"),
    ("north", "North", "upper and lower case are one word"),
];

#[test]
fn we_agree_with_math_verify_but_for_named_reasons() {
    let golden: Value = serde_json::from_str(include_str!("golden/math_verify.json")).unwrap();
    let pairs = golden["pairs"].as_array().unwrap();
    let math = Math::default();
    let mut unexpected = Vec::new();
    let mut differ = 0;
    for pair in pairs {
        let (truth, answer) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let theirs = pair[2].as_bool().unwrap();
        let ours = math.compare(truth, answer);
        let differs = ours.score() != Some(f64::from(u8::from(theirs)));
        let named = DISAGREEMENTS
            .iter()
            .any(|&(a, b, _)| (a, b) == (truth, answer));
        differ += usize::from(differs);
        if differs != named {
            unexpected.push(format!(
                "{truth:?}, {answer:?}: ours {ours:?}, theirs {theirs}"
            ));
        }
    }
    println!("{differ} of {} pairs differ", pairs.len());
    assert!(
        unexpected.is_empty(),
        "{} of {}:\n{}",
        unexpected.len(),
        pairs.len(),
        unexpected.join("\n")
    );
    assert!(
        DISAGREEMENTS
            .iter()
            .all(|(_, _, reason)| !reason.is_empty())
    );
}
