//! Image preprocessing equal, bit for bit, to transformers' `CLIPImageProcessor` with the Pillow backend on Pillow 13:
//! the shorter side becomes one length, the middle is cut out, levels are normalised.

use image::RgbImage;
use image::imageops::crop_imm;
use serde_json::{Value, json};

use crate::Error;
use crate::media::limits::MAX_PIXELS;
use crate::media::patches::{PatchGrid, Patches};
use crate::media::preprocessing::{Normalisation, bad, check_steps, decimal, whole_number};
use crate::media::resize::resize;

/// The longest side that a picture may have for the tower; that of the largest published CLIP is 448.
const MAX_SIDE: u64 = 1 << 13;

/// `preprocessor_config.json` of CLIP.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipImageProcessor {
    size: Size,
    /// Width and height that are cut out of the middle.
    crop: Option<(usize, usize)>,
    normalisation: Normalisation,
}

/// What a picture is resized to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    /// Its shorter side, in pixels; the other in proportion.
    ShortestEdge(usize),
    /// Width and height.
    Exact(usize, usize),
}

impl ClipImageProcessor {
    /// Reads `preprocessor_config.json`; absent fields have the class defaults of transformers (224 pixels).
    ///
    /// # Errors
    /// [`Error::File`] naming a field of the wrong type or of an impossible size, a class of another kind, or a step that
    /// percept does not do.
    pub fn from_json(config: &Value) -> Result<Self, Error> {
        let class = &config["image_processor_type"];
        // The fast and the slow one of transformers are one.
        let known = |class: &str| {
            let end = class.strip_prefix("CLIPImageProcessor");
            end.is_some_and(|end| ["", "Fast", "Pil"].contains(&end))
        };
        if class.as_str().is_some_and(|class| !known(class)) {
            return Err(bad("image_processor_type", class, "CLIPImageProcessor"));
        }
        check_steps(config, &["do_resize", "do_center_crop", "do_pad"])?;
        for (field, needed) in [("do_resize", true), ("do_pad", false)] {
            if config.get(field) == Some(&Value::Bool(!needed)) {
                return Err(bad(field, &config[field], &needed.to_string()));
            }
        }
        let size = size(&config["size"])?;
        let crop = match config.get("do_center_crop") {
            Some(Value::Bool(false)) => None,
            _ => Some(crop(&config["crop_size"])?),
        };
        if let (Size::ShortestEdge(edge), Some((width, height))) = (size, crop)
            && edge < width.max(height)
        {
            let expected = format!(
                "at most size.shortest_edge = {edge} (the backends of transformers pad smaller pictures differently)"
            );
            let found = json!({"height": height, "width": width});
            return Err(bad("crop_size", &found, &expected));
        }
        Ok(Self {
            size,
            crop,
            normalisation: Normalisation::read(config, Normalisation::default())?,
        })
    }

    /// Width and height of every picture, in pixels; none where they depend on the picture.
    pub fn output_size(&self) -> Option<(usize, usize)> {
        match (self.crop, self.size) {
            (Some(crop), _) => Some(crop),
            (None, Size::Exact(width, height)) => Some((width, height)),
            (None, Size::ShortestEdge(_)) => None,
        }
    }

    /// `preprocessor_config.json` that transformers loads.
    pub fn to_json(&self) -> Value {
        let sides = |(width, height): (usize, usize)| json!({"height": height, "width": width});
        let (size, exact) = match self.size {
            Size::ShortestEdge(edge) => (json!({"shortest_edge": edge}), None),
            Size::Exact(width, height) => (sides((width, height)), Some((width, height))),
        };
        let crop = self.crop.or(exact).unwrap_or((224, 224));
        json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": true,
            "do_resize": true,
            "size": size,
            "resample": 3,
            "do_center_crop": self.crop.is_some(),
            "crop_size": sides(crop),
            "do_rescale": true,
            "rescale_factor": self.normalisation.rescale_factor,
            "do_normalize": true,
            "image_mean": self.normalisation.mean.map(decimal),
            "image_std": self.normalisation.std.map(decimal),
        })
    }

    /// Patches of `patch` pixels along a side, row by row.
    ///
    /// # Errors
    /// [`Error::Media`] for an empty picture, or one so long that it would have more than [`MAX_PIXELS`] before the cut.
    pub fn process(&self, image: &RgbImage, patch: usize) -> Result<Patches, Error> {
        let image = self.resized(image)?;
        let (width, height) = (image.width() as usize, image.height() as usize);
        let grid = PatchGrid {
            patch,
            merge: 1,
            depth: 1,
        };
        let frame = self.normalisation.apply(&image);
        Ok(grid.cut(&[&frame], width, height))
    }

    fn resized(&self, image: &RgbImage) -> Result<RgbImage, Error> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (long, short) = (width.max(height), width.min(height));
        let (to_width, to_height) = match self.size {
            _ if short == 0 => (0, 0),
            Size::Exact(width, height) => (width, height),
            Size::ShortestEdge(edge) => {
                // As Python computes int(edge * long / short).
                let other = ((edge * long) as f64 / short as f64) as usize;
                match width <= height {
                    true => (edge, other),
                    false => (other, edge),
                }
            }
        };
        let pixels = to_width as u64 * to_height as u64;
        if pixels == 0 || pixels > MAX_PIXELS {
            return Err(Error::media("image cannot be resized for the vision tower")
                .found(format!("{width} × {height}"))
                .expected("both sides above 0, none thousands of times the other")
                .help("crop the image"));
        }
        let resized = resize(image, to_width, to_height);
        let Some((crop_width, crop_height)) = self.crop else {
            return Ok(resized);
        };
        let (left, top) = ((to_width - crop_width) / 2, (to_height - crop_height) / 2);
        let [left, top, width, height] = [left, top, crop_width, crop_height].map(|n| n as u32);
        Ok(crop_imm(&resized, left, top, width, height).to_image())
    }
}

/// `size`: a number, `shortest_edge`, or height and width.
fn size(config: &Value) -> Result<Size, Error> {
    let mut edge = 224;
    if config["height"].is_null() && config["width"].is_null() {
        let (field, value) = match config.is_object() {
            true => ("size.shortest_edge", &config["shortest_edge"]),
            false => ("size", config),
        };
        if !config["longest_edge"].is_null() {
            let expected = "no longest_edge: CLIP's pictures are cut to one size";
            return Err(bad("size.longest_edge", &config["longest_edge"], expected));
        }
        whole_number(field, value, MAX_SIDE, &mut edge)?;
        return Ok(Size::ShortestEdge(edge));
    }
    let (width, height) = sides("size", config)?;
    Ok(Size::Exact(width, height))
}

/// `crop_size`: a number, or height and width; 224 where it is absent.
fn crop(config: &Value) -> Result<(usize, usize), Error> {
    if config.is_object() {
        return sides("crop_size", config);
    }
    let mut side = 224;
    whole_number("crop_size", config, MAX_SIDE, &mut side)?;
    Ok((side, side))
}

/// Width and height of an object that must have both.
fn sides(field: &str, config: &Value) -> Result<(usize, usize), Error> {
    let side = |name: &str| {
        let (field, mut side) = (format!("{field}.{name}"), 0);
        whole_number(&field, &config[name], MAX_SIDE, &mut side)?;
        match side {
            0 => Err(bad(&field, &config[name], "a whole number of pixels")),
            side => Ok(side),
        }
    };
    Ok((side("width")?, side("height")?))
}
