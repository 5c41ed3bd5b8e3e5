//! Step `candidates`: the picture without each of its tags.
//!
//! Outside what is removed the original is put back, whatever an editor did there. Other objects are not copied into the
//! hole; what lies around it (a table, a field) may go on behind it.

use percept_data::Dataset;
use percept_data::coco::{Mask, Rect};
use percept_steps::{Folder, Row, draw};
use percept_vision::{Edit, Editor, composite};

use super::tried::tried;
use crate::pictures::{media, write};
use crate::{CandidateFile, CandidateMask, MaskRecord, PairsConfig, PairsError, SourceRow};

/// What candidates are made with.
pub(crate) struct CandidateStep<'a> {
    pub data: &'a dyn Dataset,
    pub folder: &'a Folder,
    pub remover: &'a dyn Editor,
    pub config: &'a PairsConfig,
}

/// The masks of a tag: its pixels, and what is removed.
pub(crate) fn masks(
    id: &str,
    size: [u32; 2],
    mask: &CandidateMask,
) -> Result<[Mask; 2], PairsError> {
    let [width, height] = size;
    let read = |rle: &str| PairsError::of_mask(id, Mask::from_rle_string(rle, width, height));
    Ok([read(&mask.rle)?, read(&mask.removed_rle)?])
}

impl CandidateStep<'_> {
    /// Makes the candidates of one row.
    pub fn make(
        &self,
        key: &str,
        row: &SourceRow,
        record: &MaskRecord,
    ) -> Result<Row<Vec<CandidateFile>>, PairsError> {
        let image = media(self.data, row, 0)?.decode()?;
        let all = record.masks.iter().map(|m| masks(&row.id, record.size, m));
        let all: Vec<[Mask; 2]> = all.collect::<Result<_, _>>()?;
        let mut made = Vec::new();
        let mut refused = String::new();
        for (at, mask) in record.masks.iter().enumerate() {
            if mask.skipped.is_some() {
                continue;
            }
            let [object, removed] = &all[at];
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            let avoid = avoided(&row.id, removed, others.map(|(_, [other, _])| other))?;
            let prompt = format!("the same scene without any {}", mask.tag);
            let edited = self.remover.edit(&Edit {
                image: &image,
                mask: removed,
                object,
                avoid: &avoid,
                class: &mask.tag,
                prompt: &prompt,
                cutout: None,
                seed: draw(self.config.seed, &["remove", &row.id, &mask.tag]),
            });
            let edited = match edited {
                // What lies in the picture.
                Err(e @ percept_vision::Error::Covered { .. }) => {
                    refused = e.to_string();
                    continue;
                }
                edited => match tried(self.config, &row.id, "remover", edited)? {
                    Ok(edited) => edited,
                    Err(reason) => return Ok(Row::dropped(key, reason)),
                },
            };
            let whole = composite(&image, &edited.image, removed)?;
            let file = format!("candidates/{key}-{at:02}.png");
            made.push(write(self.folder, file, &mask.tag, &whole)?);
        }
        if made.is_empty() {
            return Ok(Row::dropped(
                key,
                format!("nothing could be removed: {refused}"),
            ));
        }
        Ok(Row::kept(key, made))
    }
}

/// Pixels of other objects, except those around the hole.
fn avoided<'a>(
    id: &str,
    hole: &Mask,
    others: impl Iterator<Item = &'a Mask>,
) -> Result<Mask, PairsError> {
    let mut avoid = Mask::new(hole.width(), hole.height());
    let around = |inner: Rect, outer: Rect| {
        outer.x <= inner.x
            && outer.y <= inner.y
            && outer.x + outer.width >= inner.x + inner.width
            && outer.y + outer.height >= inner.y + inner.height
    };
    for other in others {
        let inside = hole.bounding_box().zip(other.bounding_box());
        if inside.is_some_and(|(hole, other)| !around(hole, other)) {
            avoid = PairsError::of_mask(id, avoid.union(other))?;
        }
    }
    Ok(avoid)
}
