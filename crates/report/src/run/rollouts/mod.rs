//! Rollouts as Parquet: what the model was asked, what it said, token by token, and what it got
//! for it.
//!
//! | column | type |
//! |---|---|
//! | `step`, `weight_version` | int64 |
//! | `prompt_id`, `prompt`, `completion`, `finish_reason` | string |
//! | `sample` | int32, index within the group of one prompt |
//! | `is_expert` | boolean: an expert's trajectory that entered the group, not sampled by the policy |
//! | `question_type`, `answer` | string or null |
//! | `reward`, `advantage` | double or null (ungraded) |
//! | `reward_parts` | list of {name, value or null, reason or null} |
//! | `tokens` | list of uint32 |
//! | `token_text` | list of string |
//! | `log_probs`, `entropy`, `token_advantages`, `weights` | list of float, or null where not measured |
//! | `nucleus_entropy`, `log_prob_no_image`, `token_set` | list of float, or null where no method asks for them; `token_set`: 0 neither, 1 perception, 2 reasoning, 3 both |
//! | `images` | list of encoded images (PNG, JPEG, …) |
//!
//! Row groups of 128 rows, zstd; an image that the rollouts of a group share is stored once per
//! row group (dictionary encoding).

mod read;
mod write;

pub use read::{count_rollouts, read_rollouts, read_rollouts_page};
pub use write::write_rollouts;
