//! Step `choice`: the candidate that is least like the chosen answer.
//!
//! Similarity of a picture is the mean over the sentences of the answer of which the scorer makes something: a text encoder
//! that ends after 77 tokens would not see the end of a long answer. A row is left out where even the best removal
//! does not lower it.

use percept_data::coco::Mask;
use percept_data::{Dataset, Media};
use percept_steps::{Folder, Row};
use percept_vision::tools::{SeenObject, TextImageScorer, View};

use super::candidates::masks;
use super::tried::tried;
use crate::pictures::{is_whole, media};
use crate::{CandidateFile, ChoiceRecord, MaskRecord, PairsConfig, PairsError, Scored, SourceRow};

/// What is chosen with.
pub(crate) struct ChoiceStep<'a> {
    pub data: &'a dyn Dataset,
    pub folder: &'a Folder,
    pub scorer: &'a dyn TextImageScorer,
    pub config: &'a PairsConfig,
}

impl ChoiceStep<'_> {
    /// Chooses for one row.
    pub fn choose(
        &self,
        key: &str,
        row: &SourceRow,
        record: &MaskRecord,
        made: &[CandidateFile],
    ) -> Result<Row<ChoiceRecord>, PairsError> {
        let image = media(self.data, row, 0)?.decode()?;
        let all = record.masks.iter().map(|m| masks(&row.id, record.size, m));
        let all: Vec<[Mask; 2]> = all.collect::<Result<_, _>>()?;
        let objects: Vec<SeenObject> = (record.masks.iter().zip(&all))
            .map(|(mask, [pixels, _])| SeenObject {
                tag: mask.tag.clone(),
                mask: pixels.clone(),
            })
            .collect();
        let original = View {
            image: &image,
            objects: &objects,
            removed: None,
        };
        let (original, sentences) = match self.similarity(row, &original)? {
            Ok(mean) => mean,
            Err(reason) => return Ok(Row::dropped(key, reason)),
        };
        let mut candidates = Vec::new();
        let mut best: Option<(f64, f64, &str)> = None;
        for file in made {
            let place = record.masks.iter().position(|m| m.tag == file.tag);
            let Some(at) = place.filter(|_| is_whole(self.folder, file)) else {
                return Err(PairsError::Changed { id: row.id.clone() });
            };
            let edited = Media::from_path(self.folder.out.join(&file.file)).decode()?;
            let view = View {
                image: &edited,
                objects: &objects,
                removed: Some(&all[at][1]),
            };
            let similarity = match self.similarity(row, &view)? {
                Ok((similarity, _)) => similarity,
                Err(reason) => return Ok(Row::dropped(key, reason)),
            };
            candidates.push(Scored {
                tag: file.tag.clone(),
                similarity,
            });
            // Of equals the one that removes less.
            let area = record.masks[at].area;
            if best.is_none_or(|(s, a, _)| (similarity, area) < (s, a)) {
                best = Some((similarity, area, &file.tag));
            }
        }
        let Some((lowest, _, chosen)) = best else {
            return Ok(Row::dropped(key, "no candidate"));
        };
        if original - lowest <= self.config.min_drop {
            let reason =
                format!("no removal lowers the similarity: {original:.3}, lowest {lowest:.3}");
            return Ok(Row::dropped(key, reason));
        }
        let chosen = chosen.to_owned();
        Ok(Row::kept(
            key,
            ChoiceRecord {
                original,
                sentences,
                candidates,
                chosen,
            },
        ))
    }

    /// The mean over sentences, and of how many.
    fn similarity(
        &self,
        row: &SourceRow,
        view: &View<'_>,
    ) -> Result<Result<(f64, usize), String>, PairsError> {
        let texts: Vec<&str> = row.sentences.iter().map(String::as_str).collect();
        let scores = self.scorer.similarities(view, &texts);
        let scores = match tried(self.config, &row.id, "scorer", scores)? {
            Ok(scores) => scores,
            Err(reason) => return Ok(Err(reason)),
        };
        let scores: Vec<f64> = scores.into_iter().flatten().collect();
        if scores.is_empty() {
            return Ok(Err(
                "the answer names nothing that was found in the picture".into(),
            ));
        }
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        Ok(Ok((mean, scores.len())))
    }
}
