//! Adapters of ONNX files, on small files with the signatures of the real exports. They need ONNX Runtime's library and the files
//! of `tools/onnx_fixtures.py` and `tools/clip_onnx.py`:
//!
//! ```sh
//! python3 tools/onnx_fixtures.py FOLDER
//! python3 tools/clip_onnx.py FOLDER
//! ORT_DYLIB_PATH=…/libonnxruntime.so PERCEPT_ONNX=FOLDER cargo test --release -p percept-vision --features onnx --test onnx
//! ```
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use percept_data::coco::Mask;
use percept_vision::onnx::{
    DetectorTagger, OnnxDetector, OnnxRemover, OnnxRuntime, OnnxScorer, OnnxSegmenter, OnnxTagger,
};
use percept_vision::tools::{Detection, Detector, Segmenter, Shown, Tagger, TextImageScorer, View};
use percept_vision::{Edit, Editor, Error, changed_outside};

fn shown(image: &RgbImage) -> Shown<'_> {
    Shown {
        image,
        file: None,
        image_id: None,
    }
}

fn near(found: &Detection, bbox: [f64; 4]) -> bool {
    found
        .bbox
        .iter()
        .zip(bbox)
        .all(|(a, b)| (a - b).abs() < 1e-3)
}

/// One test, since a process loads the library once.
#[test]
fn adapters_speak_the_signatures_of_the_exports() {
    let (Some(library), Some(folder)) = (OnnxRuntime::named(), std::env::var_os("PERCEPT_ONNX"))
    else {
        println!("skipped: ORT_DYLIB_PATH or PERCEPT_ONNX is not set");
        return;
    };
    let folder = PathBuf::from(folder);
    let missing = OnnxRuntime::open(Path::new("/no/such.so")).unwrap_err();
    assert!(missing.to_string().contains("no such file"), "{missing}");
    let runtime = OnnxRuntime::open(&library).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let names = scratch.path().join("names.txt");
    std::fs::write(&names, "cup\nbed\n").unwrap();
    detectors(&runtime, &folder, &names);
    tagger(&runtime, &folder, scratch.path());
    segmenter(&runtime, &folder);
    remover(&runtime, &folder);
    scorer(&runtime, &folder);
    let nonsense = scratch.path().join("nonsense.onnx");
    std::fs::write(&nonsense, "no model").unwrap();
    let refused = OnnxRemover::open(&runtime, &nonsense, String::new());
    assert!(matches!(refused.err().unwrap(), Error::Onnx { .. }));
}

fn detectors(runtime: &OnnxRuntime, folder: &Path, names: &Path) {
    let open = |file: &str, classes| {
        OnnxDetector::open(runtime, &folder.join(file), String::new(), classes).unwrap()
    };
    // Twice the size of its input: 256 × 128.
    let image = RgbImage::new(256, 128);
    let yolo = open("yolo.onnx", Some(names));
    let found = yolo.detect(&shown(&image), &["cup", "bed"]).unwrap();
    // The second box overlaps the first, the third says nothing.
    assert_eq!(found.len(), 1);
    assert!(
        found[0].tag == "cup" && near(&found[0], [40.0, 20.0, 80.0, 40.0]),
        "{found:?}"
    );
    assert!(yolo.detect(&shown(&image), &["bed"]).unwrap().is_empty());
    let tags = DetectorTagger::new(yolo, 0.35)
        .tags(&shown(&image))
        .unwrap();
    assert!(tags.len() == 1 && (tags[0].score - 0.9).abs() < 1e-6);
    let detr = open("detr.onnx", Some(names));
    let found = detr.detect(&shown(&image), &["cup", "bed"]).unwrap();
    assert_eq!(found.len(), 1);
    assert!(near(&found[0], [102.4, 38.4, 51.2, 51.2]), "{found:?}");
    let softmax = 5_f64.exp() / (5_f64.exp() + 2.0);
    assert!((found[0].score - softmax).abs() < 1e-5);
    // A model of two classes is none of COCO's 80.
    let wrong = open("yolo.onnx", None).detect(&shown(&image), &["cup"]);
    assert!(wrong.unwrap_err().to_string().contains("[1, 84, boxes]"));
}

