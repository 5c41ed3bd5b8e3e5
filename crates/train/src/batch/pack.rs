//! From groups to one packed forward pass.
//!
//! The prompt of a group stands once on the flat token axis; its responses follow as spans that
//! see the prompt as their prefix. The last prompt row predicts the first token of every
//! response, so the rows of the loss are a gather with repetition. Padding exists nowhere.

use std::sync::Arc;

use percept_model::{PackedBatch, Prompt, SharedVision, Training};
use percept_nn::{Layout, Span};

use crate::Error;
use crate::batch::balance::balance;

/// A prompt and the responses whose tokens are scored.
#[derive(Debug, Clone)]
pub struct PackItem<'a> {
    /// The prompt.
    pub prompt: &'a Prompt,
    /// Response tokens, end token included.
    pub responses: Vec<&'a [u32]>,
}

impl PackItem<'_> {
    /// Rows on the token axis (the last token of a response predicts nothing and is left out).
    pub fn tokens(&self) -> usize {
        let responses: usize = self
            .responses
            .iter()
            .map(|r| r.len().saturating_sub(1))
            .sum();
        self.prompt.tokens.len() + responses
    }
}

/// A packed forward pass and where its loss sits.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Model input.
    pub batch: PackedBatch,
    /// `[targets]`: the token row whose hidden state predicts the target.
    pub rows: Vec<u32>,
    /// `[targets]`: all response tokens, response by response, in the order of the items.
    pub targets: Vec<u32>,
}

/// Packs `items` onto one token axis.
///
/// # Errors
/// [`Error::EmptyPrompt`] when a prompt has no token.
pub fn pack(items: &[PackItem<'_>]) -> Result<Packed, Error> {
    let mut batch = PackedBatch::default();
    let (mut rows, mut targets, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        let prompt = item.prompt;
        let start = batch.tokens.len();
        let len = prompt.tokens.len();
        if len == 0 {
            return Err(Error::EmptyPrompt);
        }
        batch.tokens.extend_from_slice(&prompt.tokens);
        batch.positions.extend_from_slice(&prompt.positions);
        batch.images.extend(prompt.vision.iter().cloned());
        batch
            .vision_index
            .extend(prompt.vision_index.iter().map(|row| row + start as u32));
        spans.push(Span {
            start,
            len,
            prefix_start: 0,
            prefix_len: 0,
        });
        for response in &item.responses {
            let Some((_, inputs)) = response.split_last() else {
                continue;
            };
            let first = batch.tokens.len();
            rows.push((start + len - 1) as u32);
            rows.extend((first..first + inputs.len()).map(|row| row as u32));
            targets.extend_from_slice(response);
            if inputs.is_empty() {
                continue;
            }
            batch.tokens.extend_from_slice(inputs);
            let next = prompt.next_position;
            batch
                .positions
                .extend((next..next + inputs.len() as u32).map(|p| [p; 3]));
            spans.push(Span {
                start: first,
                len: inputs.len(),
                prefix_start: start,
                prefix_len: len,
            });
        }
    }
    batch.layout = Arc::new(Layout::new(spans, batch.tokens.len())?);
    Ok(Packed {
        batch,
        rows,
        targets,
    })
}

/// The images that more than one of `passes` shows.
pub(crate) fn shared_vision(passes: &[Packed]) -> SharedVision {
    SharedVision::new(passes.iter().map(|pass| pass.batch.images.as_slice()))
}

/// A forward pass of a plan.
#[derive(Debug, Clone)]
pub struct MicroBatch<'a> {
    /// What is computed together.
    pub items: Vec<PackItem<'a>>,
    /// The place of each of its responses, in their order, among all responses of the plan.
    pub rows: Vec<usize>,
}

/// Cuts items into forward passes of at most `budget` tokens: few, and as large as each other as
/// can be. A group stays together, so that its prompt is computed once, unless it is larger than the
/// budget; then it is cut between responses, and its prompt is computed in each part, its images
/// once for all of them ([`SharedVision`]). One response is never cut. The plan is a function of the
/// lengths.
pub fn micro_batches<'a>(items: &[PackItem<'a>], budget: usize) -> Vec<MicroBatch<'a>> {
    let mut parts = Vec::with_capacity(items.len());
    let mut first = 0;
    for item in items {
        parts.extend(split_item(item, first, budget));
        first += item.responses.len();
    }
    let weights: Vec<usize> = parts.iter().map(|part| part.items[0].tokens()).collect();
    let join = |bin: Vec<usize>| MicroBatch {
        items: bin
            .iter()
            .map(|&part| parts[part].items[0].clone())
            .collect(),
        rows: bin
            .iter()
            .flat_map(|&part| parts[part].rows.clone())
            .collect(),
    };
    balance(&weights, budget).into_iter().map(join).collect()
}

