//! Pairs of a preference step as Parquet: a row for each response that the loss contrasts.
//!
//! | column | type |
//! |---|---|
//! | `step` | int64 |
//! | `pair` | int32, number of the pair within the step: its rows stand together |
//! | `id`, `prompt` | string |
//! | `loss` | double or null, the pair's loss |
//! | `kind` | string: `chosen`, `rejected`, `chosen_rejected_image`, … |
//! | `number` | int32, among the responses of this kind |
//! | `completion` | string |
//! | `reward` | double or null, the implicit reward |
//! | `margin` | double or null: reward of the chosen response minus this one's; null for `chosen` |
//! | `weight` | double or null: derivative of the loss with respect to the reward |
//! | `tokens` | list of uint32 |
//! | `token_text` | list of string |
//! | `log_probs`, `ref_log_probs` | list of float, or null where not measured |
//! | `images` | list of encoded images (PNG, JPEG, …) that this response was read with |
//!
//! Row groups of 32 whole pairs, zstd; a picture that responses share is stored once per row group (dictionary
//! encoding).

mod read;
mod write;

pub use read::read_pairs;
pub use write::write_pairs;
