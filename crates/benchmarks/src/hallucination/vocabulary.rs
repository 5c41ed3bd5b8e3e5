//! The words that count as one of the 80 object classes of MS COCO, and how they are found in a text.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::singular::{lemma, singular};
use super::tokens::word_tokens;

/// The list, with its origin and licence at the top.
const COCO_WORDS: &str = include_str!("../../assets/coco_words.txt");

/// Pairs of words that CHAIR reads as one, in the words of its script. "home plate" and "train
/// track" are no objects: they keep "plate" and "train" from being read as such.
#[rustfmt::skip]
const COMPOUNDS: &[&str] = &[
    "motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light",
    "fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove",
    "tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier",
    "potted plant", "bow tie", "laptop computer", "stove top oven", "home plate", "train track",
];

/// "baby bear" is a bear, not a person and a bear.
const ANIMALS: [&str; 12] = [
    "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    "animal", "cub",
];

/// "passenger train" is a train, not a person and a train.
const VEHICLES: [&str; 2] = ["jet", "train"];

/// A class of a [`Vocabulary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(u16);

/// An object that a text mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The word or pair of words, singular.
    pub word: String,
    /// Its class.
    pub class: Class,
}

/// How words are brought to the form in which the list has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// [`singular`], whatever comes out.
    Singular,
    /// The shortest form that the list has.
    Lemma,
}

/// Words, their classes and the rules for pairs.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    classes: Vec<String>,
    words: HashMap<String, Class>,
    /// Pairs of words, and what they are read as.
    pairs: HashMap<String, String>,
    /// First words of pairs.
    first: HashSet<String>,
    /// Words of the list and parts of its pairs.
    known: HashSet<String>,
    form: Form,
}

impl Vocabulary {
    /// The list and the rules of CHAIR's script, with its singular forms.
    pub fn chair() -> Self {
        let lines = lines(COCO_WORDS, |word| (!word.starts_with('+')).then_some(word));
        Self::new(&lines, COMPOUNDS.iter().copied(), Form::Singular)
    }

    /// The refined list of Object HalBench: some words more, every entry of two words is read as one,
    /// and words are reduced to entries of the list as a lemmatiser would ("bus" stays "bus").
    pub fn object_halbench() -> Self {
        let lines = lines(COCO_WORDS, |word| Some(word.trim_start_matches('+')));
        Self::refined(&lines)
    }

    /// A list of one's own: a class a line, its name and its other words, separated by `, `. Lines
    /// that start with `#` are comments. Words and pairs are found as in
    /// [`object_halbench`](Self::object_halbench).
    pub fn parse(text: &str) -> Self {
        Self::refined(&lines(text, Some))
    }

    fn refined(lines: &[Vec<&str>]) -> Self {
        let pairs = lines.iter().flatten().copied().filter(|w| w.contains(' '));
        let others = ["home plate", "train track"];
        Self::new(lines, pairs.chain(others), Form::Lemma)
    }

    fn new<'a>(lines: &[Vec<&str>], compounds: impl Iterator<Item = &'a str>, form: Form) -> Self {
        let mut words = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            words.extend(line.iter().map(|word| (word.to_string(), Class(at as u16))));
        }
        let mut pairs: HashMap<String, String> = compounds
            .map(|pair| (pair.to_owned(), pair.to_owned()))
            .collect();
        for animal in ANIMALS {
            pairs.insert(format!("baby {animal}"), animal.into());
            pairs.insert(format!("adult {animal}"), animal.into());
        }
        for vehicle in VEHICLES {
            pairs.insert(format!("passenger {vehicle}"), vehicle.into());
        }
        pairs.insert("bow tie".into(), "tie".into());
        pairs.insert("toilet seat".into(), "toilet".into());
        // The singular of "wine glass".
        pairs.insert("wine glas".into(), "wine glass".into());
        let parts = pairs.keys().chain(words.keys());
        let known = parts
            .flat_map(|w| w.split(' '))
            .map(str::to_owned)
            .collect();
        let first = pairs.keys().filter_map(|p| p.split(' ').next());
        Self {
            classes: lines.iter().map(|line| line[0].to_owned()).collect(),
            first: first.map(str::to_owned).collect(),
            words,
            pairs,
            known,
            form,
        }
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Name of a class.
    pub fn name(&self, class: Class) -> &str {
        &self.classes[usize::from(class.0)]
    }

    /// The class of a word or pair of words of the list.
    pub fn class(&self, word: &str) -> Option<Class> {
        self.words.get(word).copied()
    }

    /// The objects that a text mentions, in its order, every time it does.
    ///
    /// ```
    /// use percept_benchmarks::hallucination::Vocabulary;
    ///
    /// let words = Vocabulary::chair();
    /// let found = words.mentions("A baby elephant next to two hot dogs and a toilet seat.");
    /// let names: Vec<&str> = found.iter().map(|m| words.name(m.class)).collect();
    /// assert_eq!(names, ["elephant", "hot dog", "toilet"]);
    /// ```
    pub fn mentions(&self, text: &str) -> Vec<Mention> {
        let tokens = word_tokens(&text.to_lowercase());
        let words: Vec<Cow<'_, str>> = tokens.iter().map(|token| self.form(token)).collect();
        let mut found: Vec<&str> = Vec::with_capacity(words.len());
        let mut at = 0;
        while at < words.len() {
            match self.pair(&words[at], words.get(at + 1)) {
                Some(one) => {
                    found.push(one);
                    at += 2;
                }
                None => {
                    found.push(&words[at]);
                    at += 1;
                }
            }
        }
        // "the seat of the toilet" is no chair.
        let toilet = found.contains(&"toilet");
        let kept = found
            .into_iter()
            .filter(|word| !(toilet && *word == "seat"));
        let mention = |word: &str| {
            let class = self.class(word)?;
            Some(Mention {
                word: word.to_owned(),
                class,
            })
        };
        kept.filter_map(mention).collect()
    }

    /// The classes of [`mentions`](Self::mentions).
    pub fn objects(&self, text: &str) -> BTreeSet<Class> {
        self.mentions(text).into_iter().map(|m| m.class).collect()
    }

    fn form<'a>(&self, token: &'a str) -> Cow<'a, str> {
        match self.form {
            Form::Singular => singular(token),
            Form::Lemma => lemma(token, |word| self.known.contains(word)),
        }
    }

    fn pair(&self, first: &str, second: Option<&Cow<'_, str>>) -> Option<&str> {
        if !self.first.contains(first) {
            return None;
        }
        let pair = format!("{first} {}", second?);
        self.pairs.get(&pair).map(String::as_str)
    }
}

fn lines<'a>(text: &'a str, keep: impl Fn(&'a str) -> Option<&'a str>) -> Vec<Vec<&'a str>> {
    let lines = text.lines().map(str::trim);
    let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    entries
        .map(|line| line.split(',').map(str::trim).filter_map(&keep).collect())
        .filter(|words: &Vec<&str>| !words.is_empty())
        .collect()
}
