//! What training learns from a row.

use percept_data::Sample;
use percept_model::Processor;
use percept_train::Recipe;

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
