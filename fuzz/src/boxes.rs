//! Boxes in text: four finite numbers each, overlap in 0…1 and the same from both sides.

use percept_reward::{boxes, iou};

/// Pieces of JSON and tagged boxes.
pub const PIECES: &[&str] = &[
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    " ",
    "1",
    "2.5",
    "-3",
    "400",
    "1e5",
    ".",
    "\"bbox_2d\"",
    ":",
    "<box>",
    "</box>",
    "\"label\"",
    "\"",
    "x1=",
    "\n",
    "<|box_start|>",
    "9999999999999999999999",
];

/// Reads the data as boxes and compares all neighbours.
pub fn fuzz(data: &[u8]) {
    let found = boxes(&crate::text(data));
    for rectangle in &found {
        assert!(rectangle.iter().all(|side| side.is_finite()));
    }
    for pair in found.windows(2) {
        let overlap = iou(&pair[0], &pair[1]);
        assert!((0.0..=1.0).contains(&overlap));
        assert_eq!(overlap, iou(&pair[1], &pair[0]));
    }
}
