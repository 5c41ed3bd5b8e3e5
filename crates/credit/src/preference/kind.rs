//! The kinds of response that a preference loss contrasts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An answer and the picture it is read with. The question is the pair's own in all of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The preferred answer, with the picture.
    Chosen,
    /// The other answer, with the picture.
    Rejected,
    /// The preferred answer, with the rejected picture: one that lost an object (AdaViP), a crop
    /// (mDPO), a noisy one (CHiP), a masked one (OPA-DPO).
    ChosenRejectedImage,
    /// The preferred answer, with the picture taken out of the prompt or made blank.
    ChosenNoImage,
    /// The other answer, likewise.
    RejectedNoImage,
    /// The policy's own answer as a better model corrected it, with the picture (OPA-DPO).
    Corrected,
    /// The corrected answer, with the rejected picture (OPA-DPO).
    CorrectedRejectedImage,
    /// Responses outside the pairs that hold the policy near the reference (HALVA). Their rows belong
    /// to no pair.
    General,
}

/// Metrics of a kind: TRL's names for the pair, the same with the kind's name for the others.
pub(super) struct MetricNames {
    pub reward: &'static str,
    pub log_prob: &'static str,
    /// Share of pairs whose chosen response has the greater reward, and by how much on average.
    pub contrast: Option<(&'static str, &'static str)>,
}

macro_rules! kinds {
    ($($variant:ident $name:literal: $accuracies:literal, $margins:literal;)+) => {
        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Name of the kind, as in batches and metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub(super) fn metrics(self) -> MetricNames {
                match self {
                    $(Self::$variant => MetricNames {
                        reward: concat!("rewards/", $name),
                        log_prob: concat!("logps/", $name),
                        contrast: Some(($accuracies, $margins)).filter(|names| !names.0.is_empty()),
                    },)+
                }
            }
        }
    };
}

kinds! {
    Chosen "chosen": "", "";
    Rejected "rejected": "rewards/accuracies", "rewards/margins";
    ChosenRejectedImage "chosen_rejected_image":
        "rewards/chosen_rejected_image/accuracies", "rewards/chosen_rejected_image/margins";
    ChosenNoImage "chosen_no_image":
        "rewards/chosen_no_image/accuracies", "rewards/chosen_no_image/margins";
    RejectedNoImage "rejected_no_image": "", "";
    Corrected "corrected": "", "";
    CorrectedRejectedImage "corrected_rejected_image": "", "";
    General "general": "", "";
}
