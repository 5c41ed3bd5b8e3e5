//! The data card `README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::scene::Scene;
use crate::{BuildConfig, Questions, Tally};

/// What the data card tells.
pub(crate) struct Card<'a> {
    pub pairs: &'a [Questions],
    pub tallies: &'a [Tally],
    pub scene: &'a Scene<'a>,
    pub annotations: &'a str,
    pub annotations_sha256: &'a str,
    pub counted: Option<(&'a str, &'a str)>,
    pub config: &'a BuildConfig,
    pub editor: Value,
    pub chooser: Option<Value>,
    pub scorer: Option<Value>,
}

impl Card<'_> {
    /// The card in Markdown.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.counts(&mut text);
        self.how(&mut text);
        text
    }

    fn head(&self, text: &mut String) {
        let _ = write!(
            text,
            "# A counterfactual object-hallucination benchmark\n\n\
             Built by `percept halbench build` in the manner of Causal-HalBench (Xu et al., arXiv \
             2511.10268): in each edited image one object is replaced by another that is rarely seen \
             beside the object that stays. Layout: `qa.json` and `images/` as in the official data \
             set; an edit is named after its original with `_001`, `_002`, ….\n\n\
             In `qa.json`, type `target` asks about the contextual object (it stays: yes on both \
             images), `inpaint` about the new object (yes), `absent` about a class that neither \
             image shows (no); tag is `origin` or `inpainted`. These are the official names.\n"
        );
    }

    fn counts(&self, text: &mut String) {
        let originals: BTreeSet<&str> = self
            .pairs
            .iter()
            .map(|p| p.original_name.as_str())
            .collect();
        let questions: usize = self.pairs.iter().map(|p| p.questions.len()).sum();
        let _ = write!(
            text,
            "\n## Counts\n\n| what | number |\n|---|---|\n| original images | {} |\n| edited images | {} |\n\
             | questions | {questions} |\n\n| step | kept | dropped |\n|---|---|---|\n",
            originals.len(),
            self.pairs.len()
        );
        for tally in self.tallies {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                tally.step.name(),
                tally.kept,
                tally.dropped()
            );
        }
        let _ = write!(text, "\nWhy rows were dropped:\n\n");
        for tally in self.tallies {
            for (reason, count) in &tally.reasons {
                let _ = writeln!(text, "- {}: {reason}: {count}", tally.step.name());
            }
        }
        let _ = write!(text, "\n| replaced | by | pairs |\n|---|---|---|\n");
        let mut swaps: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for pair in self.pairs {
            let choice = &pair.pair.edit.choice;
            *swaps
                .entry((&choice.role.target, &choice.counterfactual))
                .or_default() += 1;
        }
        for ((target, new), count) in swaps {
            let _ = writeln!(text, "| {target} | {new} | {count} |");
        }
    }

    /// Means of the pairs that have scores.
    fn mean_scores(&self) -> Option<[f64; 4]> {
        let scores: Vec<[f64; 4]> = (self.pairs.iter())
            .filter_map(|p| p.pair.checks.scores)
            .collect();
        let mean = |at: usize| scores.iter().map(|s| s[at]).sum::<f64>() / scores.len() as f64;
        (!scores.is_empty()).then(|| std::array::from_fn(mean))
    }

    fn how(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n## Sources\n\n- annotations: `{}`, SHA-256 `{}`\n",
            self.annotations, self.annotations_sha256
        );
        match self.counted {
            Some((name, sha256)) => {
                let _ = writeln!(
                    text,
                    "- co-occurrence counted in: `{name}`, SHA-256 `{sha256}`"
                );
            }
            None => {
                let _ = writeln!(text, "- co-occurrence counted in the same annotations");
            }
        }
        let mut licences: BTreeMap<Option<u32>, BTreeSet<u64>> = BTreeMap::new();
        for pair in self.pairs {
            let choice = &pair.pair.edit.choice;
            let cut = choice.cutout.as_ref().map(|c| c.image);
            for id in [Some(choice.role.image), cut].into_iter().flatten() {
                let licence = self.scene.coco.image(id).and_then(|i| i.license);
                licences.entry(licence).or_default().insert(id);
            }
        }
        for (licence, images) in licences {
            let name = licence.map_or("no licence given".into(), |l| {
                format!("licence {l} of the annotations")
            });
            let _ = writeln!(
                text,
                "- images used (cut-outs included) under {name}: {}",
                images.len()
            );
        }
        let unchecked: BTreeSet<&str> = (self.pairs.iter())
            .flat_map(|p| p.pair.checks.not_checked.iter().map(String::as_str))
            .collect();
        let json = |value: &Value| value.to_string();
        let chooser = self
            .chooser
            .as_ref()
            .map_or("rule: the cut-out that fits best".into(), json);
        let scorer = self.scorer.as_ref().map_or("none".into(), json);
        let _ = write!(
            text,
            "\n## How it was made\n\n- editor: `{}`\n- counterfactual object chosen by: `{chooser}`\n\
             - scorer: `{scorer}`\n- seed: {}\n",
            self.editor, self.config.seed
        );
        if let Some([new_before, new_after, old_before, old_after]) = self.mean_scores() {
            let _ = write!(
                text,
                "\n| mean score of the edited place | original | edit |\n|---|---|---|\n\
                 | new class | {new_before:.3} | {new_after:.3} |\n| old class | {old_before:.3} | {old_after:.3} |\n"
            );
        }
        if self
            .scorer
            .as_ref()
            .is_some_and(|s| s["scorer"] == "re-detection")
        {
            let _ = write!(
                text,
                "\nPairs were kept only where the re-detecting model saw the old object before and not \
                 after the edit, and the new one the other way round: that model, and its like, would be \
                 measured too well here.\n"
            );
        }
        let _ = write!(text, "\nNot checked:\n\n");
        for what in unchecked {
            let _ = writeln!(text, "- {what}");
        }
        if self.editor["editor"] == "built-in" {
            let _ = write!(
                text,
                "\nThe built-in editor is an approximation of the FLUX.1 inpainting of the paper: the \
                 target is filled with patches of its surroundings, the new object is a cut-out of \
                 another image, blended in the gradient domain. Light, shadow and contact are not \
                 adapted, so edits can be told from photographs; numbers are not comparable with \
                 published ones.\n"
            );
        }
        let settings = serde_json::to_string_pretty(self.config).unwrap_or_default();
        let _ = write!(
            text,
            "\nSettings:\n\n```json\n{settings}\n```\n\nEvery decision and its reason: `steps/`. The pairs \
             side by side: `report.html`. Edits without loss: `edits/`.\n"
        );
    }
}
