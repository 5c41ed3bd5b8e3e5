//! Objects that can be cut out of their images, by class.

use std::collections::HashMap;
use std::path::Path;

use percept_data::coco::{CocoImage, CocoInstances, Object, Segmentation};

use crate::{BuildConfig, CutoutSource, Role};

/// Pixels that a cut-out has at least: fewer are a blot when they are enlarged.
const MIN_AREA: f64 = 1024.0;

/// Pixels that a cut-out keeps from the border of its image: what touches it is cut off.
const BORDER: f64 = 2.0;

/// An object that can be cut out.
#[derive(Debug, Clone)]
struct Item<'a> {
    image: &'a CocoImage,
    object: &'a Object,
    /// Share of its image that it covers: how large its class is in photographs.
    share: f64,
    /// Width over height.
    aspect: f64,
}

/// Objects that can be cut out, by class.
#[derive(Debug, Default)]
pub(crate) struct Catalogue<'a> {
    classes: HashMap<&'a str, Vec<Item<'a>>>,
}

/// How well a cut-out fits in the target's place; the smaller, the better.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub source: CutoutSource,
    pub cost: f64,
    pub reason: String,
}

impl<'a> Catalogue<'a> {
    /// Single objects with one outline (several are parts of something half hidden) that are large
    /// enough, do not touch the border, and whose image is in the folder.
    pub fn of(coco: &'a CocoInstances, images: &Path) -> Self {
        let mut classes: HashMap<&str, Vec<Item<'_>>> = HashMap::new();
        for image in coco.images() {
            let usable = coco.objects(image.id).iter().filter(|o| usable(o, image));
            let mut usable = usable.peekable();
            if usable.peek().is_none() || !images.join(&image.file_name).is_file() {
                continue;
            }
            for object in usable {
                let Some(class) = coco.category_name(object.category) else {
                    continue;
                };
                classes.entry(class).or_default().push(Item {
                    image,
                    object,
                    share: object.area / (f64::from(image.width) * f64::from(image.height)),
                    aspect: object.bbox[2] / object.bbox[3],
                });
            }
        }
        Self { classes }
    }

    /// The object of a class that fits best in the place of `target`: as large in its photograph as
    /// the target in its own, of the same shape, and enlarged little.
    pub fn best(
        &self,
        class: &str,
        role: &Role,
        target: &Object,
        config: &BuildConfig,
    ) -> Option<Fit> {
        let aspect = target.bbox[2] / target.bbox[3];
        let fit = |item: &Item<'_>| {
            let size = (item.share / role.target_share).ln().abs();
            let shape = (item.aspect / aspect).ln().abs();
            let scale = (target.area / item.object.area).sqrt();
            let blur = scale.ln().max(0.0);
            Fit {
                source: CutoutSource {
                    image: item.image.id,
                    file: item.image.file_name.clone(),
                    object: item.object.id,
                    scale,
                },
                cost: size + shape + blur,
                reason: format!(
                    "object {} of {}: size {size:.3}, shape {shape:.3}, enlargement {blur:.3} (absolute logarithms of ratios)",
                    item.object.id, item.image.file_name
                ),
            }
        };
        let others = self
            .classes
            .get(class)?
            .iter()
            .filter(|i| i.image.id != role.image);
        let fits = others
            .map(fit)
            .filter(|f| f.source.scale <= config.max_enlargement);
        fits.min_by(|a, b| {
            a.cost
                .total_cmp(&b.cost)
                .then(a.source.object.cmp(&b.source.object))
        })
    }
}

fn usable(object: &Object, image: &CocoImage) -> bool {
    let [x, y, width, height] = object.bbox;
    let (right, bottom) = (
        f64::from(image.width) - BORDER,
        f64::from(image.height) - BORDER,
    );
    let inside = x >= BORDER && y >= BORDER && x + width <= right && y + height <= bottom;
    let outlined = match &object.segmentation {
        Segmentation::Polygons(polygons) => polygons.len() == 1,
        Segmentation::Runs { .. } => true,
    };
    !object.crowd && outlined && inside && object.area >= MIN_AREA && width > 0.0 && height > 0.0
}
