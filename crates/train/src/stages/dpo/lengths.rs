//! What a row costs the stage: for `percept data check` and the memory estimate.

use percept_credit::preference::Kind;
use percept_data::{PairTokens, Sample};
use percept_model::Processor;

use crate::stages::dpo::reader::Reader;
use crate::stages::dpo::update::trained;
use crate::{PackItem, Recipe};

/// What a pair costs `[dpo]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairCost {
    /// Tokens of its answers.
    pub tokens: PairTokens,
    /// Tokens of its forward pass with a gradient, prompts included.
    pub trained: usize,
    /// Those of them that stand for images and videos.
    pub image: usize,
}

/// What a row costs `[dpo]`, however long it is.
///
/// # Errors
/// Why the row is no pair that the recipe's loss can use.
pub fn pair_cost(
    recipe: &Recipe,
    processor: &Processor,
    sample: &Sample,
) -> Result<PairCost, String> {
    let needs = recipe.preference.loss.needs();
    let reader = Reader::of(recipe, processor, &needs);
    let pair = reader.pair(sample).map_err(|refusal| refusal.reason)?;
    let lengths = |kind: Kind| {
        let of_kind = pair.responses.iter().filter(move |r| r.kind == kind);
        of_kind.map(|response| response.tokens.len())
    };
    let (items, _) = pair.items(|kind| trained(&needs, kind));
    Ok(PairCost {
        tokens: PairTokens {
            chosen: lengths(Kind::Chosen).sum(),
            rejected: lengths(Kind::Rejected).collect(),
            pass: pair.tokens(|_| true),
        },
        trained: items.iter().map(PackItem::tokens).sum(),
        image: items
            .iter()
            .map(|item| item.prompt.vision_index.len())
            .sum(),
    })
}
