//! The `segmentation` of an annotation in its three forms: polygons, run lengths as numbers, run
//! lengths as a compressed string.

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Error;

use super::Mask;

/// Where an object is, as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Segmentation {
    /// Outlines `[x0, y0, x1, y1, …]`; none where a file has boxes only.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths down the columns of an image of this size.
    Runs {
        /// Rows and columns, in this order.
        size: [u32; 2],
        /// The lengths.
        counts: Counts,
    },
}

/// Run lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// As numbers, the first of pixels outside.
    Plain(Vec<u32>),
    /// As the string of pycocotools' `encode`.
    Compressed(String),
}

impl Segmentation {
    /// The pixels, of an image of this size.
    ///
    /// # Errors
    /// No outline at all, run lengths of another size, and those of the forms of [`Mask`].
    pub fn mask(&self, width: u32, height: u32) -> Result<Mask, Error> {
        match self {
            Self::Polygons(polygons) if polygons.is_empty() => Err(Error::row("no outline")
                .field("segmentation")
                .expected("polygons or run lengths")
                .help("a file with boxes only gives no masks")),
            Self::Polygons(polygons) => Mask::from_polygons(polygons, width, height),
            Self::Runs { size, .. } if *size != [height, width] => {
                Err(Error::row("run lengths of an image of another size")
                    .field("segmentation.size")
                    .found(format!("[{}, {}]", size[0], size[1]))
                    .expected(format!("[{height}, {width}]")))
            }
            Self::Runs { counts, .. } => match counts {
                Counts::Plain(counts) => Mask::from_counts(counts, width, height),
                Counts::Compressed(text) => Mask::from_rle_string(text, width, height),
            },
        }
    }
}

impl Default for Segmentation {
    fn default() -> Self {
        Self::Polygons(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Segmentation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SegmentationVisitor)
    }
}

/// By hand, because `untagged` would copy millions of numbers and lose the place of an error.
struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = Segmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("segmentation: a list of polygons, or {\"size\", \"counts\"}")
    }

    fn visit_unit<E>(self) -> Result<Segmentation, E> {
        Ok(Segmentation::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Segmentation, A::Error> {
        let mut polygons = Vec::new();
        while let Some(polygon) = seq.next_element()? {
            polygons.push(polygon);
        }
        Ok(Segmentation::Polygons(polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segmentation, A::Error> {
        let (mut size, mut counts) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "size" => size = Some(map.next_value()?),
                "counts" => counts = Some(map.next_value()?),
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(Segmentation::Runs {
            size: size.ok_or_else(|| A::Error::missing_field("segmentation.size"))?,
            counts: counts.ok_or_else(|| A::Error::missing_field("segmentation.counts"))?,
        })
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("segmentation.counts: a list of numbers or a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Counts, E> {
        Ok(Counts::Compressed(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counts, A::Error> {
        let mut counts = Vec::new();
        while let Some(run) = seq.next_element()? {
            counts.push(run);
        }
        Ok(Counts::Plain(counts))
    }
}
