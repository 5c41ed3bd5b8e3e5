//! `instances_*.json`: images, classes and the objects of each image.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use serde::de::SeqAccess;
use serde::{Deserialize, Deserializer};

use crate::Error;

use super::stream::{Sink, push, read, read_file};
use super::{Category, Mask, Segmentation};

/// An image of an annotation file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoImage {
    /// Its number.
    pub id: u64,
    /// Its file, relative to the folder of images.
    pub file_name: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The number of its licence in the file's list; COCO's 1 to 8 are Creative Commons and alike.
    #[serde(default)]
    pub license: Option<u32>,
    /// Where it was published (`flickr_url`).
    #[serde(default)]
    pub flickr_url: Option<String>,
}

/// An annotated object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Object {
    /// Its number.
    pub id: u64,
    /// The number of its image.
    #[serde(rename = "image_id")]
    pub image: u64,
    /// The number of its class.
    #[serde(rename = "category_id")]
    pub category: u32,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Pixels that it covers, as its annotator's outline has them: for polygons it differs a little
    /// from that of the mask. The box's, where a file has none.
    #[serde(default = "unknown_area")]
    pub area: f64,
    /// Whether it stands for many of its class, marked together.
    #[serde(rename = "iscrowd", default, deserialize_with = "flag")]
    pub crowd: bool,
    /// Its outline; `null` and a missing one are an empty list of polygons.
    #[serde(default)]
    pub segmentation: Segmentation,
}

fn unknown_area() -> f64 {
    f64::NAN
}

/// COCO writes 0 and 1; some exports write false and true.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "iscrowd: 0 or 1")]
    enum Flag {
        Number(u8),
        Flag(bool),
    }
    Ok(match Flag::deserialize(from)? {
        Flag::Number(number) => number != 0,
        Flag::Flag(flag) => flag,
    })
}

impl Object {
    /// Its pixels in an image of this size.
    ///
    /// # Errors
    /// An outline that is missing or cannot be drawn; the message names the annotation.
    pub fn mask(&self, width: u32, height: u32) -> Result<Mask, Error> {
        let named = |error: Error| {
            let field = error.report().field.clone().unwrap_or_default();
            error.field(format!("annotation {}, {field}", self.id))
        };
        self.segmentation.mask(width, height).map_err(named)
    }
}

#[derive(Debug, Deserialize)]
struct RawCategory {
    id: u32,
    name: String,
    #[serde(default)]
    supercategory: String,
}

/// An `instances_*.json`.
#[derive(Debug, Clone, Default)]
pub struct CocoInstances {
    images: Vec<CocoImage>,
    categories: Vec<Category>,
    /// By image, in the order of the images; within an image in the order of the file.
    objects: Vec<Object>,
    /// Image number → its place and the places of its objects.
    index: HashMap<u64, (usize, std::ops::Range<usize>)>,
    unlisted: usize,
}

#[derive(Default)]
struct Raw {
    images: Vec<CocoImage>,
    categories: Vec<RawCategory>,
    objects: Vec<Object>,
}

impl Sink for Raw {
    const LISTS: &'static [&'static str] = &["images", "annotations", "categories"];

    fn take<'de, A: SeqAccess<'de>>(
        &mut self,
        list: &'static str,
        seq: &mut A,
    ) -> Result<bool, A::Error> {
        match list {
            "images" => push(&mut self.images, seq),
            "categories" => push(&mut self.categories, seq),
            _ => push(&mut self.objects, seq),
        }
    }
}

impl CocoInstances {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read or is no COCO instances file; the message names the element.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut raw = Raw::default();
        read_file(path, &mut raw)?;
        Self::of(raw).map_err(|e| e.in_file(path))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// As [`CocoInstances::open`].
    pub fn read(text: impl Read) -> Result<Self, Error> {
        let mut raw = Raw::default();
        read(text, &mut raw)?;
        Self::of(raw)
    }

    fn of(raw: Raw) -> Result<Self, Error> {
        let categories = categories(raw.categories)?;
        let mut place = HashMap::new();
        for (at, image) in raw.images.iter().enumerate() {
            if place.insert(image.id, at).is_some() {
                return Err(Error::row("an image number twice")
                    .field(format!("images[{at}].id"))
                    .found(image.id));
            }
        }
        let known = |id: u32| categories.iter().any(|c| c.id == id);
        let mut of_image = vec![Vec::new(); raw.images.len()];
        let mut unlisted = 0;
        for (at, mut object) in raw.objects.into_iter().enumerate() {
            if !known(object.category) {
                return Err(Error::row("an object of a class that is not in the file")
                    .field(format!("annotations[{at}].category_id"))
                    .found(object.category)
                    .expected("an id of `categories`"));
            }
            if object.area.is_nan() {
                object.area = object.bbox[2] * object.bbox[3];
            }
            match place.get(&object.image) {
                Some(&image) => of_image[image].push(object),
                None => unlisted += 1,
            }
        }
        let (mut objects, mut index) = (Vec::new(), HashMap::new());
        for (at, (image, of_image)) in raw.images.iter().zip(of_image).enumerate() {
            let start = objects.len();
            objects.extend(of_image);
            index.insert(image.id, (at, start..objects.len()));
        }
        Ok(Self {
            images: raw.images,
            categories,
            objects,
            index,
            unlisted,
        })
    }

