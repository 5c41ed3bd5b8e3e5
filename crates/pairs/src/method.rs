//! How a rejected picture is made.

use serde::{Deserialize, Serialize};

/// How a rejected picture is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// What the answer talks about is removed (AdaViP).
    Adavip,
    /// A small random part, enlarged (mDPO).
    Crop,
    /// Noise of a diffusion process (CHiP).
    DiffusionNoise,
    /// A share of the patches is painted over (OPA-DPO).
    Mask,
    /// One grey level.
    Blank,
    /// The picture of another row.
    OtherRow,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Adavip,
        Self::Crop,
        Self::DiffusionNoise,
        Self::Mask,
        Self::Blank,
        Self::OtherRow,
    ];

    /// As options and files name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adavip => "adavip",
            Self::Crop => "crop",
            Self::DiffusionNoise => "diffusion_noise",
            Self::Mask => "mask",
            Self::Blank => "blank",
            Self::OtherRow => "other_row",
        }
    }

    /// The method of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}
