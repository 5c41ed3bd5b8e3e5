//! What a picture shows, as a model lists it.

use percept_chat::ChatModel;
use percept_vision::Error;
use percept_vision::tools::{Shown, Tag, Tagger};
use serde_json::{Value, json};

use super::ask::ask;

const QUESTION: &str = "List the objects that can be seen in this picture, one per line, as short names in singular. \
                        Write nothing else.";

/// Longest name, in words: what is longer is a sentence and no name.
const MOST_WORDS: usize = 4;

/// A vision-language model as tagger: it is asked for a list of objects. It tells no scores; each tag has 1.
pub struct ModelTagger<'a> {
    model: &'a dyn ChatModel,
}

impl<'a> ModelTagger<'a> {
    /// Asks this model.
    pub fn new(model: &'a dyn ChatModel) -> Self {
        Self { model }
    }
}

/// The names of a list: lines, or one line with commas; without bullets and numbers; each once.
fn names(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let pieces = text.lines().flat_map(|line| line.split([',', ';']));
    for piece in pieces {
        let outside = |c: char| !c.is_alphabetic();
        let name = piece.trim_matches(outside).to_lowercase();
        let name = ["a ", "an ", "the "]
            .iter()
            .find_map(|a| name.strip_prefix(a))
            .unwrap_or(&name);
        let words = name.split_whitespace().count();
        if (1..=MOST_WORDS).contains(&words) && !found.iter().any(|other| other == name) {
            found.push(name.to_owned());
        }
    }
    found
}

impl Tagger for ModelTagger<'_> {
    fn identity(&self) -> Value {
        json!({"tagger": "model", "model": self.model.identity(), "question": QUESTION})
    }

    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error> {
        let replies = ask(self.model, picture.image, &[QUESTION.to_owned()])?;
        let tags = replies.iter().flat_map(|reply| names(reply));
        Ok(tags.map(|tag| Tag { tag, score: 1.0 }).collect())
    }

    fn at_once(&self) -> usize {
        self.model.calls().at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use percept_chat::Recorded;

    #[test]
    fn a_list_is_read_in_the_forms_in_which_models_write_it() {
        let said = "1. A dog\n- traffic light\n* Dog\n\"cup\", plate; 3) the table.\nThere are many other things in the picture.";
        let model = Recorded::answering("m", move |request| {
            assert_eq!(request.images.len(), 1);
            said.into()
        });
        let image = RgbImage::new(4, 4);
        let shown = Shown {
            image: &image,
            file: None,
            image_id: None,
        };
        let tags = ModelTagger::new(&model).tags(&shown).unwrap();
        let names: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
        assert_eq!(names, ["dog", "traffic light", "cup", "plate", "table"]);
    }
}
