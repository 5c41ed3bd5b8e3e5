"""Golden verdicts for crate `reward`: what math-verify says about pairs of answers.

Proves: percept's `math` verifier agrees with math-verify (what TRL's `accuracy_reward` and verl's
`math_verify` reward call) on 300 pairs, except for those that
crates/reward/tests/math_verify_agreement.rs names with the reason.

The pairs are the two tables of crates/reward/tests/math_equivalence.rs and the list EXTRA below.
Both sides are put into a box and parsed with math-verify's default configuration.

Made with math-verify 0.9.0, latex2sympy2_extended 1.11.0.

Run: python tools/reward_goldens.py [--out crates/reward/tests/golden/math_verify.json]
Output: {"made_with": …, "pairs": [[ground truth, answer, right or wrong], …]}.
"""

import argparse
import json
import logging
import re
from importlib.metadata import version
from pathlib import Path

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

TABLES = Path(__file__).parent.parent / "crates/reward/tests/math_equivalence.rs"

EXTRA = [
    # numbers as models write them
    ("1000", "1,000"), ("1000", "1 000"), ("1000000", "10^6"), ("3.0", "3"), ("3.14", "3.140"), ("007", "7"),
    ("0.1", "\\frac{1}{10}"), ("0.125", "1/8"), ("1.5", "3/2"), ("2.5", "2 \\frac{1}{2}"), ("-0.5", "-\\frac12"),
    ("0.3333333", "\\frac13"), ("0.333", "\\frac13"), ("0.67", "\\frac23"), ("1e6", "1000000"), ("100", "10^2"),
    ("42", "42.000001"), ("42", "42.1"), ("42", "-42"), ("42", "24"), ("1/7", "0.142857"), ("\\frac{22}{7}", "3.142857"),
    ("6!", "720"), ("\\frac{6}{4}", "1.5"), ("\\frac{0}{5}", "0"), ("2^3", "8"), ("2^3", "6"), ("\\frac{-3}{-4}", "0.75"),
    # percents
    ("28\\%", "28"), ("28\\%", "0.28"), ("0.28", "28"), ("28\\%", "28 percent"), ("\\frac{28}{100}", "28\\%"),
    # algebra
    ("a^2-b^2", "(a-b)(a+b)"), ("x^3-1", "(x-1)(x^2+x+1)"), ("x^3+1", "(x-1)(x^2+x+1)"), ("\\frac{a+b}{2}", "\\frac{a}{2}+\\frac{b}{2}"),
    ("\\frac{a}{b}", "\\frac{b}{a}"), ("3x^2", "3x^{2}"), ("3x^2", "x^2 \\cdot 3"), ("k(k-1)", "k^2-k"), ("2n+1", "1+n+n"),
    ("\\frac{1}{1+x}", "(1+x)^{-1}"), ("x\\sqrt{x}", "x^{3/2}"), ("\\sqrt{x^2 y}", "\\sqrt{y x^2}"), ("e^{x+y}", "e^x e^y"),
    ("\\ln(6)", "\\ln 2+\\ln 3"), ("\\log_3 9", "2"), ("\\log_2 x", "\\frac{\\ln x}{\\ln 2}"), ("\\cos 2x", "1-2\\sin^2 x"),
    ("\\tan x", "\\frac{\\sin x}{\\cos x}"), ("\\cos 60^\\circ", "0.5"), ("\\sin(\\pi/3)", "\\frac{\\sqrt3}{2}"),
    ("(x+y)^3", "x^3+3x^2y+3xy^2+y^3"), ("(x+y)^3", "x^3+y^3"), ("ab", "ba"), ("2ab", "2a+b"), ("-x", "x"),
    # roots
    ("\\sqrt{12}", "2\\sqrt{3}"), ("\\sqrt{12}", "3\\sqrt{2}"), ("\\frac{3}{\\sqrt3}", "\\sqrt3"), ("\\sqrt[3]{27}", "3"),
    ("\\sqrt{50}", "7.071068"), ("5\\sqrt{2}", "\\sqrt{50}"), ("\\frac{\\sqrt{6}}{3}", "\\sqrt{\\frac{2}{3}}"), ("\\sqrt{-4}", "2i"),
    ("\\sqrt{2}+\\sqrt{3}", "\\sqrt{3}+\\sqrt{2}"), ("\\sqrt{2}+\\sqrt{3}", "\\sqrt{5}"), ("4\\pi", "12.566371"), ("\\frac{4\\pi}{3}", "\\frac43\\pi"),
    # equations
    ("x=4", "4"), ("4", "x=4"), ("x=4", "y=4"), ("y=3x-2", "3x-2"), ("y=3x-2", "y+2=3x"), ("x^2+y^2=1", "y^2+x^2=1"),
    ("x^2+y^2=1", "x^2+y^2-1=0"), ("x^2+y^2=1", "x^2+y^2=2"), ("x+y=2", "2x+2y=4"), ("a=1, b=2", "1, 2"), ("f(x)=2x", "2x"),
    ("10 = 5 + 5", "10"), ("2x-6", "2x=6"),
    # lists, sets, points, intervals
    ("1,2,3", "3,2,1"), ("1,2,3", "\\{1,2,3\\}"), ("\\{1,2\\}", "\\{1,2,3\\}"), ("(1,2)", "(1,2)"), ("(1,2)", "(2,1)"),
    ("(3, \\frac{\\pi}{2})", "(3, \\pi/2)"), ("(-1,0)", "\\left(-1, 0\\right)"), ("[2,5]", "2 \\le x \\le 5"), ("[2,5]", "[2,5)"),
    ("x \\geq 2", "[2,\\infty)"), ("(0,1) \\cup (1,2)", "(1,2) \\cup (0,1)"), ("x > 2", "2 < x"), ("x > 2", "x \\ge 2"),
    ("x<-1 \\cup x>1", "(-\\infty,-1)\\cup(1,\\infty)"), ("-3 < x < 3", "(-3,3)"), ("|x| < 3", "-3 < x < 3"),
    ("\\pm 3", "3, -3"), ("\\pm 3", "-3, 3"), ("2 \\pm \\sqrt{5}", "2+\\sqrt5, 2-\\sqrt5"), ("\\{-1, 4\\}", "4, -1"), ("\\{7\\}", "7"),
    ("12 \\text{ and } 13", "12, 13"), ("x=1, x=2", "\\{1,2\\}"), ("(1,2,3)", "\\begin{pmatrix}1\\\\2\\\\3\\end{pmatrix}"),
    # matrices
    ("\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}", "\\begin{bmatrix}1&0\\\\0&1\\end{bmatrix}"),
    ("\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}", "\\begin{pmatrix}1&0\\\\0&2\\end{pmatrix}"),
    ("\\begin{pmatrix}\\frac12\\\\1\\end{pmatrix}", "\\begin{pmatrix}0.5\\\\1\\end{pmatrix}"),
    # units and words
    ("5 \\text{ cm}", "5"), ("5 \\text{ cm}", "5 \\text{ meters}"), ("24 \\text{ cm}^2", "24"), ("\\$12", "12"), ("12 \\text{ dollars}", "12"),
    ("90^\\circ", "90"), ("90^\\circ", "90 \\text{ degrees}"), ("3 \\text{ hours}", "3"), ("\\text{Evelyn}", "\\text{Evelyn}"),
    ("\\text{Evelyn}", "Evelyn"), ("\\text{Evelyn}", "\\text{Carla}"), ("\\text{odd}", "\\text{even}"), ("\\text{A}", "A"), ("B", "\\text{B}"), ("C", "D"),
    # complex
    ("2-3i", "-3i+2"), ("(2+i)(2-i)", "5"), ("i^3", "-i"), ("\\frac{1+i}{1-i}", "i"), ("e^{i\\pi}", "-1"), ("|3+4i|", "5"),
]


