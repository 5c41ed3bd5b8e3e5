//! What a run writes in the end: rows with their pictures, the summary, the page.

use percept_base::files::write_atomic;
use percept_steps::{Row, io, lines, reasons};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::finish::{Decided, PairStep, Reasons, Written, counts, remove_others};
use crate::run::{Kept, Keyed, Run};
use crate::{
    CandidateFile, ChoiceRecord, Method, Outcome, PairsError, SourceRow, Step, StepTally, page,
};

impl Run<'_> {
    /// Why the steps before the last left rows out.
    fn reasons(&self) -> Result<Reasons, PairsError> {
        let mut all = Reasons::new();
        for (key, row) in self.kept::<SourceRow>(Step::Rows)? {
            all.extend(row.skipped.map(|reason| (key, reason)));
        }
        for &step in Step::of(self.method()) {
            if step == Step::Pairs {
                break;
            }
            for row in self.folder.read::<Row<Value>>(step.id(self.method()))? {
                all.extend(row.dropped.map(|reason| (row.id, reason)));
            }
        }
        Ok(all)
    }

    /// Every row that is a pair of answers or of pictures, with its pictures.
    fn decisions(&self, reasons: &Reasons) -> Result<Keyed<Decided>, PairsError> {
        let adavip = self.method() == Method::Adavip;
        let (mut files, mut choices): (Kept<Vec<CandidateFile>>, Kept<ChoiceRecord>) = match adavip
        {
            true => (
                self.kept(Step::Candidates)?.into_iter().collect(),
                self.kept(Step::Choice)?.into_iter().collect(),
            ),
            false => (
                self.kept(Step::Pictures)?.into_iter().collect(),
                Kept::new(),
            ),
        };
        let name = self.method().name();
        let decided = |(key, row): (String, SourceRow)| {
            let made = files.remove(&key);
            let (pictures, decision) = match (made, choices.remove(&key), reasons.get(&key)) {
                (Some(made), Some(choice), _) => {
                    let chosen = made.into_iter().filter(|file| file.tag == choice.chosen);
                    let decision = json!({"method": name, "removed": choice.chosen,
                        "similarity": choice.original, "candidates": choice.candidates});
                    (Ok(chosen.collect()), decision)
                }
                (Some(made), None, _) if !adavip => {
                    let from: Vec<&str> = made.iter().map(|file| file.tag.as_str()).collect();
                    let decision = json!({"method": name, "made": from});
                    (Ok(made), decision)
                }
                (_, _, reason) => {
                    let reason = reason.map_or("no step decided about it", String::as_str);
                    let decision = json!({"method": name, "skipped": reason});
                    (Err(reason.to_owned()), decision)
                }
            };
            let decided = Decided {
                row,
                pictures,
                decision,
            };
            (key, decided)
        };
        let rows = self.kept::<SourceRow>(Step::Rows)?;
        Ok(rows.into_iter().map(decided).collect())
    }

    /// The last step: rows, pictures, summary and page.
    pub(crate) fn pairs(&self, key: &str, before: &[StepTally]) -> Result<Vec<u8>, PairsError> {
        let out = &self.folder.out;
        let step = PairStep {
            data: self.build.data,
            folder: &self.folder,
            base: out.canonicalize().map_err(io(out))?,
        };
        let left_out = self.reasons()?;
        let items = self.decisions(&left_out)?;
        let rows = self.decided(
            Step::Pairs,
            key,
            &items,
            usize::MAX,
            |row| step.is_whole(row),
            |_, decided| step.write(decided),
        )?;
        let kept: Vec<&Written> = rows.iter().filter_map(|row| row.kept.as_ref()).collect();
        let files = kept.iter().flat_map(|written| &written.files);
        let names: Vec<&str> = files.map(String::as_str).collect();
        remove_others(&self.folder, "images", &names)?;
        let pairs: Vec<&Value> = kept.iter().map(|written| &written.row).collect();
        write_atomic(&out.join("pairs.jsonl"), &lines(&pairs))?;
        let mut summary = json!({
            "method": self.method(),
            "counts": counts(&rows, unread(before)),
            "no_rejected_picture": reasons(left_out.values().map(String::as_str)),
            "steps": before,
            "config": self.build.config,
            "tools": self.identities(),
        });
        summary["source"] = self.build.source.clone();
        let mut text = serde_json::to_vec_pretty(&summary).unwrap_or_default();
        text.push(b'\n');
        write_atomic(&out.join("summary.json"), &text)?;
        let page = self.page(&rows, before, &left_out)?;
        write_atomic(&out.join("index.html"), page.as_bytes())?;
        Ok(lines(&rows))
    }

    fn page(
        &self,
        rows: &[Row<Written>],
        before: &[StepTally],
        left_out: &Reasons,
    ) -> Result<String, PairsError> {
        page::render(&page::Shown {
            data: self.build.data,
            folder: &self.folder,
            method: self.method(),
            sources: &self.kept::<SourceRow>(Step::Rows)?,
            rows,
            steps: before,
            reasons: left_out,
            tags: self.by_key(Step::Tags)?,
            boxes: self.by_key(Step::Boxes)?,
            masks: self.by_key(Step::Masks)?,
            candidates: self.by_key(Step::Candidates)?,
            choices: self.by_key(Step::Choice)?,
        })
    }

    /// The rows that a step of `adavip` kept; none of other methods.
    fn by_key<T: DeserializeOwned>(&self, step: Step) -> Result<Kept<T>, PairsError> {
        match self.method() {
            Method::Adavip => Ok(self.kept(step)?.into_iter().collect()),
            _ => Ok(Kept::new()),
        }
    }

    /// What was made, once all steps are done.
    pub(crate) fn outcome(&self, steps: Vec<StepTally>) -> Result<Outcome, PairsError> {
        let rows = self
            .folder
            .read::<Row<Written>>(Step::Pairs.id(self.method()))?;
        let kept: Vec<&Written> = rows.iter().filter_map(|row| row.kept.as_ref()).collect();
        let visual = kept.iter().filter(|written| written.visual).count();
        Ok(Outcome {
            visual,
            language: kept.len() - visual,
            dropped: rows.len() - kept.len() + unread(&steps),
            had_pictures: kept.iter().filter(|written| written.had_pictures).count(),
            skipped: reasons(self.reasons()?.values().map(String::as_str)),
            steps,
        })
    }
}

/// Rows that the first step left out, which are in no later one.
fn unread(steps: &[StepTally]) -> usize {
    steps
        .first()
        .map_or(0, |first| first.left_out.values().sum())
}
