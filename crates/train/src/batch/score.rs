//! Values of responses without gradients: the plan of forward passes is one thing, the order of the
//! results another.

use percept_credit::Offsets;
use percept_model::Model;

use crate::Error;
use crate::batch::pack::{PackItem, Packed, micro_batches, pack};
use crate::policy::local::score_passes;
use crate::policy::values::TokenValues;

/// Tokens of one forward pass of [`score`].
const SCORE_BUDGET: usize = 8_192;

/// Values of responses, end to end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Where the tokens of each response are.
    pub offsets: Offsets,
    /// `[tokens]`.
    pub values: TokenValues,
    /// Tokens that went through forward passes for them.
    pub tokens: usize,
}

/// Log-probabilities and entropies of every response of `items`, in order.
///
/// # Errors
/// [`Error::EmptyPrompt`], and [`Error::Model`] when a prompt does not fit the model.
pub fn score(model: &Model, items: &[PackItem<'_>], temperature: f32) -> Result<Scores, Error> {
    in_order(items, SCORE_BUDGET, |passes| {
        score_passes(model, passes, temperature, None)
    })
}

/// Runs `items` in micro-batches of at most `budget` tokens: `run` computes the values of each. The values
/// of the responses, in the order of the items.
pub(crate) fn in_order(
    items: &[PackItem<'_>],
    budget: usize,
    run: impl FnOnce(&[Packed]) -> Result<Vec<TokenValues>, Error>,
) -> Result<Scores, Error> {
    let responses = items.iter().flat_map(|item| &item.responses);
    let offsets = Offsets::from_lengths(responses.map(|response| response.len()));
    let parts = micro_batches(items, budget);
    let passes = parts.iter().map(|part| pack(&part.items));
    let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
    let tokens = passes.iter().map(|pass| pass.batch.tokens.len()).sum();
    let found = run(&passes)?;
    let mut values = TokenValues {
        log_prob: vec![0.0; offsets.tokens()],
        entropy: vec![0.0; offsets.tokens()],
        ..TokenValues::default()
    };
    for (part, found) in parts.iter().zip(found) {
        let mut start = 0;
        for &row in &part.rows {
            let to = offsets.row(row);
            let from = start..start + to.len();
            start = from.end;
            values.log_prob[to.clone()].copy_from_slice(&found.log_prob[from.clone()]);
            values.entropy[to.clone()].copy_from_slice(&found.entropy[from.clone()]);
            if let Some(nucleus) = &found.nucleus_entropy {
                let all = values.nucleus_entropy.get_or_insert_default();
                all.resize(offsets.tokens(), 0.0);
                all[to].copy_from_slice(&nucleus[from]);
            }
        }
    }
    Ok(Scores {
        offsets,
        values,
        tokens,
    })
}
