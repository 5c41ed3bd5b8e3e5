//! What a preference loss contrasts: prompts, and responses to them in the model's tokens.

use percept_credit::preference::Kind;
use percept_data::Media;
use percept_model::Prompt;

use crate::batch::pack::PackItem;

/// A pair: every response that the loss asks for, and the prompts that they answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    /// The row.
    pub(crate) id: String,
    /// The question with its picture, with rejected pictures, without one.
    pub(crate) prompts: Vec<Prompt>,
    /// The pictures of each prompt.
    pub(crate) pictures: Vec<Vec<Media>>,
    /// In the order of their kinds.
    pub(crate) responses: Vec<Response>,
    /// How sure the annotator is.
    pub(crate) confidence: Option<f32>,
    /// Similarity of picture and text, chosen minus rejected answer.
    pub(crate) clip_gap: Option<f32>,
}

/// An answer and the prompt that it is read with.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) kind: Kind,
    /// Index into [`Pair::prompts`].
    pub(crate) prompt: usize,
    /// Its end token included.
    pub(crate) tokens: Vec<u32>,
    /// `[tokens]` weight in the sums over the answer; none for 1.
    pub(crate) weight: Option<Vec<f32>>,
    /// `[tokens]` number of the segment in which the answers differ, 0 for none; where the loss reads it.
    pub(crate) phrase: Option<Vec<u32>>,
}

impl Pair {
    /// The prompts that have responses of the wanted kinds, with these responses; and the places of the responses in
    /// [`Pair::responses`], in the order in which the items have them.
    pub(crate) fn items(&self, wanted: impl Fn(Kind) -> bool) -> (Vec<PackItem<'_>>, Vec<usize>) {
        let (mut items, mut places) = (Vec::new(), Vec::new());
        for (index, prompt) in self.prompts.iter().enumerate() {
            let answers = self.responses.iter().enumerate();
            let answers = answers.filter(|(_, r)| r.prompt == index && wanted(r.kind));
            let (at, responses): (Vec<usize>, Vec<&[u32]>) = answers
                .map(|(place, response)| (place, response.tokens.as_slice()))
                .unzip();
            if !at.is_empty() {
                items.push(PackItem { prompt, responses });
                places.extend(at);
            }
        }
        (items, places)
    }

    /// Tokens of a forward pass of the wanted kinds.
    pub(crate) fn tokens(&self, wanted: impl Fn(Kind) -> bool) -> usize {
        self.items(wanted).0.iter().map(PackItem::tokens).sum()
    }

    /// Whether it is no pair but a response that holds the policy near its reference.
    pub(crate) fn is_general(&self) -> bool {
        self.has(Kind::General)
    }

    /// Whether it has a response of a kind.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.responses.iter().any(|response| response.kind == kind)
    }
}