fn tagger(runtime: &OnnxRuntime, folder: &Path, scratch: &Path) {
    let labels = scratch.join("labels.txt");
    std::fs::write(&labels, "red\ngreen\nblue\n").unwrap();
    let path = folder.join("tagger.onnx");
    let tagger = OnnxTagger::open(runtime, &path, String::new(), Some(&labels), 0.5).unwrap();
    let image = RgbImage::from_pixel(50, 30, Rgb([20, 250, 20]));
    let tags = tagger.tags(&shown(&image)).unwrap();
    assert!(
        tags.len() == 1 && tags[0].tag == "green" && tags[0].score > 0.99,
        "{tags:?}"
    );
    std::fs::write(&labels, "red\n").unwrap();
    let wrong = OnnxTagger::open(runtime, &path, String::new(), Some(&labels), 0.5).unwrap();
    assert!(
        wrong
            .tags(&shown(&image))
            .unwrap_err()
            .to_string()
            .contains("1 logits")
    );
}

fn segmenter(runtime: &OnnxRuntime, folder: &Path) {
    let files = ["encoder.onnx", "decoder.onnx"].map(|file| folder.join(file));
    let hashes = [String::new(), String::new()];
    let segmenter = OnnxSegmenter::open(runtime, &files[0], &files[1], hashes).unwrap();
    let image = RgbImage::new(100, 50);
    let found = |bbox| Detection {
        tag: "cup".into(),
        bbox,
        score: 1.0,
        text_score: None,
    };
    let boxes = [found([10.0, 20.0, 40.0, 20.0]), found([0.0, 0.0, 5.0, 4.0])];
    let masks = segmenter.masks(&shown(&image), &boxes).unwrap();
    let sides = |mask: &Mask| mask.bounding_box().map(|b| [b.x, b.y, b.width, b.height]);
    assert_eq!(sides(&masks[0]), Some([10, 20, 40, 20]));
    assert_eq!(sides(&masks[1]), Some([0, 0, 5, 4]));
    assert_eq!(masks[0].area(), 800);
}

fn remover(runtime: &OnnxRuntime, folder: &Path) {
    let path = folder.join("remover.onnx");
    let remover = OnnxRemover::open(runtime, &path, String::new()).unwrap();
    let image = RgbImage::from_pixel(300, 200, Rgb([200, 100, 50]));
    let mask = Mask::from_fn(300, 200, |x, y| {
        (100..200).contains(&x) && (50..150).contains(&y)
    });
    let edit = Edit {
        image: &image,
        mask: &mask,
        object: &mask,
        avoid: &Mask::new(300, 200),
        class: "cup",
        prompt: "",
        cutout: None,
        seed: 0,
    };
    let edited = remover.edit(&edit).unwrap().image;
    assert_eq!(edited.dimensions(), (300, 200));
    assert_eq!(edited.get_pixel(150, 100).0, [10, 20, 30]);
    let near_mask = mask.dilate(9, 1);
    assert_eq!(
        changed_outside(&image, &edited, &near_mask, 0).unwrap(),
        0.0
    );
}

/// A small random CLIP: the numbers of transformers with its own processor, texts of several lengths and one that is cut.
fn scorer(runtime: &OnnxRuntime, folder: &Path) {
    let file = |name: &str| folder.join("clip").join(name);
    let open = |model: &str, tokenizer: &str| {
        let sha256 = [String::new(), String::new()];
        OnnxScorer::open(runtime, &file(model), &file(tokenizer), sha256)
    };
    let scorer = open("model.onnx", "tokenizer.json").unwrap();
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file("expected.json")).unwrap()).unwrap();
    let texts: Vec<&str> = expected["texts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    for picture in expected["pictures"].as_array().unwrap() {
        let image = image::open(file(picture["file"].as_str().unwrap()));
        let image = image.unwrap().to_rgb8();
        let view = View {
            image: &image,
            objects: &[],
            removed: None,
        };
        let found = scorer.similarities(&view, &texts).unwrap();
        for (found, expected) in found.iter().zip(picture["scores"].as_array().unwrap()) {
            let (found, expected) = (found.unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
        }
        // A text says the same beside others as alone.
        let alone = scorer.similarities(&view, &texts[..1]).unwrap()[0].unwrap();
        assert!((alone - found[0].unwrap()).abs() < 1e-3);
    }
    let refused = |model: &str, tokenizer: &str| open(model, tokenizer).err().unwrap().to_string();
    assert!(refused("../tagger.onnx", "tokenizer.json").contains("input_ids"));
    assert!(refused("model.onnx", "expected.json").contains("tokenizer.json"));
}
