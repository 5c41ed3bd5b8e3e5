//! Step `roles`: which object is replaced, which is asked about, which could come instead.
//!
//! As in the official script: in every image with two classes or more each class is the target
//! once; the contextual class is drawn from the others with a probability that is proportional to
//! its co-occurrence with the target (evenly, when none is recorded); candidates are drawn from the
//! classes that never occur with the contextual one, filled up with those that do so least.
//!
//! Different from it: classes in the image are no candidates (`allow_present`), and targets that
//! cannot be taken away (crowds, too many, too small, too large) are left out with the reason.

use std::path::Path;

use percept_data::coco::{CocoImage, CocoInstances, Object};
use percept_steps::draw;

use super::statistics::{Statistics, present};
use crate::names::stem;
use crate::{BuildConfig, Role, Row, Weight};

/// Decides about every class of every image.
pub(crate) fn decide(
    coco: &CocoInstances,
    images: &Path,
    statistics: &Statistics,
    config: &BuildConfig,
) -> Vec<Row<Role>> {
    let mut rows = Vec::new();
    for image in coco.images() {
        let stem = stem(&image.file_name);
        let classes: Vec<String> = present(coco, image.id).into_iter().collect();
        if classes.len() < 2 {
            rows.push(Row::dropped(stem, "fewer than two annotated classes"));
            continue;
        }
        if !images.join(&image.file_name).is_file() {
            rows.push(Row::dropped(stem, "the image is not in the folder"));
            continue;
        }
        let scene = Scene {
            coco,
            statistics,
            config,
            image,
            classes: &classes,
        };
        let of_image = classes.iter().map(|target| {
            let id = format!("{stem}:{target}");
            match scene.role(target) {
                Ok(role) => Row::kept(id, role),
                Err(reason) => Row::dropped(id, reason),
            }
        });
        rows.extend(limited(of_image.collect(), config));
    }
    rows
}

/// Drops what is over the limit of edits for an image; chance decides which.
fn limited(mut rows: Vec<Row<Role>>, config: &BuildConfig) -> Vec<Row<Role>> {
    let Some(most) = config.max_edits_per_image else {
        return rows;
    };
    let mut kept: Vec<usize> = (0..rows.len())
        .filter(|&at| rows[at].kept.is_some())
        .collect();
    kept.sort_by_key(|&at| draw(config.seed, &["limit", &rows[at].id]));
    for &at in kept.iter().skip(most) {
        rows[at] = Row::dropped(rows[at].id.clone(), "over the limit of edits for one image");
    }
    rows
}

struct Scene<'a> {
    coco: &'a CocoInstances,
    statistics: &'a Statistics,
    config: &'a BuildConfig,
    image: &'a CocoImage,
    classes: &'a [String],
}

