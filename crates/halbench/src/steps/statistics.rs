//! How often classes occur together.

use std::collections::{BTreeMap, BTreeSet};

use percept_data::coco::CocoInstances;
use serde::{Deserialize, Serialize};

/// Images that show a class, alone and with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class.
    pub class: String,
    /// Images that show it.
    pub images: u64,
    /// Other class → images that show both. Classes that never occur with it are not here.
    pub with: BTreeMap<String, u64>,
}

/// How often classes occur together: in how many images, however many objects each shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// One for each class of the annotations, in their order.
    pub classes: Vec<ClassCount>,
}

impl Statistics {
    /// Counts the images of an annotation file; objects marked as a crowd count.
    pub fn of(coco: &CocoInstances) -> Self {
        let mut classes: Vec<ClassCount> = (coco.categories().iter())
            .map(|category| ClassCount {
                class: category.name.clone().into_owned(),
                images: 0,
                with: BTreeMap::new(),
            })
            .collect();
        for image in coco.images() {
            let shown = present(coco, image.id);
            for class in &mut classes {
                if !shown.contains(&class.class) {
                    continue;
                }
                class.images += 1;
                for other in shown.iter().filter(|other| **other != class.class) {
                    *class.with.entry(other.clone()).or_default() += 1;
                }
            }
        }
        Self { classes }
    }

    fn class(&self, name: &str) -> Option<&ClassCount> {
        self.classes.iter().find(|c| c.class == name)
    }

    /// Images that show both classes.
    pub fn together(&self, a: &str, b: &str) -> u64 {
        let found = self.class(a).and_then(|class| class.with.get(b));
        found.copied().unwrap_or(0)
    }

    /// The names of the classes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|c| c.class.as_str())
    }
}

/// The classes of an image, crowds included, in alphabetical order.
pub(crate) fn present(coco: &CocoInstances, image: u64) -> BTreeSet<String> {
    let names = coco
        .objects(image)
        .iter()
        .filter_map(|o| coco.category_name(o.category));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_not_objects() {
        let json = r#"{"images": [{"id": 1, "file_name": "a", "width": 1, "height": 1},
              {"id": 2, "file_name": "b", "width": 1, "height": 1}],
            "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "skis"}, {"id": 3, "name": "bear"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]},
              {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]},
              {"id": 3, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]},
              {"id": 4, "image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1]}]}"#;
        let statistics = Statistics::of(&CocoInstances::read(json.as_bytes()).unwrap());
        let together = |a, b| statistics.together(a, b);
        assert_eq!(
            (together("person", "skis"), together("skis", "person")),
            (1, 1)
        );
        assert_eq!(
            (together("person", "bear"), together("person", "person")),
            (0, 0)
        );
        assert_eq!(statistics.classes[0].images, 2);
    }
}
