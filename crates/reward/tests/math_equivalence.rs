//! What counts as the same answer, as a table: (ground truth, answer).
#![allow(clippy::unwrap_used, missing_docs)]

use percept_reward::{Extraction, Math, Verdict};

const EQUAL: &[(&str, &str)] = &[
    // whole numbers and decimals
    ("17", "17"),
    ("17", " 17. "),
    ("17", "17.0"),
    ("17", "+17"),
    ("-5", "−5"),
    ("0", "-0"),
    ("0.5", ".5"),
    ("0.3", "0.30000000000000004"),
    ("\\frac{2}{3}", "0.666666"),
    ("\\frac{200000}{3}", "66666.6667"),
    ("0.50", "0.5"),
    ("1,234", "1234"),
    ("1,234,567", "1234567"),
    ("1{,}234", "1234"),
    ("10\\,000", "10000"),
    ("10,\\!000", "10000"),
    ("12,345.67", "12345.67"),
    ("1e3", "1000"),
    ("1.5e-3", "0.0015"),
    ("1.5 \\times 10^{-3}", "0.0015"),
    ("6.02\\times10^{23}", "602000000000000000000000"),
    ("six", "6"),
    ("0.\\overline{3}", "1/3"),
    ("0.1\\overline{6}", "\\frac{1}{6}"),
    // fractions
    ("1/2", "0.5"),
    ("\\frac{1}{2}", "1/2"),
    ("\\dfrac{1}{2}", "\\tfrac12"),
    ("\\frac12", "\\frac{1}{2}"),
    ("\\frac1{2}", "0.5"),
    ("-\\frac{1}{2}", "\\frac{-1}{2}"),
    ("-\\frac{1}{2}", "\\frac{1}{-2}"),
    ("\\frac{2}{4}", "\\frac{1}{2}"),
    ("3\\frac{1}{2}", "7/2"),
    ("3 1/2", "3.5"),
    ("-3\\frac{1}{2}", "-3.5"),
    ("\\frac{1}{3}", "0.333333"),
    ("\\frac{2}{3}", "0.666667"),
    ("\\frac{\\frac{1}{2}}{3}", "\\frac16"),
    ("3:4", "3/4"),
    ("1/2/2", "1/4"),
    // percents, currencies, degrees
    ("50\\%", "50"),
    ("50%", "0.5"),
    ("50\\%", "50%"),
    ("12.5\\%", "\\frac{1}{8}"),
    ("50 percent", "50%"),
    ("\\$5", "5"),
    ("$5.00", "5"),
    ("\\$1,234.50", "1234.5"),
    ("90^\\circ", "90"),
    ("90^{\\circ}", "90°"),
    ("90 degrees", "90^\\circ"),
    ("90^\\circ", "\\frac{\\pi}{2}"),
    ("\\sin 30^\\circ", "\\frac12"),
    // units
    ("5", "5 cm"),
    ("5 \\text{ cm}", "5"),
    ("5\\text{ cm}", "5 centimeters"),
    ("5 m", "500 cm"),
    ("5m", "5 \\text{ m}"),
    ("5 \\mathrm{~m}", "5"),
    ("25 \\text{ cm}^2", "25 cm^2"),
    ("25 cm^{2}", "25 square centimeters"),
    ("2 \\text{ hours}", "120 minutes"),
    ("60 km/h", "60 \\text{ km/h}"),
    ("3 m/s^2", "3"),
    ("12 apples", "12"),
    ("12 \\text{ square units}", "12"),
    ("30^\\circ \\text{C}", "30°C"),
    ("5 \\text{ dollars}", "\\$5"),
    // roots, powers, constants
    ("\\sqrt{2}", "2^{1/2}"),
    ("\\sqrt{8}", "2\\sqrt{2}"),
    ("\\sqrt 2", "sqrt(2)"),
    ("√2", "\\sqrt2"),
    ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}"),
    ("\\sqrt{16}", "4"),
    ("\\sqrt[3]{8}", "2"),
    ("\\sqrt[3]{-8}", "-2"),
    ("2^{10}", "1024"),
    ("2^10", "1024"),
    ("2**10", "1024"),
    ("2^{-3}", "1/8"),
    ("2^{100}", "1267650600228229401496703205376"),
    ("8^{2/3}", "4"),
    ("2\\pi", "π*2"),
    ("2\\pi", "6.283185"),
    ("\\frac{\\pi}{2}", "0.5pi"),
    ("e^2", "\\exp(2)"),
    ("5!", "120"),
    ("\\binom{5}{2}", "10"),
    ("|{-3}|", "3"),
    ("\\lfloor 3.7 \\rfloor", "3"),
    ("\\log_2 8", "3"),
    ("\\ln e", "1"),
    ("\\log 100", "2"),
    ("\\sin \\frac{\\pi}{6}", "0.5"),
    ("\\arctan 1", "\\frac{\\pi}{4}"),
    ("\\tan^{-1} 1", "\\arctan(1)"),
    ("\\sqrt{3+2\\sqrt2}", "1+\\sqrt2"),
    ("(1+\\sqrt5)/2", "\\frac{1+\\sqrt{5}}{2}"),
    // complex numbers
    ("3+4i", "4i+3"),
    ("i^2", "-1"),
    ("(1+i)^2", "2i"),
    ("\\frac{1}{i}", "-i"),
    ("1+i\\sqrt{3}", "2e^{i\\pi/3}"),
    // algebra
    ("x+1", "1+x"),
    ("2x+2", "2(x+1)"),
    ("(x+1)^2", "x^2+2x+1"),
    ("(x-1)(x+1)", "x^2 - 1"),
    ("\\frac{x^2-1}{x-1}", "x+1"),
    ("xy", "y \\cdot x"),
    ("ab+c", "c+ba"),
    ("x_1 + x_2", "x_{2}+x_{1}"),
    ("\\frac{x}{2}", "0.5x"),
    ("-(a-b)", "b-a"),
    ("x^{-1}", "\\frac{1}{x}"),
    ("\\sin^2 x + \\cos^2 x", "1"),
    ("\\sin 2x", "2\\sin x\\cos x"),
    ("\\frac{1}{x}+\\frac{1}{y}", "\\frac{x+y}{xy}"),
    ("2^{x+1}", "2\\cdot 2^x"),
    ("\\theta", "θ"),
    ("\\left(x+1\\right)", "x+1"),
    ("n(n+1)/2", "\\frac{n^2+n}{2}"),
    ("(a+b)^{10}", "(b+a)^{10}"),
    // equations and assignments
    ("x=5", "5"),
    ("5", "x = 5"),
    ("x=5", "x = 5.0"),
    ("y = 2x+1", "2x+1"),
    ("f(x) = x^2", "x^2"),
    ("y=2x+1", "2x - y + 1 = 0"),
    ("2x+4y=6", "x+2y=3"),
    ("2+3=5", "5"),
    ("x = 3 \\text{ cm}", "3"),
    ("A = \\pi r^2", "\\pi r^2"),
    // lists, sets, tuples
    ("1, 2", "2, 1"),
    ("1, 2, \\text{ and } 3", "3,2,1"),
    ("1 and 2", "2 and 1"),
    ("x=1 \\text{ or } x=2", "1, 2"),
    ("\\{1,2\\}", "\\{2,1\\}"),
    ("\\{1,2\\}", "1,2"),
    ("\\{5\\}", "5"),
    ("(1,2)", "(1, 2.0)"),
    ("(1,2)", "\\left( 1, 2 \\right)"),
    ("(100,200)", "(100, 200)"),
    ("(\\frac12, \\sqrt{4})", "(0.5, 2)"),
    ("(1,2),(3,4)", "(3,4), (1,2)"),
    ("\\pm 2", "2, -2"),
    ("x = \\pm\\sqrt{3}", "\\sqrt3, -\\sqrt3"),
    ("1 \\pm \\sqrt{2}", "1-\\sqrt2, 1+\\sqrt2"),
    ("\\emptyset", "\\{\\}"),
    // intervals, inequalities
    ("[1,2)", "[1, 2)"),
    ("(-\\infty, 3]", "x \\le 3"),
    ("x > 5", "5 < x"),
    ("x>5", "(5,\\infty)"),
    ("1 < x \\le 2", "(1,2]"),
    ("2 \\ge x > 1", "1 < x ≤ 2"),
    ("x \\in [0,1]", "[0,1]"),
    (
        "(-\\infty,1)\\cup(2,\\infty)",
        "(2,\\infty) \\cup (-\\infty,1)",
    ),
    ("x<1 \\text{ or } x>2", "(-\\infty,1)\\cup(2,\\infty)"),
    ("2x > 4", "x > 2"),
    ("x \\ne 3", "x \\neq 3"),
    ("\\infty", "∞"),
    ("-\\infty", "-inf"),
    // matrices and vectors
    (
        "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
        "\\begin{bmatrix}1&2\\\\3&4\\\\\\end{bmatrix}",
    ),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "(1,2)"),
    ("\\langle 1,2 \\rangle", "(1,2)"),
    // words
    ("north", "North"),
    ("\\text{yes}", "Yes"),
    ("Red", "red"),
    ("AB", "AB"),
    ("\\text{(B)}", "(B)"),
    ("no solution", "\\text{No solution}"),
    ("Monday", "\\textbf{monday}"),
    // wrapping
    ("\\boxed{5}", "5"),
    ("$5$", "\\(5\\)"),
    ("\\displaystyle\\frac{1}{2}", "\\frac{1}{2}"),
    ("\\text{5}", "5"),
    ("101_2", "101_{2}"),
    ("2516_8", "2516"),
];

