//! CHAIR: which objects of a caption are not in the picture.
//!
//! `CHAIR_i = mentions of absent objects / all mentions`, `CHAIR_s = captions with such a mention /
//! captions`, both pooled over the corpus; a mention counts every time. What is in a picture is the
//! union of its instance annotations and of the objects that its reference captions mention.
//! Source: Rohrbach et al., EMNLP 2018 (arXiv 1809.02156); LisaAnne/Hallucination `utils/chair.py`,
//! with whose output the result is identical (`tests/golden/chair.json`). Recall is that of later
//! work: objects of the pictures that their captions mention / objects of the pictures.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::vocabulary::{Class, Mention, Vocabulary};
use percept_eval::Estimate;
use percept_eval::stats::{ANY, SHARE};
use percept_eval::stats::{intervals, ratio};

/// What is in each picture, by its COCO id.
pub type Objects = BTreeMap<u64, BTreeSet<Class>>;

/// What is in a picture: its instances and what its reference captions mention.
pub fn present<'a>(
    vocabulary: &Vocabulary,
    instances: impl IntoIterator<Item = Class>,
    references: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<Class> {
    let named = references
        .into_iter()
        .flat_map(|text| vocabulary.objects(text));
    instances.into_iter().chain(named).collect()
}

/// A caption and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caption {
    /// The picture.
    pub image: u64,
    /// The caption.
    pub caption: String,
    /// Objects that it mentions, as (word, class), in its order.
    pub mentioned: Vec<(String, String)>,
    /// Those of them that are not in the picture.
    pub hallucinated: Vec<(String, String)>,
    /// What is in the picture.
    pub present: Vec<String>,
    /// Classes of the picture that the caption mentions.
    pub covered: usize,
    /// Words, separated by blanks.
    pub length: usize,
}

/// The corpus in numbers; intervals over captions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chair {
    /// Share of mentions that are hallucinated.
    pub chair_i: Estimate,
    /// Share of captions with a hallucinated mention.
    pub chair_s: Estimate,
    /// Share of the pictures' objects that their captions mention.
    pub recall: Estimate,
    /// Mean length in words.
    pub length: Estimate,
    /// Mentions.
    pub mentions: usize,
    /// Hallucinated mentions by class, the most frequent first.
    pub by_class: Vec<(String, usize)>,
}

/// Judges one caption by the objects that it [mentions](Vocabulary::mentions).
pub fn judge(
    vocabulary: &Vocabulary,
    image: u64,
    caption: &str,
    present: &BTreeSet<Class>,
) -> Caption {
    let mentions = vocabulary.mentions(caption);
    judge_mentions(vocabulary, image, caption, mentions, present)
}

/// Judges one caption by objects that were found in it some other way.
pub fn judge_mentions(
    vocabulary: &Vocabulary,
    image: u64,
    caption: &str,
    mentions: Vec<Mention>,
    present: &BTreeSet<Class>,
) -> Caption {
    let covered: BTreeSet<Class> = mentions.iter().map(|m| m.class).collect();
    let covered = covered.intersection(present).count();
    let named = |class: Class| vocabulary.name(class).to_owned();
    let mut mentioned = Vec::with_capacity(mentions.len());
    let mut hallucinated = Vec::new();
    for mention in mentions {
        let pair = (mention.word, named(mention.class));
        if !present.contains(&mention.class) {
            hallucinated.push(pair.clone());
        }
        mentioned.push(pair);
    }
    Caption {
        image,
        caption: caption.to_owned(),
        mentioned,
        hallucinated,
        present: present.iter().map(|class| named(*class)).collect(),
        covered,
        length: caption.split_whitespace().count(),
    }
}

/// The numbers of judged captions. Without mentions CHAIR_i is NaN.
pub fn summarise(captions: &[Caption]) -> Chair {
    let row = |c: &Caption| {
        [
            1.0,
            c.mentioned.len() as f64,
            c.hallucinated.len() as f64,
            f64::from(!c.hallucinated.is_empty()),
            c.present.len() as f64,
            c.covered as f64,
            c.length as f64,
        ]
    };
    let rows: Vec<[f64; 7]> = captions.iter().map(row).collect();
    let [chair_i, chair_s, recall, length] = intervals(&rows, [SHARE, SHARE, SHARE, ANY], |s| {
        [
            ratio(s[2], s[1]),
            ratio(s[3], s[0]),
            ratio(s[5], s[4]),
            ratio(s[6], s[0]),
        ]
    });
    let mut by_class: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, class) in captions.iter().flat_map(|c| &c.hallucinated) {
        *by_class.entry(class).or_default() += 1;
    }
    let mut by_class: Vec<(String, usize)> = by_class
        .into_iter()
        .map(|(class, n)| (class.to_owned(), n))
        .collect();
    by_class.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Chair {
        chair_i,
        chair_s,
        recall,
        length,
        mentions: captions.iter().map(|c| c.mentioned.len()).sum(),
        by_class,
    }
}
