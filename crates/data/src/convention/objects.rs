//! ms-swift's `objects`: the names and boxes that stand for `<ref-object>` and `<bbox>` in a row's turns.
//!
//! Placeholders are filled in order, over all turns, as ms-swift 4.6 does (`Template.normalize_bbox`,
//! `replace_ref`, `replace_bbox`): a coordinate is `round(x / width · target)`, half to even. What the target
//! is, is the model's: 1000 for Qwen2-VL, the picture after resizing for Qwen2.5-VL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

use crate::formats::row::Value;
use crate::{Error, Message, Part};

/// Placeholder of a name.
const REF: &str = "<ref-object>";
/// Placeholder of a box.
const BOX: &str = "<bbox>";

/// The column `objects` of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// Names, for `<ref-object>`.
    pub refs: Vec<String>,
    /// `[x1, y1, x2, y2]` or a point `[x, y]`, for `<bbox>`.
    pub boxes: Vec<Vec<f64>>,
    /// What the coordinates are.
    pub bbox_type: BboxType,
    /// The image of each box; the first one where the list is shorter.
    pub image_id: Vec<usize>,
    /// The column as it was written.
    pub source: Json,
}

/// The unit of coordinates in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BboxType {
    /// Pixels of the picture as it is stored.
    Real,
    /// Parts of its width and height.
    Norm1,
    /// Thousandths of its width and height.
    Norm1000,
}

/// How a name and a box are written for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BoxFormat {
    /// `<|object_ref_start|>name<|object_ref_end|>`, `<|box_start|>(x1,y1),(x2,y2)<|box_end|>`: ms-swift's
    /// default for the Qwen2-VL family.
    #[serde(rename = "legacy")]
    Tokens,
    /// `name`, `[x1, y1, x2, y2]` (`QWENVL_BBOX_FORMAT=new`).
    #[serde(rename = "new")]
    Json,
    /// `name`, `[(x1,y1),(x2,y2)]`: every other model.
    #[serde(rename = "plain")]
    Plain,
}

/// Width and height: of a picture as it is stored, and of what its coordinates are written in.
pub type Scale = [(f64, f64); 2];

impl Objects {
    pub(crate) fn read(field: &str, value: Value) -> Result<Option<Self>, Error> {
        let value = match value {
            Value::Text(text) => match crate::formats::python_literal::parse(&text) {
                Some(parsed) => parsed,
                None => Value::Text(text),
            },
            other => other,
        };
        let wrong = |what: &str, found: &Value, expected: &str| {
            Error::row(what.to_owned())
                .field(field)
                .found(found.describe())
                .expected(expected)
        };
        let source = value.clone().into_json();
        let shape = r#"{"ref": ["dog"], "bbox": [[x1, y1, x2, y2]]}"#;
        let Value::Struct(_) = &value else {
            return Err(wrong("not the objects of a picture", &value, shape));
        };
        let list = |name: &str| match value.get(name) {
            Some(Value::List(items)) => Ok(items.clone()),
            None => Ok(Vec::new()),
            Some(other) => Err(wrong("not a list", other, shape)),
        };
        let refs = list("ref")?.into_iter().map(|item| match item {
            Value::Text(text) => Ok(text),
            other => Err(wrong("name of an object is not text", &other, shape)),
        });
        let refs = refs.collect::<Result<Vec<_>, _>>()?;
        let boxes = list("bbox")?.into_iter().map(|item| {
            coordinates(&item)
                .ok_or_else(|| wrong("not a box", &item, "[x1, y1, x2, y2], or a point [x, y]"))
        });
        let boxes = boxes.collect::<Result<Vec<_>, _>>()?;
        let bbox_type = match value.get("bbox_type") {
            None => BboxType::Real,
            Some(Value::Text(name)) if name == "real" => BboxType::Real,
            Some(Value::Text(name)) if name == "norm1" => BboxType::Norm1,
            Some(Value::Text(name)) if name == "norm1000" => BboxType::Norm1000,
            Some(other) => {
                return Err(wrong("unknown bbox_type", other, "real, norm1 or norm1000"));
            }
        };
        let image_id = list("image_id")?.into_iter().map(|item| match &item {
            Value::Number(number) if number.as_u64().is_some() => {
                Ok(number.as_u64().unwrap_or_default() as usize)
            }
            _ => Err(wrong(
                "image_id is not the number of an image",
                &item,
                "0, 1, …",
            )),
        });
        let image_id = image_id.collect::<Result<Vec<_>, _>>()?;
        if refs.is_empty() && boxes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            refs,
            boxes,
            bbox_type,
            image_id,
            source,
        }))
    }

    /// The image that box `index` lies in.
    pub fn image(&self, index: usize) -> usize {
        self.image_id.get(index).copied().unwrap_or(0)
    }

    /// Fills the placeholders of turns in order; `scale` knows the sizes of an image, none where the row has
    /// none (coordinates then stay as they are).
    ///
    /// # Errors
    /// Those of `scale`, and [`Error::Row`] when there are more placeholders than objects: every box behind
    /// the missing one would stand for another object.
    pub fn fill(
        &self,
        messages: &mut [Message],
        format: BoxFormat,
        scale: &dyn Fn(usize) -> Result<Option<Scale>, Error>,
    ) -> Result<(), Error> {
        let (mut refs, mut boxes) = (0, 0);
        for part in messages.iter_mut().flat_map(|turn| &mut turn.content) {
            let Part::Text(text) = part else { continue };
            let mut out = String::new();
            let mut rest = text.as_str();
            while let Some((at, tag)) = next_tag(rest) {
                out.push_str(&rest[..at]);
                rest = &rest[at + tag.len()..];
                if tag == REF {
                    let name = self.refs.get(refs);
                    let name = name.ok_or_else(|| missing(REF, "objects.ref", self.refs.len()))?;
                    out.push_str(&written_ref(name, format));
                    refs += 1;
                } else {
                    let corners = self
                        .boxes
                        .get(boxes)
                        .ok_or_else(|| missing(BOX, "objects.bbox", self.boxes.len()))?;
                    let scale = scale(self.image(boxes))?;
                    out.push_str(&written_box(&self.scaled(corners, scale), format));
                    boxes += 1;
                }
            }
            out.push_str(rest);
            *text = out;
        }
        Ok(())
    }

    fn scaled(&self, corners: &[f64], scale: Option<Scale>) -> Vec<Number> {
        let Some([stored, target]) = scale else {
            return corners.iter().map(|&value| plain(value)).collect();
        };
        let unit = match self.bbox_type {
            BboxType::Real => stored,
            BboxType::Norm1 => (1.0, 1.0),
            BboxType::Norm1000 => (1000.0, 1000.0),
        };
        let axes = [(unit.0, target.0), (unit.1, target.1)];
        let scaled = corners.iter().zip(axes.iter().cycle());
        scaled
            .map(|(&value, (from, to))| Number::from((value / from * to).round_ties_even() as i64))
            .collect()
    }
}