def rust_pairs():
    """The pairs of both tables; their string literals are also JSON."""
    pairs = []
    literal = r'"(?:[^"\\]|\\.)*"'
    text = TABLES.read_text()
    for name in ("EQUAL", "UNEQUAL"):
        body = re.search(rf"const {name}: .*?= &\[(.*?)\n\];", text, re.S)[1]
        pairs += [(json.loads(a), json.loads(b)) for a, b in re.findall(rf"\(\s*({literal}),\s*({literal}),?\s*\)", body)]
    return pairs


def read(text):
    """math-verify's default way of reading a completion, with the whole text as its box."""
    boxed = text if "boxed" in text else f"$\\boxed{{{text}}}$"
    latex = LatexExtractionConfig(boxed_match_priority=0)
    return parse(boxed, extraction_config=[latex, ExprExtractionConfig()], parsing_timeout=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLES.parent / "golden/math_verify.json")
    out = parser.parse_args().out
    logging.disable(logging.CRITICAL)
    pairs = list(dict.fromkeys(rust_pairs() + EXTRA))
    rows = [[truth, answer, bool(verify(read(truth), read(answer), timeout_seconds=None))] for truth, answer in pairs]
    made_with = {name: version(name) for name in ("math-verify", "latex2sympy2_extended", "sympy")}
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    out.write_text(f'{{"made_with": {json.dumps(made_with)}, "pairs": [\n{lines}\n]}}\n')
    print(f"{len(rows)} pairs, {sum(row[2] for row in rows)} equal")


if __name__ == "__main__":
    main()
