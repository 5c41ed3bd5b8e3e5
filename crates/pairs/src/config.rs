//! Settings.

use serde::Serialize;

use crate::{Method, PairsError};

/// Settings of [`build`](crate::build()). Defaults of `adavip` are our reading where the paper's digests are silent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairsConfig {
    /// How rejected pictures are made.
    pub method: Method,
    /// Fixes everything that is drawn by chance, together with a row's id.
    pub seed: u64,
    /// Rows that are read; 0: all.
    pub limit: usize,
    /// Least score of a tag.
    pub tag_threshold: f64,
    /// Least score of a box (GroundingDINO's demonstration: 0.35).
    pub box_threshold: f64,
    /// Least score of a box for its tag, where a detector tells it (GroundingDINO's demonstration: 0.25).
    pub text_threshold: f64,
    /// How far masks are grown before what they show is removed, in pixels of a picture whose longer side is 336.
    pub dilate: f64,
    /// Least share of the picture that is removed.
    pub min_area: f64,
    /// Largest share of the picture that is removed.
    pub max_area: f64,
    /// Candidates of a row: the tags with the highest scores.
    pub max_candidates: usize,
    /// By how much more than this the similarity must fall.
    pub min_drop: f64,
    /// Whether a row at which a tool fails is skipped; else the build stops.
    pub skip_failures: bool,
    /// `crop`: smallest and largest share of the picture's area.
    pub crop_scale: (f64, f64),
    /// `diffusion_noise`: step of 1000.
    pub noise_step: usize,
    /// `diffusion_noise`: cells of noise on the longer side; 0: one for each pixel.
    pub noise_side: u32,
    /// `mask`: share of the patches.
    pub mask_share: f64,
    /// `mask` and `blank`: grey level.
    pub level: u8,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self {
            method: Method::Adavip,
            seed: 0,
            limit: 0,
            tag_threshold: 0.0,
            box_threshold: 0.35,
            text_threshold: 0.25,
            dilate: 12.0,
            min_area: 0.005,
            max_area: 0.7,
            max_candidates: 16,
            min_drop: 0.0,
            skip_failures: false,
            crop_scale: (0.01, 0.2),
            noise_step: 500,
            noise_side: 336,
            mask_share: 0.3,
            level: 127,
        }
    }
}

impl PairsConfig {
    /// Refuses settings that mean nothing.
    ///
    /// # Errors
    /// [`PairsError::Config`], with the option's name.
    pub fn check(&self) -> Result<(), PairsError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let refused = |field, found: String, expected| {
            Err(PairsError::Config {
                field,
                found,
                expected,
            })
        };
        for (field, value) in [
            ("--tag-threshold", self.tag_threshold),
            ("--box-threshold", self.box_threshold),
            ("--text-threshold", self.text_threshold),
            ("--min-area", self.min_area),
            ("--max-area", self.max_area),
            ("--mask-share", self.mask_share),
            ("--crop-scale", self.crop_scale.0),
            ("--crop-scale", self.crop_scale.1),
        ] {
            if !share(value) {
                return refused(field, value.to_string(), "a number from 0 to 1");
            }
        }
        if self.min_area > self.max_area {
            let found = format!("{}, more than --max-area {}", self.min_area, self.max_area);
            return refused("--min-area", found, "no more than --max-area");
        }
        if self.crop_scale.0 > self.crop_scale.1 || self.crop_scale.1 <= 0.0 {
            let found = format!("{} {}", self.crop_scale.0, self.crop_scale.1);
            return refused("--crop-scale", found, "two shares, the smaller one first");
        }
        if !(0.0..=336.0).contains(&self.dilate) {
            return refused("--dilate", self.dilate.to_string(), "0 to 336 pixels");
        }
        if self.max_candidates == 0 {
            return refused("--max-candidates", "0".into(), "1 or more");
        }
        if self.noise_step > 999 {
            return refused("--noise-step", self.noise_step.to_string(), "0 to 999");
        }
        if !self.min_drop.is_finite() {
            return refused("--min-drop", self.min_drop.to_string(), "a number");
        }
        Ok(())
    }
}
