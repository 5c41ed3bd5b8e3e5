//! Annotations in COCO's form as tagger, detector and segmenter: what people marked is what is found.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use percept_data::coco::{CocoInstances, Mask, Object, Rect, Segmentation};
use serde_json::{Value, json};

use super::box_segmenter::whole_pixels;
use super::{Detection, Detector, Segmenter, Shown, Tag, Tagger};
use crate::Error;

/// An annotation file whose pictures are known by their number (`image_id`), else by their file: its whole name in the
/// annotations, or its last part where only one picture has it. A clone shares what was read.
#[derive(Debug, Clone)]
pub struct Annotated {
    coco: Arc<CocoInstances>,
    /// SHA-256 of the file, for identities.
    sha256: String,
    whole: Arc<HashMap<String, u64>>,
    /// Last part of a name; none where two pictures have it.
    last: Arc<HashMap<String, Option<u64>>>,
}

/// Overlap of a box with an annotated one from which both are taken for one thing.
const SAME: f64 = 0.5;

impl Annotated {
    /// These annotations; `sha256` is that of their file.
    pub fn new(coco: CocoInstances, sha256: String) -> Self {
        let (mut whole, mut last) = (HashMap::new(), HashMap::new());
        for image in coco.images() {
            whole.insert(image.file_name.clone(), image.id);
            last.entry(last_part(&image.file_name).to_owned())
                .and_modify(|one| *one = None)
                .or_insert(Some(image.id));
        }
        Self {
            coco: Arc::new(coco),
            sha256,
            whole: Arc::new(whole),
            last: Arc::new(last),
        }
    }

    /// Reads an annotation file, whose SHA-256 this is.
    ///
    /// # Errors
    /// A file that cannot be read or is no COCO instances file.
    pub fn open(path: &Path, sha256: String) -> Result<Self, Error> {
        Ok(Self::new(CocoInstances::open(path)?, sha256))
    }

    /// The objects of a picture.
    fn objects(&self, picture: &Shown<'_>) -> Result<&[Object], Error> {
        let by_file = |file: &str| match self.whole.get(file) {
            Some(id) => Some(*id),
            None => self.last.get(last_part(file)).copied().flatten(),
        };
        let id = match picture.image_id {
            Some(id) => self.coco.image(id).map(|image| image.id),
            None => picture.file.and_then(by_file),
        };
        let Some(image) = id.and_then(|id| self.coco.image(id)) else {
            return Err(Error::Unscored(
                "the annotations do not have this picture".into(),
            ));
        };
        let (width, height) = picture.image.dimensions();
        if (image.width, image.height) != (width, height) {
            return Err(Error::Unscored(format!(
                "the picture has not the size in its annotation: {width} × {height} pixels, annotated {} × {}",
                image.width, image.height
            )));
        }
        Ok(self.coco.objects(image.id))
    }

    fn name(&self, object: &Object) -> &str {
        self.coco.category_name(object.category).unwrap_or_default()
    }

    fn identity(&self, does: &str) -> Value {
        json!({does: "annotations", "sha256": self.sha256})
    }

    /// The object whose box this is: of the same name, with the largest overlap.
    fn of_box<'a>(&'a self, objects: &'a [Object], found: &Detection) -> Option<&'a Object> {
        let named = objects.iter().filter(|o| self.name(o) == found.tag);
        let overlaps = named.map(|o| (overlap(o.bbox, found.bbox), o));
        let best = overlaps.max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.filter(|(overlap, _)| *overlap >= SAME).map(|(_, o)| o)
    }
}

