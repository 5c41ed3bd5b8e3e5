//! Step `tags`: what each picture shows.

use std::collections::BTreeMap;

use percept_data::Dataset;
use percept_steps::Row;
use percept_vision::tools::{Tag, Tagger};

use super::tried::tried;
use crate::pictures::{media, shown};
use crate::{PairsConfig, PairsError, SourceRow, TagRecord};

/// What tags are made with.
pub(crate) struct TagStep<'a> {
    pub data: &'a dyn Dataset,
    pub tagger: &'a dyn Tagger,
    pub config: &'a PairsConfig,
}

impl TagStep<'_> {
    /// Tags one picture.
    pub fn tag(&self, key: &str, row: &SourceRow) -> Result<Row<TagRecord>, PairsError> {
        let image = media(self.data, row, 0)?.decode()?;
        let said = self.tagger.tags(&shown(&image, &row.pictures[0]));
        let tags = match tried(self.config, &row.id, "tagger", said)? {
            Ok(tags) => tags,
            Err(reason) => return Ok(Row::dropped(key, reason)),
        };
        let record = self.kept(tags);
        if record.tags.is_empty() {
            return Ok(Row::dropped(key, "no tags"));
        }
        Ok(Row::kept(key, record))
    }

    fn kept(&self, said: Vec<Tag>) -> TagRecord {
        let mut left_out = BTreeMap::new();
        let mut leave = |why: &str| *left_out.entry(why.to_owned()).or_default() += 1;
        let mut tags: Vec<Tag> = Vec::new();
        for tag in said {
            let tag = Tag {
                tag: tag.tag.trim().to_owned(),
                ..tag
            };
            if tag.tag.is_empty() {
                leave("empty");
            } else if tag.score < self.config.tag_threshold {
                leave("below --tag-threshold");
            } else if tags.iter().any(|other| other.tag == tag.tag) {
                leave("said before");
            } else {
                tags.push(tag);
            }
        }
        tags.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tag.cmp(&b.tag)));
        for _ in tags.drain(tags.len().min(self.config.max_candidates)..) {
            leave("more than --max-candidates");
        }
        TagRecord { tags, left_out }
    }
}
