//! POPE questions about one's own annotated pictures.
//!
//! Positives are the first objects of a picture, and each is followed by an absent one: drawn
//! uniformly, the most frequent one, or the one that stands most often beside the positive. Counts
//! are over the pictures that are asked about. Source: AoiDragon/POPE `main.py` and `utils.py`. Its
//! article is kept where it is right: there, "an" replaces every "a" of the question, so that
//! questions about an orange end in "the imange".

use std::collections::{HashMap, HashSet};

use super::pope::{Label, Question};
use percept_base::random::SplitMix;

/// A picture and the names of its objects, in the order of the annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// File name.
    pub image: String,
    /// Classes; repetitions count once.
    pub objects: Vec<String>,
}

/// How absent objects are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Uniformly.
    Random,
    /// The most frequent first.
    Popular,
    /// Those that stand most often beside the positive first.
    Adversarial,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Strategy; 3] = [Strategy::Random, Strategy::Popular, Strategy::Adversarial];

    /// The name of its split.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Random => "random",
            Strategy::Popular => "popular",
            Strategy::Adversarial => "adversarial",
        }
    }
}

/// Why no questions can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// Fewer pictures than wanted have enough objects.
    #[error(
        "{found} pictures have at least {objects} classes of objects, {wanted} are wanted: lower --build-images or --objects"
    )]
    TooFew {
        /// Pictures with enough classes.
        found: usize,
        /// Pictures wanted.
        wanted: usize,
        /// Classes needed.
        objects: usize,
    },
    /// Every class is in the picture or asked about.
    #[error(
        "{image}: no class is left to ask about that is not in the picture: add pictures with other classes or lower --objects"
    )]
    NoneAbsent {
        /// The picture.
        image: String,
    },
}

/// Draws `count` of the pictures that have at least `objects` classes, without replacement; the same
/// seed draws the same ones.
///
/// # Errors
/// [`BuildError::TooFew`].
pub fn select(
    pictures: &[Annotated],
    count: usize,
    objects: usize,
    seed: u64,
) -> Result<Vec<Annotated>, BuildError> {
    let unique = |picture: &Annotated| {
        let mut seen = HashSet::new();
        let kept = picture.objects.iter().filter(|o| seen.insert(o.as_str()));
        Annotated {
            image: picture.image.clone(),
            objects: kept.cloned().collect(),
        }
    };
    let mut fit: Vec<Annotated> = pictures
        .iter()
        .map(unique)
        .filter(|p| p.objects.len() >= objects)
        .collect();
    if fit.len() < count {
        return Err(BuildError::TooFew {
            found: fit.len(),
            wanted: count,
            objects,
        });
    }
    let mut draws = SplitMix::new(seed);
    for at in 0..count {
        let other = at + draws.below(fit.len() - at);
        fit.swap(at, other);
    }
    fit.truncate(count);
    Ok(fit)
}

/// `2 × objects` questions about each picture, present and absent objects in turn.
///
/// # Errors
/// [`BuildError::NoneAbsent`].
pub fn questions(
    pictures: &[Annotated],
    strategy: Strategy,
    objects: usize,
    seed: u64,
) -> Result<Vec<Question>, BuildError> {
    let counts = Counts::of(pictures);
    let mut draws = SplitMix::new(seed);
    let mut found: Vec<Question> = Vec::with_capacity(2 * objects * pictures.len());
    let mut ask = |image: &str, object: &str, label| {
        let article = if object.starts_with(['a', 'e', 'i', 'o', 'u']) {
            "an"
        } else {
            "a"
        };
        found.push(Question {
            question_id: found.len() as u64 + 1,
            image: image.to_owned(),
            text: format!("Is there {article} {object} in the image?"),
            label,
        });
    };
    for picture in pictures {
        let mut taken: HashSet<&str> = picture.objects.iter().map(String::as_str).collect();
        for present in picture.objects.iter().take(objects) {
            ask(&picture.image, present, Label::Yes);
            let preferred: &[&str] = match strategy {
                Strategy::Random => &[],
                Strategy::Popular => &counts.by_frequency,
                Strategy::Adversarial => counts.beside.get(present.as_str()).map_or(&[], |b| b),
            };
            let first = preferred.iter().find(|class| !taken.contains(*class));
            let absent = match first {
                Some(class) => *class,
                None => {
                    let left: Vec<&str> = counts
                        .classes
                        .iter()
                        .copied()
                        .filter(|c| !taken.contains(c))
                        .collect();
                    if left.is_empty() {
                        let image = picture.image.clone();
                        return Err(BuildError::NoneAbsent { image });
                    }
                    left[draws.below(left.len())]
                }
            };
            taken.insert(absent);
            ask(&picture.image, absent, Label::No);
        }
    }
    Ok(found)
}

struct Counts<'a> {
    /// In the order in which they first occur.
    classes: Vec<&'a str>,
    by_frequency: Vec<&'a str>,
    /// For each class the others, the most frequent companion first.
    beside: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Counts<'a> {
    fn of(pictures: &'a [Annotated]) -> Self {
        let mut all = Tally::default();
        let mut pairs: HashMap<&str, Tally<'a>> = HashMap::new();
        for picture in pictures {
            for object in &picture.objects {
                all.add(object);
                let mine = pairs.entry(object).or_default();
                for other in picture.objects.iter().filter(|other| *other != object) {
                    mine.add(other);
                }
            }
        }
        Self {
            classes: all.order.clone(),
            by_frequency: all.sorted(),
            beside: pairs
                .into_iter()
                .map(|(class, tally)| (class, tally.sorted()))
                .collect(),
        }
    }
}

#[derive(Default)]
struct Tally<'a> {
    order: Vec<&'a str>,
    count: HashMap<&'a str, usize>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, class: &'a str) {
        let count = self.count.entry(class).or_default();
        if *count == 0 {
            self.order.push(class);
        }
        *count += 1;
    }

    /// The most frequent first, the earlier one where two are equal.
    fn sorted(mut self) -> Vec<&'a str> {
        self.order
            .sort_by_key(|class| std::cmp::Reverse(self.count[class]));
        self.order
    }
}
