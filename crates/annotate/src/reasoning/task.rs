//! What a strong model is asked about a frame.

use std::collections::BTreeSet;
use std::fmt::Write;

use percept_base::random::{fnv1a, uniform};
use percept_frames::{
    Distortion, FrameRow, Judgement, LabelledBox, WrongBox, pseudo_score, write_judgement,
};

use crate::reasoning::check::{Dropped, check};

/// A labelled frame that wants reasoning.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceTask {
    labels: BTreeSet<Distortion>,
    boxes: Vec<LabelledBox>,
    question: String,
    /// Names the frame's draw of a score.
    name: String,
    size: (u32, u32),
}

impl TraceTask {
    /// The frame of a row, of this size. Labels of boxes are labels of the frame as well.
    ///
    /// # Errors
    /// A box outside the frame.
    pub fn new(row: &FrameRow, size: (u32, u32)) -> Result<Self, WrongBox> {
        for labelled in &row.boxes {
            labelled.check(size.0, size.1)?;
        }
        let boxed = row.boxes.iter().map(|labelled| labelled.label);
        Ok(Self {
            labels: row.labels.iter().copied().chain(boxed).collect(),
            boxes: row.boxes.clone(),
            question: row.prompt.clone(),
            name: format!("{}/{}", row.pair_id, row.side),
            size,
        })
    }

    /// The text that goes to the model with the frame.
    ///
    /// The trace stands between `<trace>` tags, since servers take `<think>` for the model's own thinking and cut it off.
    pub fn text(&self) -> String {
        let (width, height) = self.size;
        let mut text = format!(
            "This frame of a generated video is {width} × {height} pixels. A judge is asked about it:\n\n{}\n\n",
            self.question
        );
        match self.labels.is_empty() {
            true => text.push_str("Known to be right: the frame shows no distortion.\n"),
            false => text.push_str("Known to be right:\n"),
        }
        for label in &self.labels {
            let places: Vec<String> = self.boxes_of(*label).map(|b| corners(&b.corners)).collect();
            let place = match places.is_empty() {
                true => "the frame as a whole".to_owned(),
                false => places.join(", "),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- {label}: {place}");
        }
        text.push_str(RULES);
        text
    }

    /// What training learns of a reply: reasoning and answer, with a score drawn from `seed` and the frame's name.
    ///
    /// # Errors
    /// Why the reply is not used.
    pub fn response(&self, reply: &str, min_iou: f64, seed: u64) -> Result<String, Dropped> {
        let reasoning = check(reply, &self.labels, &self.boxes, min_iou)?;
        let draw = uniform(seed, fnv1a(self.name.bytes()), 0, 0);
        let judgement = Judgement {
            labels: self.labels.iter().copied().collect(),
            score: pseudo_score(self.labels.len(), draw),
        };
        Ok(write_judgement(&reasoning, &judgement))
    }

    fn boxes_of(&self, label: Distortion) -> impl Iterator<Item = &LabelledBox> {
        self.boxes.iter().filter(move |b| b.label == label)
    }
}

fn corners(corners: &[f64; 4]) -> String {
    let [left, top, right, bottom] = corners;
    format!("[{left}, {top}, {right}, {bottom}]")
}

const RULES: &str = "\nWrite what a careful judge would think who sees only the frame and the question and comes to exactly \
these findings. Look at the bodies, faces, limbs and things one after the other; of each distorted region say where it is in \
the picture and what is wrong with it; say of what is sound that it is. Say nothing of what you were told: no mention of known \
findings, annotations, boxes or coordinates. Then give the findings, each region with its box in pixels [left, top, right, \
bottom]. Answer in exactly this form, with an empty list of labels and of regions for a frame without distortion:\n\
<trace>reasoning</trace><answer>{\"labels\": [\"…\"], \"regions\": [{\"label\": \"…\", \"box\": [0, 0, 0, 0]}]}</answer>";
