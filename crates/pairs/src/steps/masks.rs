//! Step `masks`: the pixels of each tag, all instances together, and the grown mask that is removed.

use percept_data::Dataset;
use percept_data::coco::Mask;
use percept_steps::{Row, kind};
use percept_vision::tools::{Detection, Segmenter};

use super::tried::tried;
use crate::pictures::{media, shown};
use crate::{BoxRecord, CandidateMask, MaskRecord, PairsConfig, PairsError, SourceRow};

/// The longer side for which [`PairsConfig::dilate`] is meant.
const SIDE: f64 = 336.0;

/// What masks are made with.
pub(crate) struct MaskStep<'a> {
    pub data: &'a dyn Dataset,
    pub segmenter: &'a dyn Segmenter,
    pub config: &'a PairsConfig,
}

impl MaskStep<'_> {
    /// Segments one picture.
    pub fn segment(
        &self,
        key: &str,
        row: &SourceRow,
        found: &BoxRecord,
    ) -> Result<Row<MaskRecord>, PairsError> {
        let image = media(self.data, row, 0)?.decode()?;
        let shown = shown(&image, &row.pictures[0]);
        let masks = self.segmenter.masks(&shown, &found.boxes);
        let masks = match tried(self.config, &row.id, "segmenter", masks)? {
            Ok(masks) => masks,
            Err(reason) => return Ok(Row::dropped(key, reason)),
        };
        let (width, height) = image.dimensions();
        let mut joined: Vec<(&str, usize, Mask)> = Vec::new();
        for (Detection { tag, .. }, mask) in found.boxes.iter().zip(&masks) {
            match joined.iter_mut().find(|(name, ..)| name == tag) {
                Some((_, instances, all)) => {
                    *instances += 1;
                    *all = PairsError::of_mask(&row.id, all.union(mask))?;
                }
                None => {
                    // Also checks the size of a first mask.
                    let mask = Mask::new(width, height).union(mask);
                    joined.push((tag, 1, PairsError::of_mask(&row.id, mask)?));
                }
            }
        }
        let masks: Vec<CandidateMask> = (joined.into_iter())
            .map(|(tag, instances, mask)| self.candidate(tag, instances, &mask))
            .collect();
        if masks.iter().all(|mask| mask.skipped.is_some()) {
            return Ok(Row::dropped(key, reason_against(&masks)));
        }
        let size = [width, height];
        Ok(Row::kept(key, MaskRecord { size, masks }))
    }

    fn candidate(&self, tag: &str, instances: usize, mask: &Mask) -> CandidateMask {
        let (width, height) = (mask.width(), mask.height());
        let grow = self.config.dilate * f64::from(width.max(height)) / SIDE;
        // An odd kernel grows evenly to all sides.
        let removed = mask.dilate(2 * grow.round() as u32 + 1, 1);
        let area = removed.area() as f64 / (f64::from(width) * f64::from(height));
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let skipped = if mask.is_empty() {
            Some("an empty mask".to_owned())
        } else if area > self.config.max_area {
            let most = percent(self.config.max_area);
            Some(format!("removed area above {most}: {}", percent(area)))
        } else if area < self.config.min_area {
            let least = percent(self.config.min_area);
            Some(format!("removed area below {least}: {}", percent(area)))
        } else {
            None
        };
        CandidateMask {
            tag: tag.to_owned(),
            instances,
            rle: mask.rle_string(),
            removed_rle: removed.rle_string(),
            area,
            skipped,
        }
    }
}

/// The reason that all candidates have, or that they have different ones.
fn reason_against(masks: &[CandidateMask]) -> String {
    let all: Vec<&str> = masks.iter().filter_map(|m| m.skipped.as_deref()).collect();
    let first = all.first().copied().unwrap_or("no mask");
    match all.iter().all(|reason| kind(reason) == kind(first)) {
        true => first.to_owned(),
        false => format!(
            "every mask is empty, too large or too small: {}",
            all.join("; ")
        ),
    }
}
