//! The steps in order: what is finished stays, what changed is done again.

use percept_steps::{Done, Folder, Row, lines, reasons};
use serde_json::{Value, json};

use crate::finish::remove_others;
use crate::pictures::is_whole;
use crate::ruins::ruin;
use crate::run::{Build, Kept, Run};
use crate::steps::boxes::BoxStep;
use crate::steps::candidates::CandidateStep;
use crate::steps::choice::ChoiceStep;
use crate::steps::masks::MaskStep;
use crate::steps::pictures::PictureStep;
use crate::steps::rows::{key, read};
use crate::steps::tags::TagStep;
use crate::{
    BoxRecord, CandidateFile, MaskRecord, Method, Outcome, PairsError, SourceRow, Step, StepTally,
    TagRecord, Tools, guard,
};

/// Makes pairs, or goes on with them.
///
/// # Errors
/// Settings that mean nothing, a folder of other files, files that cannot be read or written, a tool that failed. What was
/// finished stays.
pub fn build(build: &Build<'_>) -> Result<Outcome, PairsError> {
    build.config.check()?;
    if build.config.method == Method::Adavip && build.tools.is_none() {
        return Err(PairsError::Missing {
            tool: "tools",
            help: "adavip needs a tagger, a detector and what follows them",
        });
    }
    let (folder, _guard) = guard::take(build.out, build.config.method)?;
    Run { build, folder }.all()
}

