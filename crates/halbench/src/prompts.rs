//! What models are asked while a benchmark is built. The wording is ours; the official scripts'
//! requests (two turns for the description, one for the choice) have this content.

use percept_chat::{ChatRequest, Turn};
use percept_data::{Media, Message, Part};

use crate::Role;

fn list(names: &[String]) -> String {
    names.join(", ")
}

/// Which of the candidates suits the marked place best.
pub(crate) fn choose(role: &Role) -> String {
    format!(
        "The {} marked in red in this image is to be replaced by another object. Which of these \
         objects would fit its place best, in size and in the scene? {}. Answer with the name of \
         one of them and nothing else.",
        role.target,
        list(&role.candidates)
    )
}

/// What the image shows.
pub(crate) fn describe(role: &Role) -> String {
    format!(
        "Describe this image in detail. It shows, among other things: {}.",
        list(&role.present)
    )
}

/// What the image shows after the edit.
pub(crate) fn describe_edited(role: &Role, counterfactual: &str) -> String {
    let kept: Vec<String> = (role.present.iter())
        .filter(|class| **class != role.target)
        .cloned()
        .collect();
    format!(
        "In this copy of the image the {} is marked in red. Suppose that only what is marked were \
         {} instead. Describe that image in one paragraph: name {} and what remains ({}), and say \
         nothing of a replacement or of the red mark.",
        role.target,
        with_article(counterfactual),
        with_article(counterfactual),
        list(&kept)
    )
}

/// What the image shows after the edit, without a model.
pub(crate) fn plain_description(role: &Role, counterfactual: &str) -> String {
    let kept = role.present.iter().filter(|class| **class != role.target);
    let names: Vec<String> = std::iter::once(counterfactual)
        .chain(kept.map(String::as_str))
        .map(with_article)
        .collect();
    match names.split_last() {
        Some((last, [])) => format!("A photograph of {last}."),
        Some((last, names)) => format!("A photograph of {} and {last}.", names.join(", ")),
        None => String::new(),
    }
}

/// Whether an image shows a class.
pub(crate) fn question(class: &str) -> String {
    format!("Is there {} in the image?", with_article(class))
}

/// Whether the place of an edit shows a class.
pub(crate) fn detect(class: &str) -> String {
    format!("{} Answer yes or no.", question(class))
}

/// `a bear`, `an apple`.
fn with_article(class: &str) -> String {
    let vowel = class.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {class}", if vowel { "an" } else { "a" })
}

/// A turn of the user with an image.
pub(crate) fn shown(image: usize, text: String) -> Message {
    Message::new(
        percept_data::Role::User,
        vec![Part::Image(image), Part::Text(text)],
    )
}

/// A request with these turns.
pub(crate) fn request(
    id: String,
    messages: Vec<Message>,
    images: Vec<Media>,
    attempt: usize,
) -> ChatRequest {
    ChatRequest {
        id,
        messages,
        images,
        videos: Vec::new(),
        turn: Turn {
            // A model that said nothing usable is not asked for the same answer again.
            temperature: if attempt == 0 { 0.0 } else { 1.0 },
            max_tokens: 1024,
            candidate: attempt,
            ..Turn::default()
        },
    }
}

/// The candidate that a reply names first; of names that begin in the same place, the longest
/// (`teddy bear`, not `bear`). The official script takes the first of the list that occurs anywhere
/// in the reply, and reuses the previous image's when none does.
pub(crate) fn named<'a>(reply: &str, candidates: &'a [String]) -> Option<&'a str> {
    let reply = reply.to_lowercase();
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let found = candidates.iter().filter_map(|candidate| {
        let whole_word = reply.match_indices(candidate.as_str()).find(|(at, name)| {
            let before = reply[..*at].chars().next_back();
            let mut after = reply[at + name.len()..].chars();
            let next = after.next();
            // A plural counts.
            let next = if next == Some('s') {
                after.next()
            } else {
                next
            };
            !is_word(before) && !is_word(next)
        });
        whole_word.map(|(at, name)| (at, std::cmp::Reverse(name.len()), candidate))
    });
    // "teddy bear" holds a "bear" that begins later: the earlier place wins.
    found.min().map(|(_, _, candidate)| candidate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_as_a_person_reads_them() {
        let candidates = ["bear", "teddy bear", "car", "skis"].map(String::from);
        let named = |reply| named(reply, &candidates);
        assert_eq!(named("Teddy bear"), Some("teddy bear"));
        assert_eq!(named("A **bear**."), Some("bear"));
        assert_eq!(named("two bears"), Some("bear"));
        assert_eq!(named("a carrot would fit; or skis"), Some("skis"));
        assert_eq!(named("none of them"), None);
    }

    #[test]
    fn articles_follow_the_sound() {
        assert_eq!(question("apple"), "Is there an apple in the image?");
        assert_eq!(question("bear"), "Is there a bear in the image?");
    }
}
