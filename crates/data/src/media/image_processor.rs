//! Image preprocessing equal, bit for bit, to transformers' `Qwen2VLImageProcessor` on Pillow 13:
//! resize to a multiple of the patch grid within a pixel budget, normalise, cut into patches.

use image::RgbImage;
use serde_json::{Value, json};

use crate::Error;
use crate::media::patches::{PatchGrid, Patches};
use crate::media::preprocessing::{Normalisation, bad, check_steps, decimal, whole_number};
use crate::media::resize::resize;

/// `preprocessor_config.json` of the Qwen2-VL family.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    /// Pixels along a side of a patch.
    pub patch_size: usize,
    /// Frames in a patch; a still image is repeated.
    pub temporal_patch_size: usize,
    /// Patches along a side of a merged token.
    pub merge_size: usize,
    /// Smaller images are enlarged to at least this many pixels.
    pub min_pixels: usize,
    /// Larger images are shrunk to at most this many pixels.
    pub max_pixels: usize,
    /// Mean of each channel after rescaling.
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel after rescaling.
    pub image_std: [f32; 3],
    /// Grey levels are multiplied by this first, in double precision as NumPy does it.
    pub rescale_factor: f64,
}

impl Default for ImageProcessor {
    /// Qwen2-VL's values.
    fn default() -> Self {
        Self {
            patch_size: 14,
            temporal_patch_size: 2,
            merge_size: 2,
            min_pixels: 56 * 56,
            max_pixels: 28 * 28 * 1280,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            rescale_factor: 1.0 / 255.0,
        }
    }
}

/// The most pixels along a side of a patch, frames in one, or patches along a merged token. The largest known is 32.
const MAX_PATCH_SIZE: u64 = 512;

impl ImageProcessor {
    /// The largest `min_pixels`: every picture is enlarged to it.
    pub const MAX_MIN_PIXELS: usize = 1 << 26;

    /// Reads `preprocessor_config.json`, with the pixel limits under `min_pixels`/`max_pixels` or
    /// `size.shortest_edge`/`size.longest_edge`. Absent fields keep Qwen2-VL's values.
    ///
    /// # Errors
    /// [`Error::File`] naming a field of the wrong type or of an impossible size, or a switched-off step that percept
    /// always does.
    pub fn from_json(config: &Value) -> Result<Self, Error> {
        Self::read(config, Self::default())
    }

    /// Reads `video_preprocessor_config.json`: where it gives no sizes, those of `Qwen2VLVideoProcessor`, which are
    /// not the image processor's.
    ///
    /// # Errors
    /// As [`ImageProcessor::from_json`].
    pub fn videos_from_json(config: &Value) -> Result<Self, Error> {
        let sizes = Self {
            min_pixels: 128 * 28 * 28,
            max_pixels: 28 * 28 * 768,
            ..Self::default()
        };
        Self::read(config, sizes)
    }

    fn read(config: &Value, mut out: Self) -> Result<Self, Error> {
        if config.get("do_resize") == Some(&Value::Bool(false)) {
            return Err(bad("do_resize", &config["do_resize"], "true"));
        }
        check_steps(config, &["do_resize"])?;
        let size = &config["size"];
        let number = |field: &str, value: &Value, into: &mut usize| {
            whole_number(field, value, MAX_PATCH_SIZE, into)
        };
        number("patch_size", &config["patch_size"], &mut out.patch_size)?;
        let temporal = &config["temporal_patch_size"];
        number(
            "temporal_patch_size",
            temporal,
            &mut out.temporal_patch_size,
        )?;
        number("merge_size", &config["merge_size"], &mut out.merge_size)?;
        for (field, value) in [
            ("size.shortest_edge", &size["shortest_edge"]),
            ("min_pixels", &config["min_pixels"]),
        ] {
            whole_number(
                field,
                value,
                Self::MAX_MIN_PIXELS as u64,
                &mut out.min_pixels,
            )?;
        }
        for (field, value) in [
            ("size.longest_edge", &size["longest_edge"]),
            ("max_pixels", &config["max_pixels"]),
        ] {
            whole_number(field, value, 1 << 40, &mut out.max_pixels)?;
        }
        let read = Normalisation::read(config, out.normalisation())?;
        (out.image_mean, out.image_std) = (read.mean, read.std);
        out.rescale_factor = read.rescale_factor;
        if out.min_pixels > out.max_pixels {
            return Err(bad(
                "min_pixels",
                &json!(out.min_pixels),
                "at most max_pixels",
            ));
        }
        Ok(out)
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation {
            mean: self.image_mean,
            std: self.image_std,
            rescale_factor: self.rescale_factor,
        }
    }