/// Cuts bundles of items into forward passes of at most `budget` tokens, as [`micro_batches`] does: the bundles of each
/// pass. A bundle is never cut.
pub(crate) fn bundle_batches(bundles: &[Vec<PackItem<'_>>], budget: usize) -> Vec<Vec<usize>> {
    let tokens = |bundle: &Vec<PackItem<'_>>| bundle.iter().map(PackItem::tokens).sum();
    balance(&bundles.iter().map(tokens).collect::<Vec<_>>(), budget)
}

/// A group whole, or in parts that fit; its responses are those from `first` on.
fn split_item<'a>(item: &PackItem<'a>, first: usize, budget: usize) -> Vec<MicroBatch<'a>> {
    let lengths = item
        .responses
        .iter()
        .map(|response| response.len().saturating_sub(1));
    let lengths: Vec<usize> = lengths.collect();
    let room = budget.saturating_sub(item.prompt.tokens.len());
    let bins = match item.tokens() <= budget || lengths.is_empty() {
        true => vec![(0..lengths.len()).collect()],
        false => balance(&lengths, room),
    };
    let part = |bin: Vec<usize>| MicroBatch {
        items: vec![PackItem {
            prompt: item.prompt,
            responses: bin.iter().map(|&index| item.responses[index]).collect(),
        }],
        rows: bin.into_iter().map(|index| first + index).collect(),
    };
    bins.into_iter().map(part).collect()
}

/// Packs whole training sequences: each stands alone, the loss sits where its mask says.
///
/// # Errors
/// [`Error::EmptyPrompt`] when a sequence has no token.
pub fn pack_training(rows: &[&Training]) -> Result<Packed, Error> {
    let items: Vec<PackItem<'_>> = rows
        .iter()
        .map(|row| PackItem {
            prompt: &row.prompt,
            responses: Vec::new(),
        })
        .collect();
    let mut packed = pack(&items)?;
    let mut start = 0;
    for row in rows {
        for (at, _) in row
            .mask
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, trained)| **trained)
        {
            packed.rows.push((start + at - 1) as u32);
            packed.targets.push(row.prompt.tokens[at]);
        }
        start += row.prompt.tokens.len();
    }
    Ok(packed)
}

/// Cuts training sequences into forward passes of at most `budget` tokens, as [`micro_batches`] does;
/// one sequence is never cut.
pub fn training_batches(rows: &[Training], budget: usize) -> Vec<Vec<&Training>> {
    let tokens: Vec<usize> = rows.iter().map(|row| row.prompt.tokens.len()).collect();
    balance(&tokens, budget)
        .into_iter()
        .map(|bin| bin.into_iter().map(|index| &rows[index]).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prompt(len: usize) -> Prompt {
        Prompt {
            tokens: (0..len as u32).collect(),
            positions: (0..len as u32).map(|p| [p; 3]).collect(),
            next_position: len as u32,
            ..Prompt::default()
        }
    }

    #[test]
    fn each_response_token_is_predicted_by_the_row_before_it() {
        let p = prompt(3);
        let (a, b): (&[u32], &[u32]) = (&[10, 11, 12], &[20]);
        let packed = pack(&[PackItem {
            prompt: &p,
            responses: vec![a, b],
        }])
        .unwrap();
        assert_eq!(packed.batch.tokens, [0, 1, 2, 10, 11]);
        assert_eq!(packed.rows, [2, 3, 4, 2]);
        assert_eq!(packed.targets, [10, 11, 12, 20]);
        assert_eq!(packed.batch.positions[3], [3; 3]);
    }

    proptest! {
        #[test]
        fn every_response_is_in_one_pass_and_knows_its_place(
            groups in prop::collection::vec((1usize..20, prop::collection::vec(1usize..15, 1..6)), 1..6),
            budget in 8usize..80,
        ) {
            let prompts: Vec<Prompt> = groups.iter().map(|(len, _)| prompt(*len)).collect();
            let responses: Vec<Vec<Vec<u32>>> = groups.iter().enumerate()
                .map(|(g, (_, lens))| lens.iter().enumerate()
                    .map(|(r, &len)| vec![(g * 100 + r) as u32; len]).collect())
                .collect();
            let items: Vec<PackItem> = prompts.iter().zip(&responses)
                .map(|(prompt, r)| PackItem { prompt, responses: r.iter().map(Vec::as_slice).collect() })
                .collect();
            let all: Vec<(&[u32], usize)> = items.iter()
                .flat_map(|item| item.responses.iter().map(|r| (*r, item.prompt.tokens.len()))).collect();
            let batches = micro_batches(&items, budget);
            let mut seen = vec![0; all.len()];
            for batch in &batches {
                let found = batch.items.iter()
                    .flat_map(|item| item.responses.iter().map(|r| (*r, item.prompt.tokens.len())));
                for (&row, response) in batch.rows.iter().zip(found) {
                    prop_assert_eq!(all[row], response);
                    seen[row] += 1;
                }
                let tokens: usize = batch.items.iter().map(PackItem::tokens).sum();
                let single = batch.rows.len() == 1;
                // Responses of one token take no room beside their prompt.
                let free = batch.items.iter().all(|item| item.responses.iter().all(|r| r.len() == 1));
                let large = batch.items.len() == 1 && (single || free);
                prop_assert!(tokens <= budget || large, "{} tokens over {}", tokens, budget);
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
            // A group that fits is in one pass.
            for item in items.iter().filter(|item| item.tokens() <= budget) {
                let passes = batches.iter().filter(|batch| {
                    batch.items.iter().any(|part| std::ptr::eq(part.prompt, item.prompt))
                });
                prop_assert_eq!(passes.count(), 1);
            }
        }
    }
}