fn missing(tag: &str, column: &str, count: usize) -> Error {
    Error::row(format!("more {tag} in the turns than entries in {column}"))
        .field("objects")
        .found(format!("{count} entries"))
        .help(format!("each {tag} needs one entry of {column}, in order"))
}

/// The next placeholder of a text.
fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    let found = [REF, BOX].map(|tag| text.find(tag).map(|at| (at, tag)));
    found.into_iter().flatten().min()
}

fn written_ref(name: &str, format: BoxFormat) -> String {
    match format {
        BoxFormat::Tokens => format!("<|object_ref_start|>{name}<|object_ref_end|>"),
        BoxFormat::Json | BoxFormat::Plain => name.to_owned(),
    }
}

fn written_box(corners: &[Number], format: BoxFormat) -> String {
    let points = || {
        let points = corners.chunks(2).map(|point| {
            let point: Vec<String> = point.iter().map(Number::to_string).collect();
            format!("({})", point.join(","))
        });
        points.collect::<Vec<String>>().join(",")
    };
    match format {
        BoxFormat::Tokens => format!("<|box_start|>{}<|box_end|>", points()),
        BoxFormat::Plain => format!("[{}]", points()),
        BoxFormat::Json => {
            let all: Vec<String> = corners.iter().map(Number::to_string).collect();
            format!("[{}]", all.join(", "))
        }
    }
}

/// Two or four numbers; the corners of a box in order.
fn coordinates(value: &Value) -> Option<Vec<f64>> {
    let Value::List(items) = value else {
        return None;
    };
    let numbers = items.iter().map(|item| match item {
        Value::Number(number) => number.as_f64().filter(|n| n.is_finite()),
        _ => None,
    });
    let mut numbers = numbers.collect::<Option<Vec<f64>>>()?;
    match numbers.len() {
        2 => {}
        4 => {
            for (low, high) in [(0, 2), (1, 3)] {
                if numbers[low] > numbers[high] {
                    numbers.swap(low, high);
                }
            }
        }
        _ => return None,
    }
    Some(numbers)
}

/// A coordinate as it was written: whole where it is whole.
fn plain(value: f64) -> Number {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Number::from(value as i64);
    }
    Number::from_f64(value).unwrap_or_else(|| Number::from(0))
}
