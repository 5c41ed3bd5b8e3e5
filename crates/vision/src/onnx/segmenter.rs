//! SAM: an encoder that sees the picture once, and a decoder that is asked for each box.

use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use percept_data::coco::Mask;
use serde_json::{Value, json};

use super::OnnxRuntime;
use super::model::{Array, Model};
use super::tensor::{Levels, of_picture};
use crate::Error;
use crate::tools::{Detection, Segmenter, Shown};

/// SAM's picture: the longer side has so many pixels, the rest is 0.
const SIDE: u32 = 1024;

/// Two model files as segment-anything's `export_onnx_model.py` and exports of its encoder make them: the encoder gets
/// `[1, 3, 1024, 1024]`, normalised as ImageNet's and padded, and gives the embedding; the decoder gets `image_embeddings`,
/// `point_coords`, `point_labels`, `mask_input`, `has_mask_input`, `orig_im_size`, in this order, and gives `masks`, whose
/// positive values are inside.
pub struct OnnxSegmenter {
    encoder: Model,
    decoder: Model,
    sha256: [String; 2],
}

impl OnnxSegmenter {
    /// Reads encoder and decoder, whose SHA-256 these are.
    ///
    /// # Errors
    /// [`Error::Onnx`].
    pub fn open(
        runtime: &OnnxRuntime,
        encoder: &Path,
        decoder: &Path,
        sha256: [String; 2],
    ) -> Result<Self, Error> {
        Ok(Self {
            encoder: Model::open(runtime, encoder)?,
            decoder: Model::open(runtime, decoder)?,
            sha256,
        })
    }

    /// The embedding of a picture, and pixels of SAM's picture for one of its own.
    fn encoded(&self, image: &RgbImage) -> Result<(Array, f64), Error> {
        let (width, height) = image.dimensions();
        let scale = f64::from(SIDE) / f64::from(width.max(height));
        let side = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, SIDE);
        let small = resize(image, side(width), side(height), FilterType::Triangle);
        // Grey of the mean, which is 0 when it is normalised.
        let grey = Levels::IMAGENET
            .mean
            .map(|mean| (mean * 255.0).round() as u8);
        let mut canvas = RgbImage::from_pixel(SIDE, SIDE, Rgb(grey));
        image::imageops::replace(&mut canvas, &small, 0, 0);
        let input = of_picture(&canvas, SIDE, SIDE, Levels::IMAGENET);
        let outputs = self.encoder.run(vec![input])?.into_iter();
        let embedding = outputs.map(|(_, output)| output).next();
        let embedding = embedding.ok_or_else(|| self.encoder.error("the encoder gives nothing"))?;
        Ok((embedding, scale))
    }

    fn mask(
        &self,
        embedding: &Array,
        scale: f64,
        bbox: [f64; 4],
        size: (u32, u32),
    ) -> Result<Mask, Error> {
        let [x, y, w, h] = bbox.map(|side| (side * scale) as f32);
        let (width, height) = size;
        let array = |shape: &[usize], data: Vec<f32>| Array {
            shape: shape.to_vec(),
            data,
        };
        let outputs = self.decoder.run(vec![
            array(&embedding.shape, embedding.data.clone()),
            // Corners of a box have the labels 2 and 3.
            array(&[1, 2, 2], vec![x, y, x + w, y + h]),
            array(&[1, 2], vec![2.0, 3.0]),
            array(&[1, 1, 256, 256], vec![0.0; 256 * 256]),
            array(&[1], vec![0.0]),
            array(&[2], vec![height as f32, width as f32]),
        ])?;
        let area = width as usize * height as usize;
        let masks = outputs
            .iter()
            .find(|(name, output)| name == "masks" && output.data.len() >= area);
        let Some((_, masks)) = masks else {
            return Err(self.decoder.error(format!(
                "the decoder gives no output `masks` of {height} × {width} pixels"
            )));
        };
        Ok(Mask::from_fn(width, height, |x, y| {
            masks.data[y as usize * width as usize + x as usize] > 0.0
        }))
    }
}

impl Segmenter for OnnxSegmenter {
    fn identity(&self) -> Value {
        json!({"segmenter": "onnx", "sha256": self.sha256})
    }

    fn masks(&self, picture: &Shown<'_>, boxes: &[Detection]) -> Result<Vec<Mask>, Error> {
        let (embedding, scale) = self.encoded(picture.image)?;
        let size = picture.image.dimensions();
        let masks = boxes
            .iter()
            .map(|found| self.mask(&embedding, scale, found.bbox, size));
        masks.collect()
    }
}
