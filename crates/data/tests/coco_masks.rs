//! Masks against pycocotools: every pixel, area and box. The golden file names its script.

#![allow(clippy::unwrap_used)]

use percept_data::coco::{Mask, Rect};
use serde_json::Value;

fn golden(list: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/coco_masks.json")).unwrap();
    golden[list].as_array().unwrap().clone()
}

fn size(case: &Value) -> (u32, u32) {
    let side = |name: &str| u32::try_from(case[name].as_u64().unwrap()).unwrap();
    (side("width"), side("height"))
}

fn assert_is(mask: &Mask, case: &Value) {
    assert_eq!(mask.rle_string(), case["rle"].as_str().unwrap(), "{case}");
    assert_eq!(mask.area() as u64, case["area"].as_u64().unwrap());
    let Rect {
        x,
        y,
        width,
        height,
    } = mask.bounding_box().unwrap_or(Rect {
        x: 0,
        y: 0,
        width: 0,
        height: 0,
    });
    assert_eq!(serde_json::json!([x, y, width, height]), case["bbox"]);
}

#[test]
fn polygons_cover_the_pixels_that_pycocotools_gives_them() {
    let cases = golden("polygons");
    assert!(cases.len() >= 60);
    for case in cases {
        let (width, height) = size(&case);
        let polygons: Vec<Vec<f64>> = serde_json::from_value(case["polygons"].clone()).unwrap();
        assert_is(
            &Mask::from_polygons(&polygons, width, height).unwrap(),
            &case,
        );
    }
}

#[test]
fn run_lengths_and_their_strings_are_those_of_pycocotools() {
    for case in golden("runs") {
        let (width, height) = size(&case);
        let counts: Vec<u32> = serde_json::from_value(case["counts"].clone()).unwrap();
        let mask = Mask::from_counts(&counts, width, height).unwrap();
        assert_is(&mask, &case);
        assert_eq!(mask.counts(), counts);
        let text = case["rle"].as_str().unwrap();
        assert_eq!(Mask::from_rle_string(text, width, height).unwrap(), mask);
    }
}
