//! Values of responses without gradients: the plan of forward passes is one thing, the order of the
//! results another.

use percept_model::{Model, SharedVision};

use crate::batch::pack::{PackItem, Packed, micro_batches, pack, shared_vision};
use crate::policy::local::token_values;
use crate::{Error, TokenValues};

/// Tokens of one forward pass of [`score`].
const SCORE_BUDGET: usize = 8_192;

/// Log-probabilities and entropies of every response of `items`, in order.
///
/// # Errors
/// [`Error::EmptyPrompt`], and [`Error::Model`] when a prompt does not fit the model.
pub fn score(
    model: &Model,
    items: &[PackItem<'_>],
    temperature: f32,
) -> Result<Vec<TokenValues>, Error> {
    by_response(items, SCORE_BUDGET, |packed, vision| {
        token_values(model, packed, vision, temperature, None)
    })
}

/// Runs `pass` over `items` in micro-batches of at most `budget` tokens; the values of every
/// response, in the order of the items. Images of several micro-batches are encoded once, where
/// `pass` runs one model without gradients.
pub(crate) fn by_response(
    items: &[PackItem<'_>],
    budget: usize,
    mut pass: impl FnMut(&Packed, &mut SharedVision) -> Result<TokenValues, Error>,
) -> Result<Vec<TokenValues>, Error> {
    let count = items.iter().map(|item| item.responses.len()).sum();
    let mut out = vec![TokenValues::default(); count];
    let parts = micro_batches(items, budget);
    let passes = parts.iter().map(|part| pack(&part.items));
    let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
    let mut vision = shared_vision(&passes);
    for (part, packed) in parts.iter().zip(&passes) {
        let values = pass(packed, &mut vision)?;
        let responses = part.items.iter().flat_map(|item| &item.responses);
        let mut start = 0;
        for (&row, response) in part.rows.iter().zip(responses) {
            let range = start..start + response.len();
            start = range.end;
            let nucleus = values.nucleus_entropy.as_ref();
            out[row] = TokenValues {
                log_prob: values.log_prob[range.clone()].to_vec(),
                entropy: values.entropy[range.clone()].to_vec(),
                nucleus_entropy: nucleus.map(|all| all[range].to_vec()),
                ref_kl: None,
            };
        }
    }
    Ok(out)
}
