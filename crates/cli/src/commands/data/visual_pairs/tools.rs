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
use super::onnx_tools::OnnxTools;
#[cfg(feature = "onnx")]
use super::with_onnx as onnx;
#[cfg(not(feature = "onnx"))]
use super::without_onnx as onnx;
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
    onnx: OnnxTools,
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
        let mut sources = Sources {
            args,
            annotated,
            model,
            timeout,
            onnx: onnx::open(args)?,
        };
        Ok(Self {
            tagger: sources.tagger()?,
            detector: sources.detector()?,
            segmenter: sources.segmenter()?,
            remover: match sources.onnx.remover.take() {
                Some(remover) => remover,
                None => args
                    .editor
                    .open(BuiltInRemover, &args.calls, args.seed, timeout)?,
            },
            scorer: match sources.onnx.scorer.take() {
                Some(scorer) => scorer,
                None => scorer(args, timeout)?,
            },
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
    /// Where a tool that nobody named comes from: the command, the ONNX file, the annotations, the model.
    fn finder(&self, chosen: Option<Finder>, command: Option<&str>, onnx: bool) -> Option<Finder> {
        chosen
            .or(command.map(|_| Finder::Command))
            .or(onnx.then_some(Finder::Onnx))
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

    fn tagger(&mut self) -> Result<Box<dyn Tagger + 'a>, Failure> {
        let command = self.args.tag_command.as_deref();
        let finder = self.finder(self.args.tagger, command, self.onnx.tagger.is_some());
        Ok(match finder {
            Some(Finder::Command) => {
                let command =
                    command.ok_or_else(|| missing("--tagger command", "--tag-command"))?;
                Box::new(CommandTagger::new(command, self.timeout)?)
            }
            Some(Finder::Onnx) => (self.onnx.tagger.take())
                .ok_or_else(|| missing("--tagger onnx", "--tag-onnx or --detect-onnx"))?,
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

    fn detector(&mut self) -> Result<Box<dyn Detector + 'a>, Failure> {
        let command = self.args.detect_command.as_deref();
        let finder = self.finder(self.args.detector, command, self.onnx.detector.is_some());
        Ok(match finder {
            Some(Finder::Command) => {
                let command =
                    command.ok_or_else(|| missing("--detector command", "--detect-command"))?;
                Box::new(CommandDetector::new(command, self.timeout)?)
            }
            Some(Finder::Onnx) => (self.onnx.detector.take())
                .ok_or_else(|| missing("--detector onnx", "--detect-onnx"))?,
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

    fn segmenter(&mut self) -> Result<Box<dyn Segmenter>, Failure> {
        let command = self.args.segment_command.as_deref();
        let chosen = (self.args.segmenter)
            .or(command.map(|_| Segment::Command))
            .or(self.onnx.segmenter.as_ref().map(|_| Segment::Onnx))
            .or(self.annotated.as_ref().map(|_| Segment::Annotations));
        Ok(match chosen.unwrap_or(Segment::Box) {
            Segment::Command => {
                let command =
                    command.ok_or_else(|| missing("--segmenter command", "--segment-command"))?;
                Box::new(CommandSegmenter::new(command, self.timeout)?)
            }
            Segment::Onnx => (self.onnx.segmenter.take())
                .ok_or_else(|| missing("--segmenter onnx", "--segment-onnx"))?,
            Segment::Annotations => Box::new(self.annotated("--segmenter")?),
            Segment::Box => Box::new(BoxSegmenter),
        })
    }
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
