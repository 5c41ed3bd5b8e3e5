//! What training learns from a row.

use percept_data::Sample;
use percept_model::Processor;
use percept_train::{MaskSpan, Recipe};

/// Tokens of the row in `[sft]`, if it would train on it.
pub(super) fn supervised(
    recipe: &Recipe,
    processor: &Processor,
    sample: &Sample,
) -> Result<usize, String> {
    let training = processor.sft(sample).map_err(|error| error.to_string())?;
    let limit = recipe
        .sft
        .as_ref()
        .map_or(usize::MAX, |sft| sft.ppo_max_token_len);
    match training.prompt.tokens.len() {
        tokens if tokens > limit => Err(format!(
            "{tokens} tokens with the answer, limit {limit}\n  help: raise sft.ppo_max_token_len"
        )),
        tokens => Ok(tokens),
    }
}

/// Whether the answer of a row has the spans that `[sft]` masks.
pub(super) fn spans(recipe: &Recipe, processor: &Processor, sample: &Sample) -> Result<(), String> {
    let spans = recipe.sft.iter().flat_map(|sft| &sft.mask_spans);
    let spans: Vec<_> = spans.map(MaskSpan::markers).collect();
    if spans.is_empty() {
        return Ok(());
    }
    let missing = processor.missing_spans(sample, &spans);
    // A row without an answer is another problem.
    let Some(first) = missing.unwrap_or_default().into_iter().next() else {
        return Ok(());
    };
    Err(format!(
        "no `{}` … `{}` in the assistant's turns: sft.mask_spans masks nothing of this row",
        first.from, first.to
    ))
}
