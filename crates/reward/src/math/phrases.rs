//! The closed lists of words that may be dropped, and of those that never are.

/// Words that may introduce an answer: `the answer is`, `so we get about`.
const FILLERS: &[&str] = &[
    "a",
    "about",
    "all",
    "an",
    "angle",
    "answer",
    "answers",
    "approx",
    "approximately",
    "are",
    "area",
    "around",
    "average",
    "base",
    "be",
    "circumference",
    "cost",
    "costs",
    "count",
    "depth",
    "diameter",
    "distance",
    "equal",
    "equals",
    "exactly",
    "final",
    "find",
    "get",
    "gives",
    "has",
    "have",
    "height",
    "hence",
    "her",
    "his",
    "in",
    "is",
    "it",
    "its",
    "just",
    "length",
    "mass",
    "maximum",
    "mean",
    "measure",
    "measures",
    "median",
    "minimum",
    "mode",
    "my",
    "number",
    "obtain",
    "of",
    "our",
    "perimeter",
    "price",
    "probability",
    "radius",
    "range",
    "ratio",
    "remainder",
    "result",
    "roughly",
    "side",
    "simply",
    "slope",
    "smallest",
    "largest",
    "so",
    "solution",
    "solutions",
    "speed",
    "sum",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "they",
    "this",
    "thus",
    "to",
    "total",
    "value",
    "values",
    "volume",
    "was",
    "we",
    "weight",
    "which",
    "width",
    "will",
    "x",
    "y",
    "year",
    "correct",
    "option",
    "choice",
    "only",
    "were",
    "would",
    "your",
    "you",
    "needs",
    "need",
    "takes",
    "age",
    "amount",
    "time",
    "temperature",
];

/// Words for a quantity: after one of them and `of`, anything may be named up to `is`.
const QUANTITIES: &[&str] = &[
    "answer",
    "area",
    "average",
    "circumference",
    "cost",
    "count",
    "depth",
    "diameter",
    "distance",
    "height",
    "length",
    "mass",
    "maximum",
    "mean",
    "measure",
    "median",
    "minimum",
    "mode",
    "number",
    "perimeter",
    "price",
    "probability",
    "radius",
    "range",
    "ratio",
    "remainder",
    "result",
    "side",
    "slope",
    "solution",
    "speed",
    "sum",
    "total",
    "value",
    "volume",
    "weight",
    "width",
    "angle",
    "product",
    "difference",
    "age",
    "amount",
    "time",
    "temperature",
];

const COPULAS: &[&str] = &["is", "are", "was", "were", "be", "equals", "equal"];

/// Words that turn an answer round, compare it or compute with it; they are never dropped.
const TELLING: &[&str] = &[
    "no",
    "not",
    "none",
    "never",
    "except",
    "without",
    "nor",
    "neither",
    "less",
    "more",
    "fewer",
    "greater",
    "than",
    "least",
    "most",
    "under",
    "over",
    "above",
    "below",
    "up",
    "minus",
    "plus",
    "times",
    "negative",
    "positive",
    "half",
    "double",
    "twice",
    "triple",
    "square",
    "squared",
    "cube",
    "cubed",
    "root",
    "factorial",
    "mod",
    "modulo",
    "between",
    "from",
    "before",
    "after",
    "until",
    "past",
    "short",
    "off",
    "but",
    "or",
    "and",
    "if",
    "unless",
    "isn",
    "aren",
    "wasn",
    "doesn",
    "don",
    "cannot",
    "can",
    "divided",
    "multiplied",
    "log",
    "power",
    "percent",
    "point",
    "remaining",
    "wrong",
    "incorrect",
    "false",
    "almost",
    "nearly",
    "hundred",
    "thousand",
    "million",
    "billion",
    "trillion",
    "ten",
    "tens",
    "hundreds",
    "thousands",
    "inverse",
    "reciprocal",
    "opposite",
    "every",
    "maybe",
    "perhaps",
    "possibly",
    "guess",
];

fn among(list: &[&str], word: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Whether a word is one that no unit may contain.
pub(super) fn telling(word: &str) -> bool {
    among(TELLING, word)
}

/// Whether the words before a number say nothing that a number would not.
pub(super) fn introduces(words: &[&str]) -> bool {
    let mut quantity = false;
    let mut named = false;
    for word in words {
        if among(TELLING, word) {
            return false;
        }
        if named {
            named = !among(COPULAS, word);
        } else if quantity && word.eq_ignore_ascii_case("of") {
            // `the area of the triangle is`: up to the copula, if there is one.
            named = words.iter().any(|word| among(COPULAS, word));
        } else if among(QUANTITIES, word) {
            quantity = true;
        } else if !among(FILLERS, word) {
            return false;
        }
    }
    !named
}

/// Words that open a sentence before a comma: `Therefore, 6`.
pub(super) fn opens(word: &str) -> bool {
    among(&["so", "thus", "hence", "therefore", "then"], word)
}

/// Words after an answer that say nothing: `(approximately)`, `years old`, `in total`.
pub(super) fn closes(words: &[&str]) -> bool {
    const CLOSERS: &[&str] = &[
        "approximately",
        "approx",
        "about",
        "answer",
        "exactly",
        "exact",
        "old",
        "in",
        "total",
        "altogether",
        "each",
        "left",
        "only",
        "final",
        "rounded",
        "simplified",
        "respectively",
        "away",
    ];
    // `in` alone is the inch.
    let inch = matches!(words, [word] if word.eq_ignore_ascii_case("in"));
    !words.is_empty() && !inch && words.iter().all(|word| among(CLOSERS, word))
}

/// Phrases for the empty set.
pub(super) fn is_no_solution(text: &str) -> bool {
    matches!(
        text,
        "no solution"
            | "no solutions"
            | "no real solution"
            | "no real solutions"
            | "empty set"
            | "null set"
            | "no such x"
            | "there is no solution"
            | "there are no solutions"
            | "no real roots"
            | "无解"
            | "空集"
    )
}

/// Phrases for all real numbers.
pub(super) fn is_all_reals(text: &str) -> bool {
    matches!(
        text,
        "all real numbers" | "all reals" | "real numbers" | "any real number" | "全体实数"
    )
}

/// Chinese introductions of an answer, longest first.
pub(super) const CHINESE_INTRODUCTIONS: &[&str] = &[
    "最终答案是",
    "最终答案为",
    "最终答案",
    "正确答案是",
    "正确答案为",
    "正确答案",
    "答案应该是",
    "答案应为",
    "答案是",
    "答案为",
    "答案",
    "因此",
    "所以",
    "结果是",
    "结果为",
    "结果",
    "一共有",
    "一共",
    "总共有",
    "总共",
    "大约是",
    "大约",
    "约为",
    "约等于",
    "等于",
    "共有",
    "答",
    "故选",
    "应选",
    "选项",
    "故",
    "应为",
    "应是",
    "解得",
    "是",
    "为",
    "共",
    "约",
    "选",
    "第",
];

/// Chinese text without what introduces it.
pub(super) fn without_introduction(mut text: &str) -> &str {
    while let Some(rest) = CHINESE_INTRODUCTIONS
        .iter()
        .find_map(|intro| text.strip_prefix(intro))
        .filter(|rest| !rest.is_empty())
    {
        text = rest;
    }
    text
}
