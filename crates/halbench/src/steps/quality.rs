//! Step `quality`: what was wanted against what came.
//!
//! Always checked, from the files as they were written: nothing outside the mask changed; the place
//! of the new object did; the mask reached the target. With a scorer ([`ClassScorer`], like CLIP):
//! the mask's bounding box gained the new class and lost the old one; with one that detects
//! ([`Redetector`](crate::Redetector)): it saw the old class before and not after, the new one the
//! other way round. What could not be checked is
//! said in each row.

use image::{RgbImage, imageops};
use percept_data::Media;
use percept_data::coco::Mask;
use percept_steps::Folder;
use percept_vision::{ClassScorer, changed_outside};

use crate::scene::Scene;
use crate::{BuildConfig, BuildError, Checks, EditRecord, Pair, Row};

/// What is checked with.
pub(crate) struct QualityStep<'a> {
    pub scene: Scene<'a>,
    pub folder: &'a Folder,
    pub scorer: Option<&'a dyn ClassScorer>,
    pub config: &'a BuildConfig,
}

impl QualityStep<'_> {
    /// Checks one edit.
    pub fn check(&self, id: &str, record: &EditRecord) -> Result<Row<Pair>, BuildError> {
        let original = self.scene.picture(&record.choice.role.file);
        original.may_leave()?;
        let original = original.decode()?;
        let edited = Media::from_path(self.folder.out.join(&record.edited)).decode()?;
        let [width, height] = record.size;
        let mask = Mask::from_rle_string(&record.mask_rle, width, height)?;
        let new = match &record.placement {
            Some(placement) => Mask::from_rle_string(&placement.rle, width, height)?,
            None => mask.clone(),
        };
        let mut not_checked = Vec::new();
        let scores = match self.scorer {
            Some(scorer) => match scores(scorer, record, &original, &edited, &mask) {
                Ok(scores) => Some(scores),
                Err(e @ percept_vision::Error::Unscored(_)) => {
                    return Ok(Row::dropped(id, e.to_string()));
                }
                Err(e) => return Err(e.into()),
            },
            None => {
                not_checked.push("gain of the new class and loss of the old one: no scorer".into());
                None
            }
        };
        if !self.scorer.is_some_and(ClassScorer::detects) {
            let what = "that a detector finds the new object and not the old one: none was given";
            not_checked.push(what.into());
        }
        let checks = Checks {
            changed_outside: changed_outside(&original, &edited, &mask, 0)?,
            change_inside: mean_change(&original, &edited, &new),
            target_reached: record.target_reached,
            scores,
            not_checked,
        };
        Ok(match self.reason_against(&checks) {
            Some(reason) => Row::dropped(id, reason),
            None => Row::kept(
                id,
                Pair {
                    edit: record.clone(),
                    checks,
                },
            ),
        })
    }

    fn reason_against(&self, checks: &Checks) -> Option<String> {
        let config = self.config;
        if checks.changed_outside > 0.0 {
            return Some(format!(
                "{:.3} of the pixels outside the mask changed",
                checks.changed_outside
            ));
        }
        if checks.target_reached < config.min_target_reached {
            let reached = checks.target_reached;
            return Some(format!(
                "the contextual object covers the target: the mask reaches {reached:.2} of it"
            ));
        }
        if checks.change_inside < config.min_change {
            return Some(format!(
                "the edit changed its place by {:.1} levels only",
                checks.change_inside
            ));
        }
        let [new_before, new_after, old_before, old_after] = checks.scores?;
        let (gain, loss) = (new_after - new_before, old_before - old_after);
        if self.scorer.is_some_and(ClassScorer::detects) {
            let seen = [
                (
                    new_before > 0.5,
                    "the new class was detected before the edit",
                ),
                (
                    new_after < 0.5,
                    "the new class is not detected after the edit",
                ),
                (
                    old_before < 0.5,
                    "the old class was not detected before the edit",
                ),
                (
                    old_after > 0.5,
                    "the old class is still detected after the edit",
                ),
            ];
            return (seen.iter().find(|(against, _)| *against)).map(|(_, why)| (*why).into());
        }
        if gain <= config.min_score_gain {
            let least = config.min_score_gain;
            return Some(format!(
                "the score of the new class rose by {least} or less: {gain:.3}"
            ));
        }
        if loss <= config.min_score_gain {
            let least = config.min_score_gain;
            return Some(format!(
                "the score of the old class fell by {least} or less: {loss:.3}"
            ));
        }
        None
    }
}

/// Mean absolute difference over the pixels of a mask, in levels of 255.
fn mean_change(a: &RgbImage, b: &RgbImage, mask: &Mask) -> f64 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for (x, y) in mask.pixels() {
        let pairs = a.get_pixel(x, y).0.into_iter().zip(b.get_pixel(x, y).0);
        sum += pairs.map(|(a, b)| u64::from(a.abs_diff(b))).sum::<u64>();
        count += 3;
    }
    sum as f64 / count.max(1) as f64
}

/// Scores of the mask's bounding box before and after.
fn scores(
    scorer: &dyn ClassScorer,
    record: &EditRecord,
    original: &RgbImage,
    edited: &RgbImage,
    mask: &Mask,
) -> Result<[f64; 4], percept_vision::Error> {
    let classes = [
        record.choice.counterfactual.as_str(),
        record.choice.role.target.as_str(),
    ];
    let crop = |image: &RgbImage| match mask.bounding_box() {
        Some(b) => imageops::crop_imm(image, b.x, b.y, b.width, b.height).to_image(),
        None => image.clone(),
    };
    let of = |image: &RgbImage| -> Result<[f64; 2], percept_vision::Error> {
        let scores = scorer.scores(&crop(image), &classes)?;
        match scores[..] {
            [new, old] if new.is_finite() && old.is_finite() => Ok([new, old]),
            _ => Err(percept_vision::Error::Service(format!(
                "a scorer gave {scores:?} for two classes; expected two finite numbers"
            ))),
        }
    };
    let ([new_before, old_before], [new_after, old_after]) = (of(original)?, of(edited)?);
    Ok([new_before, new_after, old_before, old_after])
}
