//! Which tool each option names.

use std::time::Duration;

use percept_benchmarks::hallucination::Vocabulary;
use percept_chat::ChatModel;
use percept_pairs::{ModelDetector, ModelTagger, ObjectScorer, Tools};
use percept_steps::file_sha256;
use percept_vision::tools::{
    Annotated, BoxSegmenter, CommandDetector, CommandSegmenter, CommandTagger, CommandTextScorer,
    Detector, Segmenter, Tagger, TextImageScorer,
};
use percept_vision::{BuiltInRemover, Editor};

use super::args::{DataVisualPairs, Finder, Segment};
use crate::shared::Failure;
use crate::shared::endpoint_args::seconds;

/// The tools of a run.
pub struct Opened<'a> {
    tagger: Box<dyn Tagger + 'a>,
    detector: Box<dyn Detector + 'a>,
    segmenter: Box<dyn Segmenter>,
    remover: Box<dyn Editor>,
    scorer: Box<dyn TextImageScorer>,
}

/// What tools are opened from.
struct Sources<'a> {
    args: &'a DataVisualPairs,
    annotated: Option<Annotated>,
    model: Option<&'a dyn ChatModel>,
    timeout: Duration,
}

impl<'a> Opened<'a> {
    /// Opens what the options name.
    pub fn of(
        args: &'a DataVisualPairs,
        model: Option<&'a dyn ChatModel>,
    ) -> Result<Self, Failure> {
        let timeout = seconds("--timeout", args.calls.timeout)?;
        let annotated = match &args.annotations {
            None => None,
            Some(path) => Some(Annotated::open(path, file_sha256(path)?)?),
        };
        let sources = Sources {
            args,
            annotated,
            model,
            timeout,
        };
        Ok(Self {
            tagger: sources.tagger()?,
            detector: sources.detector()?,
            segmenter: segmenter(args, sources.annotated.as_ref(), timeout)?,
            remover: args
                .editor
                .open(BuiltInRemover, &args.calls, args.seed, timeout)?,
            scorer: scorer(args, timeout)?,
        })
    }

    /// As steps use them.
    pub fn tools(&self) -> Tools<'_> {
        Tools {
            tagger: self.tagger.as_ref(),
            detector: self.detector.as_ref(),
            segmenter: self.segmenter.as_ref(),
            remover: self.remover.as_ref(),
            scorer: self.scorer.as_ref(),
        }
    }
}

fn missing(option: &str, needs: &str) -> Failure {
    Failure::new(format!("{option} needs {needs}"))
}

impl<'a> Sources<'a> {
    /// Where a tool that nobody named comes from: the command, else the annotations, else the model.
    fn finder(&self, chosen: Option<Finder>, command: Option<&str>) -> Option<Finder> {
        chosen
            .or(command.map(|_| Finder::Command))
            .or(self.annotated.as_ref().map(|_| Finder::Annotations))
            .or(self.model.map(|_| Finder::Model))
    }

    fn annotated(&self, option: &str) -> Result<Annotated, Failure> {
        let annotated = self.annotated.clone();
        annotated.ok_or_else(|| missing(&format!("{option} annotations"), "--annotations"))
    }

    fn model(&self, option: &str) -> Result<&'a dyn ChatModel, Failure> {
        self.model
            .ok_or_else(|| missing(&format!("{option} model"), "--model or --endpoint"))
    }

    fn tagger(&self) -> Result<Box<dyn Tagger + 'a>, Failure> {
        let command = self.args.tag_command.as_deref();
        Ok(match self.finder(self.args.tagger, command) {
            Some(Finder::Command) => {
                let command =
                    command.ok_or_else(|| missing("--tagger command", "--tag-command"))?;
                Box::new(CommandTagger::new(command, self.timeout)?)
            }
            Some(Finder::Annotations) => Box::new(self.annotated("--tagger")?),
            Some(Finder::Model) => Box::new(ModelTagger::new(self.model("--tagger")?)),
            None => {
                return Err(Failure::new(
                    "no tagger\n  help: give --annotations FILE.json (COCO instances), a model (--model, --endpoint), or a program: \
                     --tag-command 'my-tagger {image}'",
                ));
            }
        })
    }

    fn detector(&self) -> Result<Box<dyn Detector + 'a>, Failure> {
        let command = self.args.detect_command.as_deref();
        Ok(match self.finder(self.args.detector, command) {
            Some(Finder::Command) => {
                let command =
                    command.ok_or_else(|| missing("--detector command", "--detect-command"))?;
                Box::new(CommandDetector::new(command, self.timeout)?)
            }
            Some(Finder::Annotations) => Box::new(self.annotated("--detector")?),
            Some(Finder::Model) => {
                let scale = self.args.box_scale.into();
                Box::new(ModelDetector::new(self.model("--detector")?, scale))
            }
            None => {
                return Err(Failure::new(
                    "no detector\n  help: give --annotations FILE.json (COCO instances), a model (--model, --endpoint), or a program: \
                     --detect-command 'my-detector {image} {tags}'",
                ));
            }
        })
    }
}

fn segmenter(
    args: &DataVisualPairs,
    annotated: Option<&Annotated>,
    timeout: Duration,
) -> Result<Box<dyn Segmenter>, Failure> {
    let chosen = match (args.segmenter, &args.segment_command, annotated) {
        (Some(chosen), ..) => chosen,
        (None, Some(_), _) => Segment::Command,
        (None, None, Some(_)) => Segment::Annotations,
        (None, None, None) => Segment::Box,
    };
    Ok(match chosen {
        Segment::Command => {
            let command = args.segment_command.as_deref();
            let command =
                command.ok_or_else(|| missing("--segmenter command", "--segment-command"))?;
            Box::new(CommandSegmenter::new(command, timeout)?)
        }
        Segment::Annotations => {
            let annotated = annotated.cloned();
            Box::new(annotated.ok_or_else(|| missing("--segmenter annotations", "--annotations"))?)
        }
        Segment::Box => Box::new(BoxSegmenter),
    })
}

fn scorer(args: &DataVisualPairs, timeout: Duration) -> Result<Box<dyn TextImageScorer>, Failure> {
    if let Some(command) = &args.score_command {
        return Ok(Box::new(CommandTextScorer::new(command, timeout)?));
    }
    let Some(path) = &args.words else {
        return Ok(Box::new(ObjectScorer::default()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::new(format!("--words {}: {e}", path.display())))?;
    let words = Vocabulary::parse(&text);
    if words.classes().is_empty() {
        let path = path.display();
        return Err(Failure::new(format!(
            "--words {path}: no words; expected a class per line: dog, puppy, hound"
        )));
    }
    Ok(Box::new(ObjectScorer::new(words, file_sha256(path)?)))
}