impl Scene<'_> {
    fn role(&self, target: &str) -> Result<Role, String> {
        let objects = self.objects(target);
        let share = self.removable(&objects)?;
        let (contextual, contextual_weights) = self.contextual(target);
        let (candidates, candidates_rule) = self.candidates(&contextual);
        if candidates.len() != self.config.candidates {
            let (found, wanted) = (candidates.len(), self.config.candidates);
            return Err(format!("not {wanted} candidate classes: {found}"));
        }
        Ok(Role {
            image: self.image.id,
            file: self.image.file_name.clone(),
            present: self.classes.to_vec(),
            target: target.to_owned(),
            target_objects: objects.iter().map(|o| o.id).collect(),
            target_share: share,
            contextual,
            contextual_weights,
            candidates,
            candidates_rule,
        })
    }

    /// The objects of a class, the largest first.
    fn objects(&self, class: &str) -> Vec<&Object> {
        let objects = self.coco.objects(self.image.id).iter();
        let mut objects: Vec<&Object> = objects
            .filter(|o| self.coco.category_name(o.category) == Some(class))
            .collect();
        objects.sort_by(|a, b| b.area.total_cmp(&a.area).then(a.id.cmp(&b.id)));
        objects
    }

    /// The share of the image that the target covers, if it can be taken away.
    fn removable(&self, objects: &[&Object]) -> Result<f64, String> {
        if objects.iter().any(|o| o.crowd) {
            return Err("the target is marked as a crowd".into());
        }
        if objects.len() > self.config.max_instances {
            let (found, most) = (objects.len(), self.config.max_instances);
            return Err(format!("more objects of the target than {most}: {found}"));
        }
        let pixels = f64::from(self.image.width) * f64::from(self.image.height);
        let share = objects.iter().map(|o| o.area).sum::<f64>() / pixels;
        if share < self.config.min_target_share {
            return Err("the target is too small".into());
        }
        if share > self.config.max_target_share {
            return Err("the target is too large".into());
        }
        Ok(share)
    }

    fn contextual(&self, target: &str) -> (String, Vec<Weight>) {
        let others = || self.classes.iter().filter(|class| *class != target);
        let count = |class: &String| self.statistics.together(target, class);
        let total: u64 = others().map(count).sum();
        let evenly = 1.0 / others().count().max(1) as f64;
        let weights: Vec<Weight> = others()
            .map(|class| Weight {
                class: class.clone(),
                count: count(class),
                probability: match total {
                    0 => evenly,
                    total => count(class) as f64 / total as f64,
                },
            })
            .collect();
        let id = self.image.id.to_string();
        let drawn = draw(self.config.seed, &["contextual", &id, target]);
        let mut rest = drawn as f64 / 2.0_f64.powi(64);
        for weight in &weights {
            rest -= weight.probability;
            if rest < 0.0 {
                return (weight.class.clone(), weights);
            }
        }
        // Rounding: the probabilities may sum to a little less than 1.
        let last = weights.iter().rfind(|w| w.probability > 0.0);
        (last.map(|w| w.class.clone()).unwrap_or_default(), weights)
    }

    fn candidates(&self, contextual: &str) -> (Vec<String>, String) {
        let wanted = self.config.candidates;
        let allowed = |class: &&str| {
            *class != contextual
                && (self.config.allow_present || !self.classes.iter().any(|shown| shown == class))
        };
        let id = self.image.id.to_string();
        let order = |class: &str| draw(self.config.seed, &["candidate", &id, contextual, class]);
        let mut classes: Vec<(u64, u64, &str)> = (self.statistics.names().filter(allowed))
            .map(|class| {
                (
                    self.statistics.together(contextual, class),
                    order(class),
                    class,
                )
            })
            .collect();
        // Never together first, in an order by chance; then the rarest.
        classes.sort_unstable();
        let never = classes.iter().filter(|(count, _, _)| *count == 0).count();
        let names = classes.into_iter().map(|(_, _, class)| class.to_owned());
        let rule = match never >= wanted {
            true => format!("{wanted} by chance of {never} classes never seen with {contextual}"),
            false => format!("{never} classes never seen with {contextual}, then the rarest"),
        };
        (names.take(wanted).collect(), rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Images of 100 × 100 with these classes, one object of 10 % each.
    fn coco(images: &[&[u32]]) -> CocoInstances {
        let names = ["person", "skis", "backpack", "bear", "cat", "cow", "cup"];
        let categories: Vec<_> = (names.iter().enumerate())
            .map(|(at, name)| serde_json::json!({"id": at, "name": name}))
            .collect();
        let (mut listed, mut annotations) = (Vec::new(), Vec::new());
        for (at, classes) in images.iter().enumerate() {
            listed.push(serde_json::json!({"id": at, "file_name": format!("{at}.png"), "width": 100, "height": 100}));
            for class in *classes {
                annotations.push(serde_json::json!({"id": annotations.len(), "image_id": at,
                    "category_id": class, "bbox": [0, 0, 10, 100], "area": 1000.0}));
            }
        }
        let json = serde_json::json!({"images": listed, "categories": categories, "annotations": annotations});
        CocoInstances::read(json.to_string().as_bytes()).unwrap()
    }

    fn rows(coco: &CocoInstances, config: &BuildConfig) -> Vec<Row<Role>> {
        let folder = tempfile::tempdir().unwrap();
        for image in coco.images() {
            std::fs::write(folder.path().join(&image.file_name), b"").unwrap();
        }
        decide(coco, folder.path(), &Statistics::of(coco), config)
    }

    #[test]
    fn contextual_classes_are_drawn_in_proportion_to_co_occurrence() {
        // A person stands with skis three times as often as with a backpack; the last image asks.
        let mut images: Vec<&[u32]> = vec![&[0, 1]; 299];
        images.extend(vec![&[0, 2][..]; 99]);
        images.push(&[0, 1, 2]);
        let coco = coco(&images);
        let mut drawn: BTreeMap<String, usize> = BTreeMap::new();
        for seed in 0..400 {
            let config = BuildConfig {
                seed,
                candidates: 4,
                ..BuildConfig::default()
            };
            let scene_rows = decide_last(&coco, &config);
            *drawn.entry(scene_rows.contextual).or_default() += 1;
        }
        // 75 % ± 4 standard deviations.
        let skis = drawn["skis"] as f64 / 400.0;
        assert!((skis - 0.75).abs() < 0.087, "{drawn:?}");
    }

    fn decide_last(coco: &CocoInstances, config: &BuildConfig) -> Role {
        let image = coco.images().last().unwrap();
        let classes: Vec<String> = present(coco, image.id).into_iter().collect();
        let scene = Scene {
            coco,
            statistics: &Statistics::of(coco),
            config,
            image,
            classes: &classes,
        };
        scene.role("person").unwrap()
    }

    #[test]
    fn candidates_are_absent_and_least_expected_beside_the_contextual_object() {
        // Skis occur with person and backpack only; a bear never with anything.
        let coco = coco(&[&[0, 1], &[1, 2], &[0, 1, 2], &[0, 4]]);
        for seed in 0..30 {
            let config = BuildConfig {
                seed,
                candidates: 4,
                ..BuildConfig::default()
            };
            for row in rows(&coco, &config) {
                let Some(role) = row.kept else { continue };
                assert!(
                    role.candidates.iter().all(|c| !role.present.contains(c)),
                    "{role:?}"
                );
                assert!(!role.candidates.contains(&role.contextual));
            }
        }
        // Five classes stay beside two present ones; six cannot be had.
        let config = BuildConfig {
            candidates: 6,
            ..BuildConfig::default()
        };
        let rows = rows(&coco, &config);
        assert!(rows.iter().all(|row| row.kept.is_none()));
        assert_eq!(
            rows[0].dropped.as_deref(),
            Some("not 6 candidate classes: 5")
        );
    }

    #[test]
    fn targets_that_cannot_be_taken_away_are_named_with_the_reason() {
        let coco = coco(&[&[0], &[0, 0, 0, 0, 1], &[0, 1]]);
        let config = BuildConfig {
            candidates: 2,
            max_edits_per_image: Some(1),
            ..BuildConfig::default()
        };
        let rows = rows(&coco, &config);
        let why: Vec<_> = rows
            .iter()
            .filter_map(|row| row.dropped.as_deref())
            .collect();
        assert_eq!(
            why,
            [
                "fewer than two annotated classes",
                "more objects of the target than 3: 4",
                "over the limit of edits for one image"
            ]
        );
        assert_eq!(rows.iter().filter(|row| row.kept.is_some()).count(), 2);
    }
}
