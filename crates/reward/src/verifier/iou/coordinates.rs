//! In which coordinates a box is, and the size of the image that they refer to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the numbers of a box count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// Pixels of the image as the row has it.
    #[default]
    Pixels,
    /// Pixels of the image as the model sees it, resized (Qwen2.5-VL).
    ResizedPixels,
    /// Shares of width and height, 0 to 1.
    Fractions,
    /// Thousandths of width and height, 0 to 1000 (Qwen2-VL, Qwen3-VL).
    Thousandths,
}

/// Columns that say the size of a row's image.
pub(super) const COLUMNS: [&str; 7] = [
    "width",
    "height",
    "image_width",
    "image_height",
    "image_size",
    "resized_width",
    "resized_height",
];

/// What a row says of its image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    original: Option<[f64; 2]>,
    resized: Option<[f64; 2]>,
}

impl Size {
    pub(super) fn of(meta: &Map<String, Value>) -> Self {
        let number = |name: &str| {
            meta.get(name)?
                .as_f64()
                .filter(|&n| n >= 1.0 && n.is_finite())
        };
        let pair = |width, height| Some([number(width)?, number(height)?]);
        let listed = |name: &str| {
            let sides = meta.get(name)?.as_array()?;
            let side = |at: usize| {
                sides
                    .get(at)?
                    .as_f64()
                    .filter(|&n| n >= 1.0 && n.is_finite())
            };
            Some([side(0)?, side(1)?])
        };
        Self {
            original: pair("width", "height")
                .or_else(|| pair("image_width", "image_height"))
                .or_else(|| listed("image_size")),
            resized: pair("resized_width", "resized_height"),
        }
    }
}

impl Coordinates {
    /// What the image's width and height are in these coordinates.
    ///
    /// # Errors
    /// The size is needed and not known.
    pub(super) fn extent(self, size: Size, limits: Resize) -> Result<[f64; 2], String> {
        let known = || {
            size.original.ok_or_else(|| {
                "the size of the image is not known: boxes in pixels need the row's columns `width` and `height`"
                    .to_owned()
            })
        };
        match self {
            Self::Fractions => Ok([1.0, 1.0]),
            Self::Thousandths => Ok([1000.0, 1000.0]),
            Self::Pixels => known(),
            Self::ResizedPixels => match size.resized {
                Some(resized) => Ok(resized),
                None => Ok(limits.apply(known()?)),
            },
        }
    }
}

/// How a processor changes the size of an image before the model sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resize {
    /// Both sides become multiples of it.
    pub(super) factor: u32,
    /// Fewest pixels.
    pub(super) min_pixels: u64,
    /// Most pixels.
    pub(super) max_pixels: u64,
}

impl Resize {
    /// Width and height that Qwen's processors give an image: multiples of the factor, the number of pixels
    /// within its limits (`smart_resize` of qwen-vl-utils).
    fn apply(self, [width, height]: [f64; 2]) -> [f64; 2] {
        let factor = f64::from(self.factor);
        let (least, most) = (self.min_pixels as f64, self.max_pixels as f64);
        let rounded = |side: f64| ((side / factor).round_ties_even() * factor).max(factor);
        let area = rounded(width) * rounded(height);
        if area > most {
            let beta = (width * height / most).sqrt();
            let side = |side: f64| ((side / beta / factor).floor() * factor).max(factor);
            return [side(width), side(height)];
        }
        if area < least {
            let beta = (least / (width * height)).sqrt();
            let side = |side: f64| (side * beta / factor).ceil() * factor;
            return [side(width), side(height)];
        }
        [rounded(width), rounded(height)]
    }
}
