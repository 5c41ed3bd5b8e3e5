//! The scorer that needs no model: which share of what the text names is still there.
//!
//! It is not CLIP. It does not look at pixels: it knows what was found in the picture and which pixels were painted over. A
//! text names an object by the words of CHAIR's list for the 80 classes of COCO (or of a list of one's own), and any other
//! tag by the tag itself, in singular or plural. The score of a text is the mean, over the named objects that were
//! found, of the share of their pixels that were not painted over; a text that names none of them has no score.

use std::collections::BTreeSet;

use percept_benchmarks::hallucination::{Class, Vocabulary, singular, word_tokens};
use percept_vision::Error;
use percept_vision::tools::{SeenObject, TextImageScorer, View};
use serde_json::{Value, json};

/// See the module's page.
#[derive(Debug, Clone)]
pub struct ObjectScorer {
    words: Vocabulary,
    /// Names the list, for identities.
    list: String,
}

impl Default for ObjectScorer {
    fn default() -> Self {
        Self::new(Vocabulary::object_halbench(), "coco")
    }
}

impl ObjectScorer {
    /// A scorer with these words; `list` names them in records.
    pub fn new(words: Vocabulary, list: impl Into<String>) -> Self {
        Self {
            words,
            list: list.into(),
        }
    }

    /// The class of a tag: the one object that the list reads in it.
    fn class(&self, tag: &str) -> Option<Class> {
        let classes = self.words.objects(tag);
        (classes.len() == 1)
            .then(|| classes.first().copied())
            .flatten()
    }

    /// Whether a text names something with this tag.
    pub(crate) fn names(&self, text: &str, tag: &str) -> bool {
        Named::of(&self.words, text).has(self.class(tag), tag)
    }
}

/// What a text names.
struct Named {
    classes: BTreeSet<Class>,
    /// Its words in singular, each between blanks.
    words: String,
}

impl Named {
    fn of(vocabulary: &Vocabulary, text: &str) -> Self {
        Self {
            classes: vocabulary.objects(text),
            words: in_singular(text),
        }
    }

    fn has(&self, class: Option<Class>, tag: &str) -> bool {
        match class {
            Some(class) => self.classes.contains(&class),
            None => self.words.contains(&in_singular(tag)),
        }
    }
}

fn in_singular(text: &str) -> String {
    let tokens = word_tokens(&text.to_lowercase());
    let words: Vec<String> = tokens
        .iter()
        .map(|word| singular(word).into_owned())
        .collect();
    format!(" {} ", words.join(" "))
}

/// Share of an object's pixels that were not painted over.
fn left(object: &SeenObject, view: &View<'_>) -> Result<f64, Error> {
    let (Some(removed), area) = (view.removed, object.mask.area()) else {
        return Ok(1.0);
    };
    if area == 0 {
        return Ok(1.0);
    }
    let kept = object.mask.minus(removed)?.area();
    Ok(kept as f64 / area as f64)
}

impl TextImageScorer for ObjectScorer {
    fn identity(&self) -> Value {
        json!({"scorer": "objects", "words": self.list, "version": 1})
    }

    fn similarities(&self, view: &View<'_>, texts: &[&str]) -> Result<Vec<Option<f64>>, Error> {
        let classes: Vec<Option<Class>> = (view.objects.iter())
            .map(|object| self.class(&object.tag))
            .collect();
        let shares = view.objects.iter().map(|object| left(object, view));
        let shares: Vec<f64> = shares.collect::<Result<_, _>>()?;
        let score = |text: &&str| {
            let named = Named::of(&self.words, text);
            let of_object = view.objects.iter().zip(&classes).zip(&shares);
            let found = of_object.filter(|((object, class), _)| named.has(**class, &object.tag));
            let found: Vec<f64> = found.map(|(_, share)| *share).collect();
            (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
        };
        Ok(texts.iter().map(score).collect())
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use percept_data::coco::Mask;

    #[test]
    fn what_is_named_and_painted_over_lowers_the_score_by_its_share() {
        let image = RgbImage::new(10, 10);
        let object = |tag: &str, x0: u32, x1: u32| SeenObject {
            tag: tag.into(),
            mask: Mask::from_fn(10, 10, |x, _| (x0..x1).contains(&x)),
        };
        let objects = [
            object("person", 0, 4),
            object("dog", 4, 6),
            object("lamp post", 6, 8),
        ];
        let removed = Mask::from_fn(10, 10, |x, _| x < 2);
        let scorer = ObjectScorer::default();
        let scores = |removed, texts: &[&str]| {
            let view = View {
                image: &image,
                objects: &objects,
                removed,
            };
            scorer.similarities(&view, texts).unwrap()
        };
        let texts = [
            "A woman walks her puppy.",
            "Two lamp posts stand there.",
            "The weather is fine.",
            "A zebra.",
        ];
        assert_eq!(scores(None, &texts), [Some(1.0), Some(1.0), None, None]);
        // Half of the person is gone.
        assert_eq!(
            scores(Some(&removed), &texts),
            [Some(0.75), Some(1.0), None, None]
        );
        assert!(scorer.names("some men", "person") && !scorer.names("some men", "dog"));
        // "posters" is not "post".
        assert!(!scorer.names("lamp posters", "lamp post"));
    }
}