impl Run<'_> {
    fn all(&self) -> Result<Outcome, PairsError> {
        let mut source = self.build.source.to_string();
        let mut steps: Vec<StepTally> = Vec::new();
        for &step in Step::of(self.method()) {
            let id = step.id(self.method());
            let key = Folder::key(id, &self.settings(step), &source);
            if self.build.from.is_some_and(|from| from <= step) {
                self.folder.forget(id)?;
            }
            let (done, done_now) = match self.folder.finished(id, &key) {
                Some(done) => {
                    // A kill between the two last writes of a step leaves its log.
                    self.folder.forget_log(id)?;
                    (done, false)
                }
                None => (self.step(step, &key, &steps)?, true),
            };
            source = format!("{source} {}", done.sha256);
            steps.push(self.tally(step, done_now)?);
        }
        self.outcome(steps)
    }

    /// What a step's rows depend on besides what it reads.
    fn settings(&self, step: Step) -> Value {
        let c = self.build.config;
        let tool = |name: fn(&Tools<'_>) -> Value| self.build.tools.as_ref().map(name);
        match step {
            Step::Rows => json!([c.limit, c.method]),
            Step::Tags => json!([
                tool(|t| t.tagger.identity()),
                c.tag_threshold,
                c.max_candidates,
                c.skip_failures
            ]),
            Step::Boxes => json!([
                tool(|t| t.detector.identity()),
                c.box_threshold,
                c.text_threshold,
                c.skip_failures
            ]),
            Step::Masks => json!([
                tool(|t| t.segmenter.identity()),
                c.dilate,
                c.min_area,
                c.max_area,
                c.skip_failures
            ]),
            Step::Candidates => json!([tool(|t| t.remover.identity()), c.seed, c.skip_failures]),
            Step::Choice => json!([tool(|t| t.scorer.identity()), c.min_drop, c.skip_failures]),
            Step::Pictures => {
                json!([c.seed, ruin(c).map(|ruin| ruin.identity())])
            }
            // The summary names everything.
            Step::Pairs => json!([c, self.identities()]),
        }
    }

    fn step(&self, step: Step, key: &str, before: &[StepTally]) -> Result<Done, PairsError> {
        let rows = match (step, &self.build.tools) {
            (Step::Rows, _) => self.rows(key)?,
            (Step::Pictures, _) => self.pictures(key)?,
            (Step::Pairs, _) => self.pairs(key, before)?,
            (Step::Tags, Some(tools)) => self.tags(key, tools)?,
            (Step::Boxes, Some(tools)) => self.boxes(key, tools)?,
            (Step::Masks, Some(tools)) => self.masks(key, tools)?,
            (Step::Candidates, Some(tools)) => self.candidates(key, tools)?,
            (Step::Choice, Some(tools)) => self.choices(key, tools)?,
            // `build` refused this.
            (_, None) => Vec::new(),
        };
        Ok(self.folder.finish(step.id(self.method()), key, &rows)?)
    }

    fn rows(&self, build_key: &str) -> Result<Vec<u8>, PairsError> {
        let count = match self.build.config.limit {
            0 => self.build.data.len(),
            limit => limit.min(self.build.data.len()),
        };
        let items: Vec<(String, usize)> = (0..count).map(|at| (key(at), at)).collect();
        let rows = self.decided(
            Step::Rows,
            build_key,
            &items,
            usize::MAX,
            |_| true,
            |_, at| Ok(read(self.build.data, self.method(), *at)),
        )?;
        Ok(lines(&rows))
    }

    fn tags(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = TagStep {
            data: self.build.data,
            tagger: tools.tagger,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Tags,
            key,
            &self.sources()?,
            tools.tagger.at_once(),
            |_| true,
            |key, row| step.tag(key, row),
        )?;
        Ok(lines(&rows))
    }

    fn boxes(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = BoxStep {
            data: self.build.data,
            detector: tools.detector,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Boxes,
            key,
            &self.with::<TagRecord>(Step::Tags)?,
            tools.detector.at_once(),
            |_| true,
            |key, (row, tags)| step.find(key, row, tags),
        )?;
        Ok(lines(&rows))
    }

    fn masks(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = MaskStep {
            data: self.build.data,
            segmenter: tools.segmenter,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Masks,
            key,
            &self.with::<BoxRecord>(Step::Boxes)?,
            tools.segmenter.at_once(),
            |_| true,
            |key, (row, boxes)| step.segment(key, row, boxes),
        )?;
        Ok(lines(&rows))
    }

    fn candidates(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = CandidateStep {
            data: self.build.data,
            folder: &self.folder,
            remover: tools.remover,
            config: self.build.config,
        };
        let rows = self.decided(
            Step::Candidates,
            key,
            &self.with::<MaskRecord>(Step::Masks)?,
            tools.remover.at_once(),
            |row| self.are_whole(row),
            |key, (row, masks)| step.make(key, row, masks),
        )?;
        let files = rows.iter().filter_map(|row| row.kept.as_ref()).flatten();
        let names: Vec<&str> = files.map(|made| made.file.as_str()).collect();
        remove_others(&self.folder, "candidates", &names)?;
        Ok(lines(&rows))
    }

    fn are_whole(&self, row: &Row<Vec<CandidateFile>>) -> bool {
        let mut made = row.kept.iter().flatten();
        made.all(|made| is_whole(&self.folder, made))
    }

    fn choices(&self, key: &str, tools: &Tools<'_>) -> Result<Vec<u8>, PairsError> {
        let step = ChoiceStep {
            data: self.build.data,
            folder: &self.folder,
            scorer: tools.scorer,
            config: self.build.config,
        };
        let mut made: Kept<Vec<CandidateFile>> = self.kept(Step::Candidates)?.into_iter().collect();
        let rows = self.with::<MaskRecord>(Step::Masks)?.into_iter();
        let rows = rows.filter_map(|(key, (row, masks))| {
            let made = made.remove(&key)?;
            Some((key, (row, masks, made)))
        });
        let rows = self.decided(
            Step::Choice,
            key,
            &rows.collect::<Vec<_>>(),
            tools.scorer.at_once(),
            |_| true,
            |key, (row, masks, made)| step.choose(key, row, masks, made),
        )?;
        Ok(lines(&rows))
    }

    fn pictures(&self, key: &str) -> Result<Vec<u8>, PairsError> {
        let items = self.sources()?;
        let rows: Vec<SourceRow> = items.iter().map(|(_, row)| row.clone()).collect();
        let ruin = ruin(self.build.config);
        let step = PictureStep {
            data: self.build.data,
            folder: &self.folder,
            method: self.method(),
            ruin: ruin.as_deref(),
            seed: self.build.config.seed,
            rows: &rows,
        };
        let rows = self.decided(
            Step::Pictures,
            key,
            &items,
            usize::MAX,
            |row| self.are_whole(row),
            |_, row| step.make(row),
        )?;
        Ok(lines(&rows))
    }

    fn tally(&self, step: Step, done_now: bool) -> Result<StepTally, PairsError> {
        let rows = self.folder.read::<Row<Value>>(step.id(self.method()))?;
        let left_out = rows.iter().filter_map(|row| row.dropped.as_deref());
        let left_out = reasons(left_out);
        Ok(StepTally {
            step: step.name(),
            kept: rows.iter().filter(|row| row.kept.is_some()).count(),
            left_out,
            done_now,
        })
    }
}