fn last_part(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// Intersection over union of two boxes; 0 where one of them is empty.
pub(crate) fn overlap(a: [f64; 4], b: [f64; 4]) -> f64 {
    let side = |at: usize| {
        let end = (a[at] + a[at + 2]).min(b[at] + b[at + 2]);
        (end - a[at].max(b[at])).max(0.0)
    };
    let both = side(0) * side(1);
    let either = a[2] * a[3] + b[2] * b[3] - both;
    if either > 0.0 { both / either } else { 0.0 }
}

impl Tagger for Annotated {
    fn identity(&self) -> Value {
        self.identity("tagger")
    }

    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error> {
        let names: BTreeSet<&str> = self
            .objects(picture)?
            .iter()
            .map(|object| self.name(object))
            .collect();
        let tag = |name: &str| Tag {
            tag: name.to_owned(),
            score: 1.0,
        };
        Ok(names.into_iter().map(tag).collect())
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

impl Detector for Annotated {
    fn identity(&self) -> Value {
        self.identity("detector")
    }

    fn detect(&self, picture: &Shown<'_>, tags: &[&str]) -> Result<Vec<Detection>, Error> {
        let objects = self.objects(picture)?.iter();
        let wanted = objects.filter(|object| tags.contains(&self.name(object)));
        let found = wanted.map(|object| Detection {
            tag: self.name(object).to_owned(),
            bbox: object.bbox,
            score: 1.0,
            text_score: None,
        });
        Ok(found.collect())
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

impl Segmenter for Annotated {
    fn identity(&self) -> Value {
        self.identity("segmenter")
    }

    fn masks(&self, picture: &Shown<'_>, boxes: &[Detection]) -> Result<Vec<Mask>, Error> {
        let objects = self.objects(picture)?;
        let (width, height) = picture.image.dimensions();
        let mask = |found: &Detection| {
            let Some(object) = self.of_box(objects, found) else {
                return Ok(Mask::new(width, height));
            };
            // Annotations without outlines have boxes alone.
            if object.segmentation == Segmentation::default() {
                let rect = whole_pixels(object.bbox, width, height);
                return Ok(rect.map_or_else(
                    || Mask::new(width, height),
                    |rect: Rect| Mask::from_rect(width, height, rect),
                ));
            }
            object
                .mask(width, height)
                .map_err(|e| Error::Unscored(format!("an outline cannot be drawn: {e}")))
        };
        boxes.iter().map(mask).collect()
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    const FILE: &str = r#"{"images": [
          {"id": 5, "file_name": "a/1.jpg", "width": 8, "height": 6},
          {"id": 6, "file_name": "b/1.jpg", "width": 8, "height": 6},
          {"id": 7, "file_name": "b/2.jpg", "width": 8, "height": 6}],
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "bed"}],
        "annotations": [
          {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": [[0, 0, 1, 0, 1, 2, 0, 2]]},
          {"id": 2, "image_id": 7, "category_id": 1, "bbox": [4, 1, 2, 2]},
          {"id": 3, "image_id": 7, "category_id": 2, "bbox": [0, 3, 8, 3]}]}"#;

    fn annotated() -> Annotated {
        Annotated::new(CocoInstances::read(FILE.as_bytes()).unwrap(), "x".into())
    }

    #[test]
    fn a_picture_is_known_by_its_number_its_whole_name_or_a_last_part_that_is_unique() {
        let image = RgbImage::new(8, 6);
        let tags = |file, image_id| {
            let shown = Shown {
                image: &image,
                file,
                image_id,
            };
            annotated().tags(&shown).map(|tags| tags.len())
        };
        assert_eq!(tags(None, Some(7)).unwrap(), 2);
        assert_eq!(tags(Some("a/1.jpg"), None).unwrap(), 0);
        assert_eq!(tags(Some("/home/x/2.jpg"), None).unwrap(), 2);
        assert!(matches!(
            tags(Some("c/1.jpg"), None),
            Err(Error::Unscored(_))
        ));
        assert!(matches!(
            tags(Some("2.jpg"), Some(8)),
            Err(Error::Unscored(_))
        ));
    }

    #[test]
    fn boxes_lead_back_to_outlines_and_boxes_without_one_are_filled() {
        let image = RgbImage::new(8, 6);
        let shown = Shown {
            image: &image,
            file: Some("2.jpg"),
            image_id: None,
        };
        let annotated = annotated();
        let mut found = annotated.detect(&shown, &["cup"]).unwrap();
        assert_eq!(found.len(), 2);
        found[0].bbox = [0.2, 0.0, 2.0, 2.0];
        found.push(Detection {
            bbox: [6.0, 4.0, 2.0, 2.0],
            ..found[0].clone()
        });
        let masks = annotated.masks(&shown, &found).unwrap();
        let areas: Vec<usize> = masks.iter().map(Mask::area).collect();
        assert_eq!(areas, [2, 4, 0]);
        let small = RgbImage::new(8, 5);
        let shown = Shown {
            image: &small,
            ..shown
        };
        assert!(annotated.tags(&shown).is_err());
    }
}
