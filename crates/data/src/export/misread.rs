//! Fields of `meta` that would come back as something else.

use serde_json::Value;

use crate::Sample;

/// Whether the reader would take a field of `meta` for one of its columns. Null says nothing.
pub(super) fn misread(sample: &Sample, name: &str, value: &Value) -> bool {
    if value.is_null() {
        return false;
    }
    let is_pair = sample.preference.is_some();
    match name {
        "id"
        | "messages"
        | "images"
        | "videos"
        | "answer"
        | "expert"
        | "system"
        | "history"
        | "tools"
        | "chat_template_kwargs"
        | "objects" => true,
        _ if name
            .strip_prefix("image_")
            .is_some_and(|n| n.parse::<usize>().is_ok()) =>
        {
            true
        }
        "chosen" | "rejected" | "rejected_response" | "rejected_messages" | "rejected_images"
        | "rejected_image" => is_pair || !(value.is_boolean() || value.is_number()),
        "prompt" | "corrected" | "confidence" | "clip_gap" => is_pair,
        _ if name
            .strip_prefix("rejected_")
            .is_some_and(|n| n.parse::<usize>().is_ok()) =>
        {
            true
        }
        "video" => sample.videos.is_empty(),
        "solution" | "ground_truth" => sample.answer.is_none(),
        "reward_model" => sample.answer.is_none() && !value["ground_truth"].is_null(),
        "completion" | "response" => sample.expert.is_none(),
        _ => false,
    }
}
