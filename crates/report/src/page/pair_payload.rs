//! What the page's script is given of pairs.

use serde_json::{Value, json};

use crate::page::images::Images;
use crate::page::payload::{floats, short};
use crate::run::{PairRecord, PairResponse};

/// `{items, images}`: a response's `images` are indices into `images`, null for one that is left out because it
/// exceeds the budget or is of no format that browsers show.
pub(crate) fn pairs(records: &[PairRecord], image_bytes: usize) -> Value {
    let mut table = Images::within(image_bytes);
    let items: Vec<Value> = records
        .iter()
        .map(|record| item(record, &mut table))
        .collect();
    json!({ "items": items, "images": table.sources })
}

/// The size of one item in the page, without its images; within about a tenth.
pub(crate) fn item_size(record: &PairRecord) -> usize {
    let response = |response: &PairResponse| {
        let numbers =
            response.tokens.len() + response.log_probs.len() + 2 * response.ref_log_probs.len();
        let texts: usize = response.token_text.iter().map(|text| text.len() + 4).sum();
        200 + response.completion.len() + texts + 7 * numbers
    };
    200 + record.prompt.len() + record.responses.iter().map(response).sum::<usize>()
}

fn item(record: &PairRecord, images: &mut Images) -> Value {
    let responses = record
        .responses
        .iter()
        .map(|response| answer(response, images));
    json!({
        "step": record.step,
        "pair": record.pair,
        "id": record.id,
        "prompt": record.prompt,
        "loss": record.loss.map(|v| short(v, 6)),
        "margin": record.margin().map(|v| short(v, 6)),
        "responses": responses.collect::<Vec<_>>(),
    })
}

fn answer(response: &PairResponse, images: &mut Images) -> Value {
    let pictures: Vec<Option<usize>> = response
        .images
        .iter()
        .map(|image| images.add(image))
        .collect();
    let ratios = response.log_probs.iter().zip(&response.ref_log_probs);
    let ratios: Vec<f32> = ratios
        .map(|(policy, reference)| policy - reference)
        .collect();
    json!({
        "kind": response.kind,
        "number": response.number,
        "completion": response.completion,
        "images": pictures,
        "rejected_images": response.has_rejected_images(),
        "tokens": response.tokens,
        "token_text": response.token_text,
        "log_probs": floats(&response.log_probs),
        "ref_log_probs": floats(&response.ref_log_probs),
        "log_ratio": floats(&ratios),
        "reward": response.reward.map(|v| short(v, 6)),
        "margin": response.margin.map(|v| short(v, 6)),
        "weight": response.weight.map(|v| short(v, 6)),
    })
}