    fn grid(&self) -> PatchGrid {
        PatchGrid {
            patch: self.patch_size,
            merge: self.merge_size,
            depth: self.temporal_patch_size,
        }
    }

    /// `preprocessor_config.json` that transformers loads.
    pub fn to_json(&self) -> Value {
        json!({
            "image_processor_type": "Qwen2VLImageProcessor",
            "do_convert_rgb": true,
            "do_normalize": true,
            "do_rescale": true,
            "do_resize": true,
            "image_mean": self.image_mean.map(decimal),
            "image_std": self.image_std.map(decimal),
            "size": {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels},
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "merge_size": self.merge_size,
            "patch_size": self.patch_size,
            "resample": 3,
            "rescale_factor": self.rescale_factor,
            "temporal_patch_size": self.temporal_patch_size,
        })
    }

    /// Width and height after `smart_resize`: multiples of a merged token's side, within the
    /// pixel limits, the aspect ratio kept as nearly as possible.
    ///
    /// # Errors
    /// [`Error::Media`] for an empty image or an aspect ratio above 200.
    pub fn resized(&self, width: usize, height: usize) -> Result<(usize, usize), Error> {
        let (long, short) = (width.max(height), width.min(height));
        if short == 0 || long as f64 / short as f64 > 200.0 {
            return Err(Error::media("image cannot be resized to the patch grid")
                .found(format!("{width} × {height}"))
                .expected("both sides above 0, aspect ratio at most 200")
                .help("crop the image"));
        }
        let factor = (self.patch_size * self.merge_size) as f64;
        let (w, h) = (width as f64, height as f64);
        // Python's round(): halves go to the even neighbour.
        let near = |side: f64| (side / factor).round_ties_even() * factor;
        let (mut to_w, mut to_h) = (near(w), near(h));
        if to_w * to_h > self.max_pixels as f64 {
            let beta = (w * h / self.max_pixels as f64).sqrt();
            let down = |side: f64| ((side / beta / factor).floor() * factor).max(factor);
            (to_w, to_h) = (down(w), down(h));
        } else if to_w * to_h < self.min_pixels as f64 {
            let beta = (self.min_pixels as f64 / (w * h)).sqrt();
            let up = |side: f64| (side * beta / factor).ceil() * factor;
            (to_w, to_h) = (up(w), up(h));
        }
        Ok((to_w as usize, to_h as usize))
    }

    /// Merged tokens of a still image of this size.
    ///
    /// # Errors
    /// As [`ImageProcessor::resized`].
    pub fn token_count(&self, width: usize, height: usize) -> Result<usize, Error> {
        let (width, height) = self.resized(width, height)?;
        let side = self.patch_size * self.merge_size;
        Ok((width / side) * (height / side))
    }

    /// Patches of a still image.
    ///
    /// # Errors
    /// As [`ImageProcessor::resized`].
    pub fn process(&self, image: &RgbImage) -> Result<Patches, Error> {
        let (width, height) = self.resized(image.width() as usize, image.height() as usize)?;
        let frame = self.normalisation().apply(&resize(image, width, height));
        let frames: Vec<&[f32]> = vec![&frame; self.temporal_patch_size];
        Ok(self.grid().cut(&frames, width, height))
    }

