//! RULER's synthetic tasks: needles, variable tracking, common and frequent words. Its two
//! question-answering tasks need data sets and are not here.

use super::haystack::{Haystack, NOISE};
use super::needle::{ANSWER, Kind, Niah, Place};
use super::plan::Plan;
use super::question::{Made, Question};
use super::random::Random;
use super::words::different;
use crate::Error;

/// Names of the tasks, as in RULER's `synthetic.yaml`, and whether they need an essay.
pub const TASKS: [(&str, bool); 11] = [
    ("niah_single_1", false),
    ("niah_single_2", true),
    ("niah_single_3", true),
    ("niah_multikey_1", true),
    ("niah_multikey_2", false),
    ("niah_multikey_3", false),
    ("niah_multivalue", true),
    ("niah_multiquery", true),
    ("vt", false),
    ("cwe", false),
    ("fwe", false),
];

/// Settings of a task of the needle family: with them, the haystack that the task asks for.
fn niah(task: &str) -> Option<Niah> {
    let one = Niah::default();
    Some(match task {
        "niah_single_1" | "niah_single_2" | "niah_multikey_2" => one,
        "niah_single_3" => Niah {
            value: Kind::Uuids,
            ..one
        },
        "niah_multikey_1" => Niah { keys: 4, ..one },
        "niah_multikey_3" => Niah {
            key: Kind::Uuids,
            value: Kind::Uuids,
            ..one
        },
        "niah_multivalue" => Niah { values: 4, ..one },
        "niah_multiquery" => Niah {
            keys: 4,
            queries: 4,
            ..one
        },
        _ => return None,
    })
}

/// `plan.samples` questions of every task; tasks that need an essay are left out without one.
///
/// # Errors
/// [`Error::Row`] when the length has no room for a question; those of `plan.count`.
pub fn questions(plan: &Plan<'_>, essay: Option<&Haystack>) -> Result<Vec<Question>, Error> {
    let mut all = Vec::new();
    for (at, (task, needs_essay)) in TASKS.into_iter().enumerate() {
        if needs_essay && essay.is_none() {
            continue;
        }
        let haystack = match task {
            "niah_multikey_2" | "niah_multikey_3" => None,
            _ if needs_essay => essay,
            _ => Some(&Haystack::Noise),
        };
        let mut size = None;
        for sample in 0..plan.samples {
            // Every eleventh stream and on: the grid's depths have the first.
            let random = Random::new(plan.seed, 1000 + at, sample);
            let (answer, make): (usize, Box<dyn Fn(usize) -> Made>) = match task {
                "vt" => (30, Box::new(|n| variable_tracking(random.clone(), n))),
                "cwe" => (
                    120,
                    Box::new(|n| common_words(random.clone(), n, plan.length)),
                ),
                "fwe" => (
                    50,
                    Box::new(|n| frequent_words(random.clone(), n, plan.length)),
                ),
                _ => {
                    let niah = niah(task).unwrap_or_default();
                    let make = move |n| niah.make(random.clone(), haystack, Place::Random, n);
                    (ANSWER, Box::new(make))
                }
            };
            all.push(plan.fit(task, None, answer, &mut size, &*make)?);
        }
    }
    Ok(all)
}

