//! Files that users have: answers of other programs, COCO annotations.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use percept_benchmarks::hallucination::Vocabulary;
use percept_benchmarks::hallucination::files::{
    annotated, by_id, given, image_number, objects, rows,
};
use percept_benchmarks::hallucination::pope::Question;
use percept_data::coco::{CocoCaptions, CocoInstances};

fn file(name: &str, text: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("percept-hallucination-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn questions_are_read_from_lines_and_arrays_and_a_bad_one_is_named() {
    let one = r#"{"question_id": 1, "image": "a.jpg", "text": "Is there a dog?", "label": "yes"}"#;
    let lines = file("lines.json", &format!("{one}\n\n{one}\n"));
    let array = file("array.json", &format!("[{one},\n{one}]"));
    let read = |path| rows::<Question>(path, "a question of POPE");
    assert_eq!(read(&lines).unwrap(), read(&array).unwrap());
    let bad = file(
        "bad.json",
        &format!("{one}\n{}\n", one.replace("yes", "maybe")),
    );
    let error = read(&bad).unwrap_err().to_string();
    assert!(
        error.contains("bad.json:2: ") && error.contains("maybe"),
        "{error}"
    );
    let gone = read(&PathBuf::from("/no/such/file"))
        .unwrap_err()
        .to_string();
    assert!(gone.contains("/no/such/file"), "{gone}");
}

#[test]
fn captions_are_read_in_every_common_shape() {
    let shapes = [
        r#"[{"image_id": 7, "caption": "a dog"}]"#,
        "{\"image_id\": 7, \"text\": \"a dog\"}\n",
        r#"{"imgToEval": {"7": {"image_id": 7, "caption": "a dog"}}, "overall": {}}"#,
        r#"[{"image": "val2014/COCO_val2014_000000000007.jpg", "response": "a dog"}]"#,
    ];
    for (at, shape) in shapes.iter().enumerate() {
        let found = given(&file(&format!("captions{at}.json"), shape)).unwrap();
        assert_eq!(
            (found[0].image, found[0].text.as_str()),
            (Some(7), "a dog"),
            "{shape}"
        );
    }
    let error = given(&file("none.json", r#"[{"image_id": 7}]"#))
        .unwrap_err()
        .to_string();
    assert!(error.contains("row 1: no answer"), "{error}");
    assert_eq!(image_number("a/b12/x_0034.png"), Some(34));
    assert_eq!(image_number("picture.png"), None);
}

#[test]
fn answers_go_to_their_questions_by_id_or_by_place() {
    let path = file(
        "ids.jsonl",
        "{\"question_id\": 2, \"answer\": \"b\"}\n{\"question_id\": 1, \"answer\": \"a\"}\n",
    );
    let all = given(&path).unwrap();
    assert_eq!(by_id(&path, &[1, 2], all.clone()).unwrap(), ["a", "b"]);
    let error = by_id(&path, &[1, 2, 3], all).unwrap_err().to_string();
    assert!(error.contains("no answer to question 3"), "{error}");
    let path = file("places.jsonl", "{\"answer\": \"a\"}\n{\"answer\": \"b\"}\n");
    let all = given(&path).unwrap();
    assert_eq!(by_id(&path, &[10, 20], all.clone()).unwrap(), ["a", "b"]);
    assert!(by_id(&path, &[10], all).is_err());
}

const INSTANCES: &str = r#"{"images": [{"id": 7, "file_name": "a.jpg", "width": 8, "height": 6},
    {"id": 8, "file_name": "b.jpg", "width": 8, "height": 6}],
  "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
  "annotations": [
    {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 1, 4, 3], "area": 12.0, "segmentation": [[1, 1, 5, 1, 5, 4]]},
    {"id": 2, "image_id": 7, "category_id": 1, "bbox": [1, 1, 4, 3], "area": 12.0, "segmentation": [[1, 1, 5, 1, 5, 4]]}]}"#;

#[test]
fn what_is_in_a_picture_is_annotated_or_said_by_a_reference() {
    let words = Vocabulary::chair();
    let instances = [CocoInstances::read(INSTANCES.as_bytes()).unwrap()];
    let texts = r#"{"images": [{"id": 7}], "annotations": [{"id": 1, "image_id": 7, "caption": "Two cats on a sofa."}]}"#;
    let captions = [CocoCaptions::read(texts.as_bytes()).unwrap()];
    let found = objects(&words, &BTreeSet::from([7, 8]), &instances, &captions).unwrap();
    let names: BTreeSet<&str> = found[&7].iter().map(|class| words.name(*class)).collect();
    assert_eq!(names, BTreeSet::from(["cat", "couch", "dog", "person"]));
    assert!(found[&8].is_empty());
    let error = objects(&words, &BTreeSet::from([9]), &instances, &captions).unwrap_err();
    assert!(error.to_string().contains("image 9"), "{error}");
    let all = annotated(&instances[0]);
    assert_eq!(
        (all[0].image.as_str(), all[0].objects.join(" ")),
        ("a.jpg", "dog person".into())
    );
}
