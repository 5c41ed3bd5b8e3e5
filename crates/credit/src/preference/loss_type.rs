//! TRL's `loss_type`s: names, and which of them may be combined with what.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, IntoDeserializer, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// Loss of a pair; TRL's names. `x = β (s_w − s_l)` with the scores of chosen and rejected response,
/// `a = β · log-ratio` of the chosen and `b` of the rejected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// DPO: `−log σ(x)`; with `label_smoothing` cDPO.
    #[default]
    Sigmoid,
    /// SLiC: `max(0, 1 − x)`.
    Hinge,
    /// IPO: `(δ − 1/(2β))²`, δ the difference of scores per token.
    Ipo,
    /// EXO: `KL(σ(±x) ‖ (1 − ε, ε))`, `ε = label_smoothing > 0`.
    ExoPair,
    /// NCA: `−log σ(a) − ½ log σ(−a) − ½ log σ(−b)`.
    NcaPair,
    /// Robust DPO: unbiased when a share `label_smoothing` of labels is flipped.
    Robust,
    /// BCO: `−log σ(a) − log σ(−b)`.
    BcoPair,
    /// SPPO with certain preferences: squared distances of the log-ratios from `±1/(2β)`.
    SppoHard,
    /// AOT: the sorted gains of the policy against the sorted gains of the reference.
    #[serde(alias = "aot_pair")]
    Aot,
    /// AOT without pairs: sorted chosen against sorted rejected log-ratios.
    AotUnpaired,
    /// APO-zero: `1 − σ(a) + σ(b)`.
    ApoZero,
    /// APO-down: `σ(a) + 1 − σ(a − b)`.
    ApoDown,
    /// DiscoPOP: logistic and exponential loss mixed by `σ(x/discopop_tau)`.
    Discopop,
    /// Negative log-likelihood of the chosen responses, averaged over tokens.
    Sft,
    /// DPO with scores per token.
    SigmoidNorm,
}

impl LossType {
    /// Whether another divergence than `reverse_kl` has a meaning: the partition function cancels in
    /// the difference of scores alone.
    pub(super) fn takes_divergence(self) -> bool {
        matches!(
            self,
            Self::Sigmoid
                | Self::SigmoidNorm
                | Self::Hinge
                | Self::Ipo
                | Self::ExoPair
                | Self::Robust
                | Self::Discopop
                | Self::Sft
        )
    }

    /// TRL's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Hinge => "hinge",
            Self::Ipo => "ipo",
            Self::ExoPair => "exo_pair",
            Self::NcaPair => "nca_pair",
            Self::Robust => "robust",
            Self::BcoPair => "bco_pair",
            Self::SppoHard => "sppo_hard",
            Self::Aot => "aot",
            Self::AotUnpaired => "aot_unpaired",
            Self::ApoZero => "apo_zero",
            Self::ApoDown => "apo_down",
            Self::Discopop => "discopop",
            Self::Sft => "sft",
            Self::SigmoidNorm => "sigmoid_norm",
        }
    }

    /// Whether it sorts the pairs of a batch.
    pub(super) fn sorts(self) -> bool {
        matches!(self, Self::Aot | Self::AotUnpaired)
    }
}

/// One loss, or several that are added (MPO).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LossTypes {
    /// One.
    One(LossType),
    /// Several, weighted by `loss_weights`.
    Sum(Vec<LossType>),
}

impl Default for LossTypes {
    fn default() -> Self {
        Self::One(LossType::default())
    }
}

impl LossTypes {
    /// All of them.
    pub fn all(&self) -> &[LossType] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Sum(all) => all,
        }
    }
}

// By hand: the derived function of an untagged enum does not say which names there are.
impl<'de> Deserialize<'de> for LossTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;

        impl<'de> Visitor<'de> for OneOrList {
            type Value = LossTypes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a loss type, or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<LossTypes, E> {
                LossType::deserialize(name.into_deserializer()).map(LossTypes::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<LossTypes, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(LossTypes::Sum)
            }
        }

        deserializer.deserialize_any(OneOrList)
    }
}
