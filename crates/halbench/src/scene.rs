//! Annotations and images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use percept_data::Media;
use percept_data::coco::{CocoInstances, Mask, Object};

use crate::{BuildError, Role};

/// Annotations and images.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub coco: &'a CocoInstances,
    pub images: &'a Path,
    /// Folders from which images may come into the benchmark.
    pub folders: &'a Arc<[PathBuf]>,
}

impl<'a> Scene<'a> {
    /// An object by its number.
    pub fn object(&self, image: u64, id: u64) -> Option<&'a Object> {
        self.coco.objects(image).iter().find(|o| o.id == id)
    }

    /// An image that the annotations name.
    pub fn picture(&self, file: &str) -> Media {
        Media::from_path(self.images.join(file)).within(self.folders)
    }

    pub fn size(&self, image: u64) -> (u32, u32) {
        self.coco
            .image(image)
            .map_or((0, 0), |i| (i.width, i.height))
    }

    /// The pixels of objects; an outline that cannot be drawn is a reason to drop the row.
    pub fn mask(&self, image: u64, wanted: impl Fn(&Object, &str) -> bool) -> Result<Mask, String> {
        let (width, height) = self.size(image);
        // Also says when the annotations give the image a size that no image has.
        let mut union = Mask::from_polygons(&[], width, height).map_err(|e| e.to_string())?;
        for object in self.coco.objects(image) {
            let class = self.coco.category_name(object.category).unwrap_or_default();
            if wanted(object, class) {
                let mask = object.mask(width, height);
                let joined = mask.and_then(|mask| union.union(&mask));
                union = joined.map_err(|e| format!("an outline cannot be drawn: {e}"))?;
            }
        }
        Ok(union)
    }

    /// The pixels of the target's objects.
    pub fn target(&self, role: &Role) -> Result<Mask, String> {
        self.mask(role.image, |_, class| class == role.target)
    }
}

/// The image of a role, or why it cannot be used.
pub(crate) fn decoded(
    scene: &Scene<'_>,
    role: &Role,
) -> Result<Result<RgbImage, String>, BuildError> {
    let picture = scene.picture(&role.file);
    // What is edited is copied, and may be sent to an editor.
    let image = match picture.may_leave().and_then(|()| picture.decode()) {
        Ok(image) => image,
        Err(e) => return Ok(Err(format!("the image cannot be read: {e}"))),
    };
    let (width, height) = scene.size(role.image);
    if image.dimensions() != (width, height) {
        let (w, h) = image.dimensions();
        return Ok(Err(format!(
            "the image has not the size in its annotation: {w} × {h} pixels, annotated {width} × {height}"
        )));
    }
    Ok(Ok(image))
}
