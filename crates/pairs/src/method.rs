//! How a rejected picture is made.

use percept_vision::ruin::{Blank, Crop, DiffusionNoise, MaskedPatches, Ruin};
use serde::{Deserialize, Serialize};

use crate::PairsConfig;

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

    /// What ruins a picture, for methods that look at nothing else.
    pub(crate) fn ruin(self, config: &PairsConfig) -> Option<Box<dyn Ruin>> {
        Some(match self {
            Self::Adavip | Self::OtherRow => return None,
            Self::Crop => Box::new(Crop {
                scale: config.crop_scale,
            }),
            Self::DiffusionNoise => Box::new(DiffusionNoise {
                step: config.noise_step,
                side: config.noise_side,
            }),
            Self::Mask => Box::new(MaskedPatches {
                share: config.mask_share,
                level: config.level,
            }),
            Self::Blank => Box::new(Blank {
                level: config.level,
            }),
        })
    }
}
