//! Which column holds what: explicit names, or the conventions of the field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of columns; what is left out is found by convention (verl, TRL, EasyR1, ms-swift).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnMap {
    /// The conversation or the user's question. Convention: `messages`, `prompt`, `problem`,
    /// `question`, `query`, `conversations`, `conversation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Images: paths, bytes, base64, or structs of these. Convention: `images`, `image`;
    /// besides these `image_1`, `image_2`, … (MMMU), which the question names as `<image 1>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<String>,
    /// Videos: each a file, or a list of frames. Convention: `videos`, `video`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videos: Option<String>,
    /// The ground truth. Convention: `answer`, `solution`, `ground_truth`,
    /// `reward_model.ground_truth`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The expert trajectory, or a list of several (see filter `tgrl`). Convention: `expert`, `completion`,
    /// `response`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expert: Option<String>,
    /// The better answer of a preference pair: a text, or turns, also with the prompt before them. Convention:
    /// `chosen`; without it the turn of the assistant that ends the conversation, or `response` (ms-swift).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// The worse answer, or a list of several. Convention: `rejected`, `rejected_response`, `rejected_messages`;
    /// besides these `rejected_1`, `rejected_2`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Pictures with which the chosen answer is worse, as many as the row has pictures; a list of lists holds
    /// several versions. Convention: `rejected_images`, `rejected_image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_images: Option<String>,
    /// A stable name of the row. Convention: `id`, else file and row number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl ColumnMap {
    /// The column names to try, in order.
    pub(crate) fn candidates<'a>(given: &'a Option<String>, known: &[&'a str]) -> Vec<&'a str> {
        match given {
            Some(name) => vec![name.as_str()],
            None => known.to_vec(),
        }
    }
}
