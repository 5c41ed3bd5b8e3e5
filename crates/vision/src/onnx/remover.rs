//! An inpainter that fills a mask.

use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::{Value, json};

use super::OnnxRuntime;
use super::model::{Array, Model};
use super::tensor::{Levels, of_picture};
use crate::fits::fits;
use crate::picture::level;
use crate::{Edit, Edited, Editor, Error};

/// Side of the input where the file leaves it open: LaMa exports have 512.
const SIDE: u32 = 512;

/// A LaMa-like model file: the picture with levels from 0 to 1 and the mask with 0 and 1 in, the whole picture out, in levels of
/// 0 to 255 or of 0 to 1 (told apart by the largest).
pub struct OnnxRemover {
    model: Model,
    sha256: String,
}

impl OnnxRemover {
    /// Reads a model whose SHA-256 this is.
    ///
    /// # Errors
    /// [`Error::Onnx`].
    pub fn open(runtime: &OnnxRuntime, path: &Path, sha256: String) -> Result<Self, Error> {
        Ok(Self {
            model: Model::open(runtime, path)?,
            sha256,
        })
    }
}

impl Editor for OnnxRemover {
    fn identity(&self) -> Value {
        json!({"editor": "onnx", "sha256": self.sha256})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        fits(edit.image, edit.mask)?;
        let (height, width) = self.model.size(0).unwrap_or((SIDE, SIDE));
        let flags = GrayImage::from_fn(edit.mask.width(), edit.mask.height(), |x, y| {
            Luma([if edit.mask.get(x, y) { 255 } else { 0 }])
        });
        // A pixel of the small mask that touches the mask is inside.
        let flags = resize(&flags, width, height, FilterType::Triangle);
        let mask = Array {
            shape: vec![1, 1, height as usize, width as usize],
            data: flags
                .pixels()
                .map(|p| f32::from(u8::from(p.0[0] > 0)))
                .collect(),
        };
        let picture = of_picture(edit.image, height, width, Levels::PLAIN);
        let outputs = self.model.run(vec![picture, mask])?;
        let [high, wide] = [height, width].map(|side| side as usize);
        let whole = outputs
            .iter()
            .find(|(_, output)| output.shape == [1, 3, high, wide]);
        let Some((_, whole)) = whole else {
            return Err(self
                .model
                .error(format!("no output has the shape [1, 3, {high}, {wide}]")));
        };
        let most = whole.data.iter().copied().fold(0.0, f32::max);
        let scale = if most > 2.0 { 1.0 } else { 255.0 };
        let plane = high * wide;
        let small = RgbImage::from_fn(width, height, |x, y| {
            let at = y as usize * wide + x as usize;
            Rgb([0, 1, 2].map(|c| level(whole.data[c * plane + at] * scale)))
        });
        let (width, height) = edit.image.dimensions();
        Ok(Edited {
            image: resize(&small, width, height, FilterType::CatmullRom),
            placement: None,
        })
    }
}