    /// Patches of a video's frames, all of one size; the last frame is repeated to fill a patch.
    ///
    /// # Errors
    /// [`Error::Media`] for no frame or frames of different sizes, and as
    /// [`ImageProcessor::resized`].
    pub fn process_video(&self, frames: &[RgbImage]) -> Result<Patches, Error> {
        let Some(first) = frames.first() else {
            return Err(Error::media("video has no frames"));
        };
        if let Some(odd) = frames.iter().find(|f| f.dimensions() != first.dimensions()) {
            return Err(Error::media("frames of a video differ in size")
                .found(format!("{:?}", odd.dimensions()))
                .expected(format!("{:?}", first.dimensions())));
        }
        let (width, height) = self.resized(first.width() as usize, first.height() as usize)?;
        let normalisation = self.normalisation();
        let pixels: Vec<Vec<f32>> = frames
            .iter()
            .map(|f| normalisation.apply(&resize(f, width, height)))
            .collect();
        let count = pixels.len().next_multiple_of(self.temporal_patch_size);
        let last = pixels.len() - 1;
        let padded: Vec<&[f32]> = (0..count).map(|i| pixels[i.min(last)].as_slice()).collect();
        Ok(self.grid().cut(&padded, width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_reads_back() {
        let p = ImageProcessor {
            patch_size: 7,
            min_pixels: 10,
            ..ImageProcessor::default()
        };
        assert_eq!(ImageProcessor::from_json(&p.to_json()).unwrap(), p);
        // Single precision is written in as many digits as it has.
        assert!(p.to_json()["image_mean"][0].to_string().len() <= 10);
        let error = ImageProcessor::from_json(&json!({"resample": 2})).unwrap_err();
        assert!(error.to_string().contains("bicubic"), "{error}");
        let error = ImageProcessor::from_json(&json!({"patch_size": "big"})).unwrap_err();
        assert!(error.to_string().contains("patch_size"), "{error}");
    }

    /// D11
    #[test]
    fn steps_that_are_switched_off_are_left_out_and_unclear_ones_refused() {
        let image = RgbImage::from_fn(28, 28, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let read = |more: Value| ImageProcessor::from_json(&more);
        let raw = read(json!({"do_normalize": false}))
            .unwrap()
            .process(&resized(&image))
            .unwrap();
        assert!(raw.pixels.iter().all(|v| (0.0..=1.0).contains(v)));
        let levels = read(json!({"do_normalize": false, "do_rescale": false})).unwrap();
        let levels = levels.process(&resized(&image)).unwrap();
        for (level, raw) in levels.pixels.iter().zip(&raw.pixels) {
            assert!((level / 255.0 - raw).abs() < 1e-6);
        }
        for field in ["do_normalize", "do_rescale", "do_resize"] {
            let error = read(json!({field: null})).unwrap_err().to_string();
            assert!(
                error.contains(field) && error.contains("true or false"),
                "{error}"
            );
        }
        assert!(read(json!({"do_resize": false})).is_err());
    }

    fn resized(image: &RgbImage) -> RgbImage {
        image::imageops::resize(image, 56, 56, image::imageops::FilterType::Nearest)
    }

    /// D11
    #[test]
    fn videos_have_sizes_of_their_own() {
        let videos = ImageProcessor::videos_from_json(&json!({})).unwrap();
        assert_eq!((videos.min_pixels, videos.max_pixels), (100_352, 602_112));
        let given = ImageProcessor::videos_from_json(
            &json!({"size": {"shortest_edge": 784, "longest_edge": 9408}}),
        );
        let given = given.unwrap();
        assert_eq!((given.min_pixels, given.max_pixels), (784, 9408));
    }

    /// Absurd numbers are refused, not allocated.
    #[test]
    fn impossible_sizes_are_refused_by_name() {
        for (field, value) in [
            ("patch_size", json!(1_000_000_000_000u64)),
            ("merge_size", json!(1u64 << 33)),
            ("temporal_patch_size", json!(u64::MAX)),
            ("min_pixels", json!(1u64 << 50)),
            ("max_pixels", json!(u64::MAX)),
            ("patch_size", json!(0)),
            ("patch_size", json!(-14)),
            ("patch_size", json!(1e30)),
            ("rescale_factor", json!("1/255")),
        ] {
            let error = ImageProcessor::from_json(&json!({field: value}))
                .unwrap_err()
                .to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
