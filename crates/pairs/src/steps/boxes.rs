//! Step `boxes`: where each tag is.

use std::collections::BTreeMap;

use percept_data::Dataset;
use percept_steps::Row;
use percept_vision::tools::{BoxSegmenter, Detection, Detector, Segmenter, Shown};

use super::tried::tried;
use crate::pictures::{media, shown};
use crate::{BoxRecord, PairsConfig, PairsError, SourceRow, TagRecord};

/// What boxes are found with.
pub(crate) struct BoxStep<'a> {
    pub data: &'a dyn Dataset,
    pub detector: &'a dyn Detector,
    pub config: &'a PairsConfig,
}

impl BoxStep<'_> {
    /// Finds the tags of one picture.
    pub fn find(
        &self,
        key: &str,
        row: &SourceRow,
        tags: &TagRecord,
    ) -> Result<Row<BoxRecord>, PairsError> {
        let image = media(self.data, row, 0)?.decode()?;
        let shown = shown(&image, &row.pictures[0]);
        let names: Vec<&str> = tags.tags.iter().map(|tag| tag.tag.as_str()).collect();
        let found = self.detector.detect(&shown, &names);
        let found = match tried(self.config, &row.id, "detector", found)? {
            Ok(found) => found,
            Err(reason) => return Ok(Row::dropped(key, reason)),
        };
        let record = self.kept(&shown, &names, found)?;
        if record.boxes.is_empty() {
            let why: Vec<String> = (record.left_out.iter())
                .map(|(why, count)| format!("{count} {why}"))
                .collect();
            let details = match why.is_empty() {
                true => String::new(),
                false => format!(": {}", why.join(", ")),
            };
            return Ok(Row::dropped(key, format!("nothing was detected{details}")));
        }
        Ok(Row::kept(key, record))
    }

    fn kept(
        &self,
        shown: &Shown<'_>,
        names: &[&str],
        found: Vec<Detection>,
    ) -> Result<BoxRecord, PairsError> {
        let mut left_out = BTreeMap::new();
        let inside = BoxSegmenter.masks(shown, &found)?;
        let mut boxes = Vec::new();
        for (found, inside) in found.into_iter().zip(inside) {
            let text_score = found.text_score.unwrap_or(1.0);
            let why = if !names.contains(&found.tag.as_str()) {
                "of other tags"
            } else if found.score < self.config.box_threshold {
                "below --box-threshold"
            } else if text_score < self.config.text_threshold {
                "below --text-threshold"
            } else if inside.is_empty() {
                "outside the picture"
            } else {
                boxes.push(found);
                continue;
            };
            *left_out.entry(why.to_owned()).or_default() += 1;
        }
        let place = |tag: &str| names.iter().position(|name| *name == tag);
        boxes.sort_by_key(|found: &Detection| place(&found.tag));
        Ok(BoxRecord { boxes, left_out })
    }
}