    /// The images, in the order of the file.
    pub fn images(&self) -> &[CocoImage] {
        &self.images
    }

    /// The image of this number.
    pub fn image(&self, id: u64) -> Option<&CocoImage> {
        self.index.get(&id).map(|(at, _)| &self.images[*at])
    }

    /// The objects of an image, crowds included, in the order of the file; none of an unknown one.
    pub fn objects(&self, image: u64) -> &[Object] {
        let places = self.index.get(&image);
        places.map_or(&[], |(_, places)| &self.objects[places.clone()])
    }

    /// The classes, by number.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The name of a class.
    pub fn category_name(&self, id: u32) -> Option<&str> {
        let at = self.categories.binary_search_by_key(&id, |c| c.id).ok()?;
        Some(&self.categories[at].name)
    }

    /// Annotations left out because their image is not in the file, as it happens when a file was
    /// cut to some of its images.
    pub fn unlisted(&self) -> usize {
        self.unlisted
    }
}

fn categories(raw: Vec<RawCategory>) -> Result<Vec<Category>, Error> {
    let categories = raw.into_iter().map(|c| Category {
        id: c.id,
        name: Cow::Owned(c.name),
        supercategory: Cow::Owned(c.supercategory),
    });
    let mut categories: Vec<Category> = categories.collect();
    categories.sort_by_key(|c| c.id);
    match categories.windows(2).find(|pair| pair[0].id == pair[1].id) {
        None => Ok(categories),
        Some(pair) => Err(Error::row("two classes of one number")
            .field("categories")
            .found(format!(
                "{} = {} and {}",
                pair[0].id, pair[0].name, pair[1].name
            ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(annotation: &str) -> String {
        format!(
            r#"{{"info": {{"year": 2017}}, "annotations": [{annotation}],
               "images": [{{"id": 3, "file_name": "c.jpg", "width": 4, "height": 4, "license": 1}},
                          {{"id": 1, "file_name": "a.jpg", "width": 4, "height": 4}}],
               "categories": [{{"id": 44, "name": "bottle"}}, {{"id": 1, "name": "person"}}]}}"#
        )
    }

    fn error(annotation: &str) -> String {
        let error = CocoInstances::read(file(annotation).as_bytes()).unwrap_err();
        error.to_string()
    }

    const GOOD: &str = r#"{"id": 9, "image_id": 1, "category_id": 44, "bbox": [0, 0, 2, 2], "area": 4.5,
        "iscrowd": 0, "segmentation": {"size": [4, 4], "counts": [0, 2, 14]}}"#;

    #[test]
    fn objects_stay_with_their_image_in_the_order_of_the_file() {
        let other = r#"{"id": 8, "image_id": 3, "category_id": 1, "bbox": [0, 0, 2, 3], "iscrowd": 1},
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "area": 1,
             "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
            {"id": 6, "image_id": 77, "category_id": 1, "bbox": [1, 1, 2, 2]}"#;
        let coco = CocoInstances::read(file(&format!("{GOOD}, {other}")).as_bytes()).unwrap();
        let ids = |image| coco.objects(image).iter().map(|o| o.id).collect::<Vec<_>>();
        assert_eq!((ids(1), ids(3), ids(2)), (vec![9, 7], vec![8], vec![]));
        assert_eq!(coco.unlisted(), 1);
        assert_eq!(coco.category_name(44), Some("bottle"));
        assert!(coco.objects(3)[0].crowd);
        // Without an area it is the box's, without an outline there is no mask.
        assert_eq!(coco.objects(3)[0].area, 6.0);
        assert!(coco.objects(3)[0].mask(4, 4).is_err());
        assert_eq!(coco.objects(1)[0].mask(4, 4).unwrap().area(), 2);
        assert_eq!(coco.image(3).unwrap().license, Some(1));
    }

    #[test]
    fn errors_name_the_element_and_the_field() {
        let missing = error(&format!("{GOOD}, {{\"id\": 5, \"image_id\": 1}}"));
        assert!(missing.contains("annotations[1]"), "{missing}");
        assert!(missing.contains("category_id"), "{missing}");
        let kind = error(&GOOD.replace("[0, 2, 14]", "true"));
        assert!(
            kind.contains("annotations[0]") && kind.contains("segmentation.counts"),
            "{kind}"
        );
        let class = error(&GOOD.replace("\"category_id\": 44", "\"category_id\": 2"));
        assert!(class.contains("annotations[0].category_id"), "{class}");
        let cut = CocoInstances::read(&file(GOOD).as_bytes()[..90]).unwrap_err();
        assert!(cut.to_string().contains("annotations[0]"), "{cut}");
        let captions = CocoInstances::read(r#"{"images": [], "annotations": []}"#.as_bytes());
        assert!(captions.unwrap_err().to_string().contains("`categories`"));
    }

    #[test]
    fn a_mask_of_another_size_names_its_annotation() {
        let coco = CocoInstances::read(file(GOOD).as_bytes()).unwrap();
        let error = coco.objects(1)[0].mask(5, 4).unwrap_err().to_string();
        assert!(
            error.contains("annotation 9") && error.contains("[4, 5]"),
            "{error}"
        );
    }
}