const UNEQUAL: &[(&str, &str)] = &[
    ("17", "18"),
    ("17", "-17"),
    ("17", "17.5"),
    ("17", "1 7"),
    ("17", "117"),
    ("17", ""),
    ("17", "seventeen apples or so"),
    ("1234", "1,23,4"),
    ("1,234", "1, 234"),
    ("0.5", "0.6"),
    ("42", "42.000001"),
    ("1234567.1", "1234567.2"),
    ("0.30000001", "0.3"),
    ("12345678901234567890", "12345678901234567891"),
    ("2^{100}", "2^{100}+1"),
    ("1/2", "2"),
    ("1/3", "0.33"),
    ("\\frac{1}{2}", "\\frac{1}{3}"),
    ("3\\frac{1}{2}", "1.5"),
    ("50\\%", "5"),
    ("50%", "500"),
    ("50%", "51%"),
    ("50%", "0.5%"),
    ("90^\\circ", "45"),
    ("5 cm", "5 m"),
    ("5 cm", "5 kg"),
    ("5 cm^2", "5 cm^3"),
    ("3 hours", "3 minutes"),
    ("\\sqrt{2}", "\\sqrt{3}"),
    ("\\sqrt{2}", "1.41"),
    ("\\sqrt{2}", "2"),
    ("\\pi", "3.14"),
    ("\\pi", "22/7"),
    ("2\\pi", "\\pi"),
    ("\\pi", "e"),
    ("3+4i", "3-4i"),
    ("x+1", "x-1"),
    ("x+1", "y+1"),
    ("x^2", "2x"),
    ("(x+1)^2", "x^2+1"),
    ("\\frac{x^2-1}{x-1}", "x-1"),
    ("\\frac{1}{x+y}", "\\frac1x+\\frac1y"),
    ("x_1", "x_2"),
    ("\\sin x", "\\cos x"),
    ("\\ln x", "\\log_2 x"),
    ("x=5", "y=5"),
    ("x=5", "x=6"),
    ("x=5", "6"),
    ("2x+z=1", "1"),
    ("y=2x+1", "y=2x-1"),
    ("1,2", "1,3"),
    ("1,2", "1,2,3"),
    ("1,2,2", "1,1,2"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", "(1,2]"),
    ("(1,2)", "\\{1,2\\}"),
    ("(1,2)", "3"),
    ("(1,2,3)", "(1,2)"),
    ("\\pm 2", "2"),
    ("\\pm 2", "2, 2"),
    ("x > 5", "x < 5"),
    ("x > 5", "x \\ge 5"),
    ("x > 5", "5"),
    ("x > 5", "y > 5"),
    ("-x > 5", "x > 5"),
    ("[0,1]", "[0,2]"),
    (
        "(-\\infty,1)\\cup(2,\\infty)",
        "(-\\infty,1)\\cup(3,\\infty)",
    ),
    ("\\infty", "-\\infty"),
    ("\\infty", "1000000"),
    (
        "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
        "\\begin{pmatrix} 1 & 3 \\\\ 2 & 4 \\end{pmatrix}",
    ),
    ("north", "south"),
    ("yes", "no"),
    ("possible", "not possible"),
    ("5", "not 5"),
    ("101_2", "101_3"),
    ("1011_2", "11"),
    ("\\frac{1}{0}", "0"),
    ("1/0", "2/0"),
    ("0^0", "0"),
    ("1", "\\frac{1"),
    ("1", "\\foo"),
    ("1", "}{"),
    ("1", "1 2 3"),
    ("e", "2.7"),
];

fn failures(pairs: &[(&str, &str)], expected: Verdict) -> Vec<String> {
    let math = Math::default();
    pairs
        .iter()
        .flat_map(|&(truth, answer)| {
            let forward = math.compare(truth, answer);
            (forward != expected).then(|| format!("{truth}  vs  {answer}: {forward:?}"))
        })
        .collect()
}

#[test]
fn equal_answers_are_right() {
    let failed = failures(EQUAL, Verdict::RIGHT);
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        EQUAL.len(),
        failed.join("\n")
    );
}

