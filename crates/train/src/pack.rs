//! From groups to one packed forward pass.
//!
//! The prompt of a group stands once on the flat token axis; its responses follow as spans that
//! see the prompt as their prefix. The last prompt row predicts the first token of every
//! response, so the rows of the loss are a gather with repetition. Padding exists nowhere.

use std::sync::Arc;

use percept_model::{PackedBatch, Prompt, Training};
use percept_nn::{Layout, Span};

use crate::Error;

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

/// Splits items, in order, into forward passes of at most `budget` tokens. A group that is larger
/// than the budget is split between responses (its prompt is then computed in each part); one
/// response is never split.
pub fn micro_batches<'a>(items: &[PackItem<'a>], budget: usize) -> Vec<Vec<PackItem<'a>>> {
    let mut batches: Vec<Vec<PackItem<'a>>> = Vec::new();
    let mut used = 0;
    for item in items {
        if used > 0 && used + item.tokens() <= budget {
            used += item.tokens();
            if let Some(batch) = batches.last_mut() {
                batch.push(item.clone());
            }
            continue;
        }
        for part in split_item(item, budget) {
            used = part.tokens();
            batches.push(vec![part]);
        }
    }
    batches
}

fn split_item<'a>(item: &PackItem<'a>, budget: usize) -> Vec<PackItem<'a>> {
    let mut parts = vec![PackItem {
        prompt: item.prompt,
        responses: Vec::new(),
    }];
    for &response in &item.responses {
        let full = parts.last().is_some_and(|part| {
            !part.responses.is_empty() && part.tokens() + response.len() > budget + 1
        });
        if full {
            parts.push(PackItem {
                prompt: item.prompt,
                responses: Vec::new(),
            });
        }
        if let Some(part) = parts.last_mut() {
            part.responses.push(response);
        }
    }
    parts
}

/// Packs whole training sequences: each stands alone, the loss sits where its mask says.
///
/// # Errors
/// [`Error::EmptyPrompt`] when a sequence has no token.
pub fn pack_training(rows: &[Training]) -> Result<Packed, Error> {
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

/// Splits training sequences, in order, into forward passes of at most `budget` tokens; one
/// sequence is never split.
pub fn training_batches(rows: &[Training], budget: usize) -> Vec<&[Training]> {
    let mut parts = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, row) in rows.iter().enumerate() {
        let tokens = row.prompt.tokens.len();
        if used > 0 && used + tokens > budget {
            parts.push(&rows[start..index]);
            (start, used) = (index, 0);
        }
        used += tokens;
    }
    if start < rows.len() {
        parts.push(&rows[start..]);
    }
    parts
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
        fn splitting_loses_no_response_and_keeps_their_order(
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
            let batches = micro_batches(&items, budget);
            let whole: Vec<u32> = pack(&items).unwrap().targets;
            let parts: Vec<u32> = batches.iter().flat_map(|b| pack(b).unwrap().targets).collect();
            prop_assert_eq!(whole, parts);
            for batch in &batches {
                let tokens: usize = batch.iter().map(PackItem::tokens).sum();
                let single = batch.len() == 1 && batch[0].responses.len() == 1;
                prop_assert!(tokens <= budget || single, "{} tokens over {}", tokens, budget);
            }
        }
    }
}
