//! What the page's script is given: metrics in columns, rollouts with their images in a table.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::page::images::Images;
use crate::run::RolloutRecord;
use crate::{RewardPart, Row};

/// More rows than a chart has pixels only make the page slow.
const MAX_POINTS: usize = 4_000;

/// `{step, stage, time, values: {name: [[row…], [value…]]}}`; a value that is not finite is
/// null. Of more than 4 000 rows every k-th is kept.
pub(crate) fn metrics(rows: &[Row]) -> Value {
    let every = rows.len().div_ceil(MAX_POINTS).max(1);
    // Counted from the end: the last row is what a user looks for. Rows are thinned per stage by
    // position only, so sparse ones (evaluations) may not be thinned: they stay whole.
    let kept: Vec<&Row> = rows
        .iter()
        .enumerate()
        .filter(|(i, row)| {
            (rows.len() - 1 - i).is_multiple_of(every)
                || row.values.iter().any(|(name, _)| name.starts_with("eval"))
        })
        .map(|(_, row)| row)
        .collect();
    let mut order: Vec<&str> = Vec::new();
    let mut series: HashMap<&str, (Vec<usize>, Vec<Value>)> = HashMap::new();
    for (i, row) in kept.iter().enumerate() {
        for (name, value) in &row.values {
            let (at, values) = series.entry(name).or_insert_with(|| {
                order.push(name);
                Default::default()
            });
            at.push(i);
            values.push(short(*value, 6));
        }
    }
    let values: Map<String, Value> = order
        .into_iter()
        .filter_map(|name| Some((name.to_string(), json!(series.remove(name)?))))
        .collect();
    json!({
        "step": kept.iter().map(|row| row.step).collect::<Vec<_>>(),
        "stage": kept.iter().map(|row| row.stage.as_str()).collect::<Vec<_>>(),
        "time": kept.iter().map(|row| short(row.time, 6)).collect::<Vec<_>>(),
        "values": values,
    })
}

/// `{items, images}`: an item's `images` are indices into `images`, null for one that is left
/// out because it exceeds the budget or is of no format that browsers show.
pub(crate) fn rollouts(records: &[RolloutRecord], image_bytes: usize) -> Value {
    let mut table = Images::within(image_bytes);
    let items: Vec<Value> = records
        .iter()
        .map(|record| item(record, &mut table))
        .collect();
    json!({ "items": items, "images": table.sources })
}

/// The size of one item in the page, without its images; within about a tenth.
pub(crate) fn item_size(record: &RolloutRecord) -> usize {
    let numbers = record.log_probs.len()
        + record.entropy.len()
        + record.token_advantages.len()
        + record.weights.as_ref().map_or(0, Vec::len)
        + record.nucleus_entropy.as_ref().map_or(0, Vec::len)
        + record.log_prob_no_image.as_ref().map_or(0, Vec::len)
        + record.token_set.as_ref().map_or(0, Vec::len)
        + record.tokens.len();
    let texts: usize = record.token_text.iter().map(|text| text.len() + 4).sum();
    400 + record.prompt.len() + record.completion.len() + texts + 7 * numbers
}

fn item(record: &RolloutRecord, images: &mut Images) -> Value {
    let pictures: Vec<Option<usize>> = record
        .images
        .iter()
        .map(|image| images.add(image))
        .collect();
    let part = |part: &RewardPart| json!({ "name": part.name, "value": part.value.map(|v| short(v, 6)), "reason": part.reason });
    json!({
        "step": record.step,
        "weight_version": record.weight_version,
        "prompt_id": record.prompt_id,
        "sample": record.sample,
        "is_expert": record.is_expert,
        "question_type": record.question_type,
        "answer": record.answer,
        "prompt": record.prompt,
        "completion": record.completion,
        "finish_reason": record.finish_reason,
        "verdict": record.verdict().name(),
        "reward": record.reward.map(|v| short(v, 6)),
        "advantage": record.advantage.map(|v| short(v, 6)),
        "reward_parts": record.reward_parts.iter().map(part).collect::<Vec<_>>(),
        "tokens": record.tokens,
        "token_text": record.token_text,
        "log_probs": floats(&record.log_probs),
        "entropy": floats(&record.entropy),
        "token_advantages": floats(&record.token_advantages),
        "weights": record.weights.as_deref().map(floats),
        "nucleus_entropy": record.nucleus_entropy.as_deref().map(floats),
        "visual_dependence": record.log_prob_no_image.as_deref().map(|blind| {
            let pairs = record.log_probs.iter().zip(blind);
            floats(&pairs.map(|(seen, blind)| (seen - blind).abs()).collect::<Vec<f32>>())
        }),
        "token_set": record.token_set.as_deref().map(floats),
        "images": pictures,
    })
}

pub(super) fn floats(values: &[f32]) -> Vec<Value> {
    values.iter().map(|&value| short(value.into(), 3)).collect()
}

/// A number with `digits` significant digits: more are not visible, and each costs a byte.
pub(super) fn short(value: f64, digits: usize) -> Value {
    let rounded = format!("{value:.*e}", digits - 1)
        .parse::<f64>()
        .unwrap_or(value);
    if rounded.fract() == 0.0 && rounded.abs() < 1e9 {
        return json!(rounded as i64);
    }
    json!(rounded)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn numbers_are_short_and_those_that_are_not_finite_null() {
        assert_eq!(
            json!([
                short(0.123_456, 3),
                short(-2.0, 3),
                short(1.0e-12, 3),
                short(f64::NAN, 3)
            ])
            .to_string(),
            "[0.123,-2,1e-12,null]"
        );
    }

    #[test]
    fn a_long_run_is_thinned_but_keeps_its_last_row_and_its_evaluations() {
        let row = |step| {
            let name = if step % 1_000 == 1 {
                "eval/accuracy"
            } else {
                "loss"
            };
            Row {
                step,
                values: vec![(name.into(), step as f64)],
                ..Row::default()
            }
        };
        let rows: Vec<Row> = (0..20_000).map(row).collect();
        let value = metrics(&rows);
        let steps = value["step"].as_array().unwrap();
        assert!(steps.len() <= MAX_POINTS + 20);
        assert_eq!(steps.last().unwrap(), 19_999);
        assert_eq!(
            value["values"]["eval/accuracy"][1]
                .as_array()
                .unwrap()
                .len(),
            20
        );
    }

    #[test]
    fn images_are_shared_and_bounded() {
        let png: Arc<[u8]> = b"\x89PNG....".as_slice().into();
        let big: Arc<[u8]> = [b"\x89PNG".as_slice(), &[0; 100]].concat().into();
        let record = |images: Vec<Arc<[u8]>>| RolloutRecord {
            images,
            ..Default::default()
        };
        let text: Arc<[u8]> = b"<svg onload=alert(1)>".as_slice().into();
        let value = rollouts(
            &[record(vec![png.clone()]), record(vec![png, big, text])],
            64,
        );
        assert_eq!(value["images"].as_array().unwrap().len(), 1);
        assert_eq!(value["items"][1]["images"], json!([0, null, null]));
    }
}
