//! Which ruin a method is.

use percept_vision::ruin::{Blank, Crop, DiffusionNoise, MaskedPatches, Ruin};

use crate::{Method, PairsConfig};

/// What ruins a picture, for methods that look at nothing else.
pub(crate) fn ruin(config: &PairsConfig) -> Option<Box<dyn Ruin>> {
    Some(match config.method {
        Method::Adavip | Method::OtherRow => return None,
        Method::Crop => Box::new(Crop {
            scale: config.crop_scale,
        }),
        Method::DiffusionNoise => Box::new(DiffusionNoise {
            step: config.noise_step,
            side: config.noise_side,
        }),
        Method::Mask => Box::new(MaskedPatches {
            share: config.mask_share,
            level: config.level,
        }),
        Method::Blank => Box::new(Blank {
            level: config.level,
        }),
    })
}
