//! COCO annotations: instances and captions of the MS COCO data set, and masks from their
//! polygons and run lengths.
//!
//! ```
//! use percept_data::coco::{CocoInstances, Mask};
//!
//! let json = r#"{"images": [{"id": 7, "file_name": "a.jpg", "width": 8, "height": 6}],
//!   "categories": [{"id": 1, "name": "person"}],
//!   "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 4, 3],
//!                    "area": 12.0, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]}]}"#;
//! let coco = CocoInstances::read(json.as_bytes())?;
//! let object = &coco.objects(7)[0];
//! assert_eq!(coco.category_name(object.category), Some("person"));
//! let mask: Mask = object.mask(8, 6)?;
//! assert_eq!(mask.area(), 12);
//! # Ok::<(), percept_data::Error>(())
//! ```

mod captions;
mod categories;
mod instances;
mod mask;
mod polygon;
mod rle;
mod segmentation;
mod stream;

pub use captions::CocoCaptions;
pub use categories::{CATEGORIES, Category, category};
pub use instances::{CocoImage, CocoInstances, Object};
pub use mask::{Mask, Rect};
pub use segmentation::{Counts, Segmentation};
