//! A run over the steps: what it is made with, and the rows that its finished steps kept.

use std::collections::HashMap;
use std::path::Path;

use percept_data::Dataset;
use percept_steps::{Folder, Progress, Row, Work, decide};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ruins::ruin;
use crate::{Method, PairsConfig, PairsError, SourceRow, Step, Tools};

/// What pairs are made from and with.
pub struct Build<'a> {
    /// The rows.
    pub data: &'a dyn Dataset,
    /// What names their content: SHA-256 of the files, and where pictures are looked for.
    pub source: Value,
    /// The output folder.
    pub out: &'a Path,
    /// Settings.
    pub config: &'a PairsConfig,
    /// What [`Method::Adavip`] works with; other methods need none.
    pub tools: Option<Tools<'a>>,
    /// Do this step and those behind it again.
    pub from: Option<Step>,
    /// Rows under way at once, where a tool allows it.
    pub workers: usize,
    /// Called as rows are done, from any thread.
    pub progress: &'a Progress<'a>,
}

pub(crate) struct Run<'a> {
    pub(crate) build: &'a Build<'a>,
    pub(crate) folder: Folder,
}

/// Rows of a step by their keys.
pub(crate) type Kept<T> = HashMap<String, T>;

/// Rows of a step in their order, with their keys.
pub(crate) type Keyed<T> = Vec<(String, T)>;

impl<'a> Run<'a> {
    pub(crate) fn method(&self) -> Method {
        self.build.config.method
    }

    pub(crate) fn identities(&self) -> Value {
        let Some(tools) = &self.build.tools else {
            return json!({"ruin": ruin(self.build.config).map(|r| r.identity())});
        };
        json!([
            tools.tagger.identity(),
            tools.detector.identity(),
            tools.segmenter.identity(),
            tools.remover.identity(),
            tools.scorer.identity()
        ])
    }

    pub(crate) fn decided<T, R>(
        &self,
        step: Step,
        key: &str,
        items: &[(String, T)],
        at_once: usize,
        whole: impl Fn(&Row<R>) -> bool,
        each: impl Fn(&str, &T) -> Result<Row<R>, PairsError> + Sync,
    ) -> Result<Vec<Row<R>>, PairsError>
    where
        T: Sync,
        R: Serialize + DeserializeOwned + Send,
    {
        let work = Work {
            step: step.id(self.method()),
            key,
            items,
            id: |(id, _)| id.clone(),
            at_once: at_once.min(self.build.workers).max(1),
            progress: self.build.progress,
        };
        decide(&self.folder, &work, whole, |(id, item)| each(id, item))
    }

    /// The rows that a step kept, in their order.
    pub(crate) fn kept<T: DeserializeOwned>(&self, step: Step) -> Result<Keyed<T>, PairsError> {
        let rows = self
            .folder
            .read::<Row<T>>(step.id(self.method()))?
            .into_iter();
        Ok(rows.filter_map(|row| Some((row.id, row.kept?))).collect())
    }

    /// Rows that can get a rejected picture.
    pub(crate) fn sources(&self) -> Result<Keyed<SourceRow>, PairsError> {
        let mut rows = self.kept::<SourceRow>(Step::Rows)?;
        rows.retain(|(_, row)| row.skipped.is_none());
        Ok(rows)
    }

    /// Rows that went through a step, each with its source.
    pub(crate) fn with<T: DeserializeOwned>(
        &self,
        step: Step,
    ) -> Result<Keyed<(SourceRow, T)>, PairsError> {
        let mut sources: Kept<SourceRow> = self.sources()?.into_iter().collect();
        let rows = self.kept::<T>(step)?.into_iter();
        let rows = rows.filter_map(|(key, row)| {
            let source = sources.remove(&key)?;
            Some((key, (source, row)))
        });
        Ok(rows.collect())
    }
}