#[test]
fn unequal_answers_are_wrong() {
    let failed = failures(UNEQUAL, Verdict::WRONG);
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        UNEQUAL.len(),
        failed.join("\n")
    );
}

#[test]
fn equality_has_no_direction() {
    let math = Math::default();
    for (pairs, expected) in [(EQUAL, Verdict::RIGHT), (UNEQUAL, Verdict::WRONG)] {
        for &(truth, answer) in pairs {
            let back = math.compare(answer, truth);
            // An answer that cannot be read is wrong, a ground truth that cannot be read ungraded.
            assert!(
                back == expected || back.score().is_none(),
                "{answer}  vs  {truth}: {back:?}"
            );
        }
    }
}

#[test]
fn the_answer_is_found_in_a_response() {
    let math = Math::default();
    for (completion, truth, score) in [
        (
            "<think>I see 3 7 2. 3+7=10 10+2=12.</think> \\boxed{12}",
            "12",
            1.0,
        ),
        ("<think>\\boxed{12}</think> \\boxed{13}", "12", 0.0),
        (
            "<think>\\boxed{11}</think> so it is \\boxed{12}.",
            "12",
            1.0,
        ),
        ("<think>so \\boxed{12}", "12", 0.0),
        ("The answer is $\\frac{24}{2}$.", "12", 1.0),
        ("<answer>12</answer>", "12", 1.0),
        ("12", "12", 1.0),
        ("</think>\n\n12", "12", 1.0),
        ("I add 3, 7 and 2 and get 12", "12", 0.0),
        ("", "12", 0.0),
        ("\\boxed{}", "12", 0.0),
        ("\\boxed{12", "12", 0.0),
    ] {
        assert_eq!(
            math.judge(completion, truth),
            Verdict::Score(score),
            "{completion}"
        );
    }
}

