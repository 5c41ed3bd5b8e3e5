//! Descriptions of annotated images: which images, what is in them, what a model answered about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use percept_benchmarks::hallucination::Vocabulary;
use percept_benchmarks::hallucination::chair::Objects;
use percept_benchmarks::hallucination::files::{given, objects};
use percept_benchmarks::hallucination::pope_build::{Annotated, select};
use percept_data::coco::{CocoCaptions, CocoInstances};
use serde_json::Value;

use super::output::{OutputArgs, answered_by, pictures};
use crate::shared::Failure;
use crate::shared::answerer::{AnswererArgs, Answers, Query};

/// What is in the images, and which are described.
#[derive(Debug, Clone, Args)]
pub struct GroundArgs {
    /// COCO instances files; name every split that has an image (may be repeated).
    #[arg(
        long,
        required_unless_present = "compare",
        value_name = "INSTANCES.json"
    )]
    pub instances: Vec<PathBuf>,
    /// COCO captions files: what they mention is in the image too (may be repeated). The official
    /// numbers need them.
    #[arg(long, value_name = "CAPTIONS.json")]
    pub references: Vec<PathBuf>,
    /// Folder of the images.
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Prompt for every image.
    #[arg(long, default_value = "Please describe this image in detail.")]
    pub prompt: String,
    /// Random seed of the choice of images.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// A description.
pub struct Description {
    pub image: u64,
    pub question: String,
    pub text: String,
}

/// Descriptions, what is in their images, and who gave them.
pub struct Descriptions {
    pub descriptions: Vec<Description>,
    pub objects: Objects,
    pub by: Value,
}

impl GroundArgs {
    /// Descriptions from `file`, or of `count` images of the first instances file.
    pub fn describe(
        &self,
        vocabulary: &Vocabulary,
        file: Option<&Path>,
        count: usize,
        answerer: &AnswererArgs,
        output: &OutputArgs,
        quiet: bool,
    ) -> Result<Descriptions, Failure> {
        let instances = self
            .instances
            .iter()
            .map(CocoInstances::open)
            .collect::<Result<Vec<_>, _>>()?;
        let captions = self
            .references
            .iter()
            .map(CocoCaptions::open)
            .collect::<Result<Vec<_>, _>>()?;
        let (descriptions, by) = match file {
            Some(path) => (self.read(path, output)?, answered_by(&None, Some(path))),
            None => {
                let count = if output.limit > 0 {
                    output.limit.min(count)
                } else {
                    count
                };
                let (descriptions, answers) =
                    self.ask(&instances, count, answerer, output, quiet)?;
                (descriptions, answered_by(&Some(answers), None))
            }
        };
        let images: BTreeSet<u64> = descriptions.iter().map(|s| s.image).collect();
        let objects = objects(vocabulary, &images, &instances, &captions)?;
        Ok(Descriptions {
            descriptions,
            objects,
            by,
        })
    }

    fn read(&self, path: &Path, output: &OutputArgs) -> Result<Vec<Description>, Failure> {
        let rows = output.cut(given(path)?);
        let one = |(at, row): (usize, percept_benchmarks::hallucination::files::Given)| {
            let image = row.image.ok_or_else(|| {
                Failure::new(format!(
                    "{}: row {}: no image_id, and no image whose name ends in its number",
                    path.display(),
                    at + 1
                ))
            })?;
            Ok(Description {
                image,
                question: self.prompt.clone(),
                text: row.text,
            })
        };
        rows.into_iter().enumerate().map(one).collect()
    }

    fn ask(
        &self,
        instances: &[CocoInstances],
        count: usize,
        answerer: &AnswererArgs,
        output: &OutputArgs,
        quiet: bool,
    ) -> Result<(Vec<Description>, Answers), Failure> {
        let all = instances
            .first()
            .map(CocoInstances::images)
            .unwrap_or_default();
        let named = |image: &percept_data::coco::CocoImage| Annotated {
            image: image.id.to_string(),
            objects: Vec::new(),
        };
        let every: Vec<Annotated> = all.iter().map(named).collect();
        let chosen = select(&every, count.min(every.len()), 0, self.seed)?;
        let mut ids: Vec<u64> = chosen.iter().filter_map(|c| c.image.parse().ok()).collect();
        ids.sort_unstable();
        let name = |id: &u64| {
            instances
                .first()
                .and_then(|f| f.image(*id))
                .map(|i| i.file_name.as_str())
        };
        let names: Vec<&str> = ids.iter().filter_map(name).collect();
        let images = pictures(answerer, self.images.as_deref(), &names)?;
        let query = |(id, image): (&u64, _)| Query {
            id: id.to_string(),
            text: self.prompt.clone(),
            image: Some(image),
        };
        let queries = ids.iter().zip(images).map(query).collect();
        let log = output.log("answers.jsonl")?;
        let mut answers = answerer.ask(queries, 512, log.as_deref(), quiet)?;
        let texts = std::mem::take(&mut answers.texts);
        let descriptions = ids.into_iter().zip(texts).map(|(image, text)| Description {
            image,
            question: self.prompt.clone(),
            text,
        });
        Ok((descriptions.collect(), answers))
    }
}