/// A chain of assignments: the variables, and the lines that assign them.
fn chain(random: &mut Random, letters: usize, hops: usize) -> (String, Vec<String>, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    while names.len() <= hops {
        let name = random.letters(letters, b'A');
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let value = (10_000 + random.below(89_999)).to_string();
    let mut lines = vec![format!("VAR {} = {value}", names[0])];
    lines.extend(
        names
            .windows(2)
            .map(|pair| format!("VAR {} = VAR {} ", pair[1], pair[0])),
    );
    (value, names, lines)
}

/// Variables that hold one value, four hops deep, after a worked example.
fn variable_tracking(mut random: Random, n: usize) -> Made {
    const HOPS: usize = 4;
    let mut question = |letters: usize, n: usize| {
        let (value, names, lines) = chain(&mut random, letters, HOPS);
        let mut pieces = vec![NOISE.to_owned(); n];
        for (at, line) in random.places(lines.len(), n).into_iter().zip(lines).rev() {
            pieces.insert(at, line);
        }
        let context = pieces.join("\n").replace(". \n", ".\n");
        let input = format!(
            "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n{context}\n\
             Question: Find all variables that are assigned the value {value} in the text above."
        );
        let prefix = format!(
            " Answer: According to the chain(s) of variable assignment in the text above, {} variables are assigned \
             the value {value}, they are: ",
            HOPS + 1
        );
        (input, prefix, names)
    };
    let (example, said, names) = question(3, 5);
    let (input, answer_prefix, outputs) = question(5, n);
    Made {
        input: format!("{example}{said} {}\n\n{input}", names.join(" ")),
        answer_prefix,
        outputs,
    }
}

/// Ten words that stand more often than the others in a numbered list, after a worked example.
fn common_words(mut random: Random, n: usize, length: usize) -> Made {
    const COMMON: usize = 10;
    // RULER's repeats for short and for long texts: example, question.
    let (example, [often, seldom]) = match length < 4096 {
        true => ((20, [3, 1]), [6, 1]),
        false => ((40, [10, 3]), [30, 3]),
    };
    let mut list = |n: usize, [often, seldom]: [usize; 2]| {
        let mut common = different(n.max(COMMON + 1), &mut random);
        let others = common.split_off(COMMON);
        let often = common.iter().flat_map(|w| std::iter::repeat_n(w, often));
        let seldom = others.iter().flat_map(|w| std::iter::repeat_n(w, seldom));
        let mut words: Vec<&String> = often.chain(seldom).collect();
        random.shuffle(&mut words);
        let context = numbered(words);
        (context, common)
    };
    let ask = |context: &str| {
        format!(
            "Below is a numbered list of words. In these words, some appear more often than others. Memorize the ones \
             that appear most often.\n{context}\nQuestion: What are the 10 most common words in the above list?"
        )
    };
    let prefix = " Answer: The top 10 words that appear most often in the list are:";
    let (context, common) = list(example.0, example.1);
    let shown = format!("{}{prefix} {}", ask(&context), numbered(&common));
    let (context, outputs) = list(n, [often, seldom]);
    Made {
        input: format!("{shown}\n{}", ask(&context)),
        answer_prefix: prefix.to_owned(),
        outputs,
    }
}

fn numbered<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let lines = words.into_iter().enumerate();
    let lines: Vec<String> = lines
        .map(|(i, word)| format!("{}. {word}", i + 1))
        .collect();
    lines.join(" ")
}

/// The three most frequent of coded words whose frequency falls with the square of their rank.
fn frequent_words(mut random: Random, n: usize, length: usize) -> Made {
    // RULER draws a fiftieth of the length in words; the first rank is taken by dots.
    let mut words: Vec<String> = Vec::new();
    while words.len() < (length / 50).max(4) {
        let word = random.letters(6, b'a');
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words[0] = "...".to_owned();
    // A piece is ten words.
    let total = (10 * n) as f64 / (std::f64::consts::PI.powi(2) / 6.0);
    let mut text: Vec<&str> = Vec::new();
    for (rank, word) in words.iter().enumerate() {
        let count = total / ((rank + 1) as f64).powi(2);
        text.extend(std::iter::repeat_n(word.as_str(), count as usize));
    }
    random.shuffle(&mut text);
    Made {
        input: format!(
            "Read the following coded text and track the frequency of each coded word. Find the three most frequently \
             appeared coded words. {}\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What \
             are the three most frequently appeared words in the above coded text?",
            text.join(" ")
        ),
        answer_prefix: " Answer: According to the coded text above, the three most frequently appeared words are:"
            .to_owned(),
        outputs: words[1..4].to_vec(),
    }
}