#[test]
fn a_ground_truth_may_be_a_worked_solution() {
    let math = Math::default();
    for truth in [
        "3*4 is 12.\n#### 12",
        "<answer>12</answer>",
        "so \\boxed{12}",
    ] {
        assert_eq!(math.judge("\\boxed{12}", truth), Verdict::RIGHT, "{truth}");
    }
}

#[test]
fn extraction_is_an_option() {
    let boxed = Math {
        extraction: Extraction::Boxed,
        ..Math::default()
    };
    assert_eq!(boxed.judge("12", "12"), Verdict::WRONG);
    assert_eq!(boxed.judge("\\boxed{12}", "12"), Verdict::RIGHT);
    let last = Math {
        extraction: Extraction::LastNumber,
        ..Math::default()
    };
    let text = "I add 3, 7 and 2.\nThat makes 12, surely";
    assert_eq!(last.judge(text, "12"), Verdict::RIGHT);
    assert_eq!(last.judge("no idea", "12"), Verdict::WRONG);
}

#[test]
fn tolerance_is_an_option() {
    let relaxed = Math {
        rel_tolerance: Some(0.05),
        ..Math::default()
    };
    assert_eq!(relaxed.compare("100", "104"), Verdict::RIGHT);
    assert_eq!(relaxed.compare("100", "106"), Verdict::WRONG);
    assert_eq!(relaxed.compare("x + 100", "x + 101"), Verdict::WRONG);
}

#[test]
fn a_ground_truth_that_cannot_be_read_is_ungraded() {
    let math = Math::default();
    for truth in ["", " ", "\\frac{1}{", "(1", "1)", "= ="] {
        let verdict = math.judge("\\boxed{1}", truth);
        assert!(verdict.score().is_none(), "{truth}: {verdict:?}");
    }
}

// B2
#[test]
fn a_ground_truth_that_is_no_mathematics_is_compared_as_text() {
    let math = Math::default();
    for truth in [
        "\\foo{2}",
        "a b §",
        "\\triangle ABC",
        "1,2,\\ldots,n",
        "José",
        "正方形",
    ] {
        assert_eq!(math.compare(truth, truth), Verdict::RIGHT, "{truth}");
        assert_eq!(math.compare(truth, "1"), Verdict::WRONG, "{truth}");
    }
    // Broken, but the same.
    assert_eq!(math.compare("(1", "(1"), Verdict::RIGHT);
}
