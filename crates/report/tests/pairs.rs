//! Pairs of a preference step survive Parquet, whatever their shape.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use percept_report::{PairRecord, PairResponse, read_pairs, write_pairs};
use proptest::prelude::*;

fn floats(n: usize, measured: bool) -> Vec<f32> {
    (0..if measured { n } else { 0 })
        .map(|i| i as f32 * -0.25)
        .collect()
}

prop_compose! {
    fn response()(
        kind in prop::sample::select(vec!["chosen", "rejected", "chosen_rejected_image"]),
        number in any::<u32>(),
        completion in any::<String>(),
        numbers in prop::array::uniform3(any::<Option<i32>>()),
        tokens in prop::collection::vec(any::<u32>(), 0..6),
        measured in any::<[bool; 3]>(),
        images in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3),
    ) -> PairResponse {
        let n = tokens.len();
        let [reward, margin, weight] = numbers.map(|n| n.map(f64::from));
        PairResponse {
            kind: kind.into(), number, completion, reward, margin, weight,
            token_text: if measured[0] { tokens.iter().map(|t| format!(" {t}")).collect() } else { vec![] },
            log_probs: floats(n, measured[1]),
            ref_log_probs: floats(n, measured[2]),
            images: images.into_iter().map(Arc::from).collect(),
            tokens,
        }
    }
}

prop_compose! {
    fn record()(
        id in any::<String>(),
        prompt in any::<String>(),
        loss in any::<Option<i32>>(),
        responses in prop::collection::vec(response(), 1..5),
    ) -> PairRecord {
        PairRecord { id, prompt, loss: loss.map(f64::from), responses, ..PairRecord::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_pair_comes_back(mut records in prop::collection::vec(record(), 0..80), step in any::<u32>()) {
        for (number, record) in records.iter_mut().enumerate() {
            (record.step, record.pair) = (step.into(), number as u32);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs/step-000001.parquet");
        write_pairs(&path, &records).unwrap();
        prop_assert_eq!(read_pairs(&path).unwrap(), records);
    }
}

fn pair(number: u32, images: Vec<Arc<[u8]>>) -> PairRecord {
    let response = |kind: &str, margin| PairResponse {
        kind: kind.into(),
        margin,
        images: images.clone(),
        ..PairResponse::default()
    };
    PairRecord {
        pair: number,
        id: "train.jsonl:7".into(),
        responses: vec![
            response("chosen", None),
            response("rejected", Some(0.5)),
            response("chosen_rejected_image", Some(-0.25)),
        ],
        ..PairRecord::default()
    }
}

#[test]
fn a_picture_that_responses_share_is_stored_and_held_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut state = 1u32;
    let noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let image: Arc<[u8]> = (0..100_000).map(noise).collect();
    let pairs: Vec<PairRecord> = (0..32).map(|n| pair(n, vec![image.clone()])).collect();
    write_pairs(&path, &pairs).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 110_000, "{size}");
    let back = read_pairs(&path).unwrap();
    assert!(Arc::ptr_eq(
        &back[0].responses[0].images[0],
        &back[31].responses[2].images[0]
    ));
}

#[test]
fn the_margin_of_a_pair_is_its_smallest() {
    let record = pair(0, Vec::new());
    assert_eq!(record.margin(), Some(-0.25));
    assert_eq!(record.chosen().unwrap().margin, None);
    let rejected: Vec<bool> = record
        .responses
        .iter()
        .map(PairResponse::has_rejected_images)
        .collect();
    assert_eq!(rejected, [false, false, true]);
}

#[test]
fn lists_of_unequal_length_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut record = pair(0, Vec::new());
    record.responses[1].tokens = vec![1, 2];
    record.responses[1].ref_log_probs = vec![0.0];
    let message = write_pairs(&path, &[record]).unwrap_err().to_string();
    let expected = "train.jsonl:7, rejected: ref_log_probs has 1 entries for 2 tokens";
    assert!(message.contains(expected), "{message}");
    let message = write_pairs(&path, &[PairRecord::default()]).unwrap_err();
    assert!(message.to_string().contains("no responses"), "{message}");
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_pairs(&path, &[pair(0, vec![Arc::from(vec![7u8; 300])])]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 3, 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let message = read_pairs(&path).unwrap_err().to_string();
        assert!(message.contains("pairs"), "{cut}: {message}");
    }
    for i in (4..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x5a;
        std::fs::write(&path, &bytes).unwrap();
        let _ = read_pairs(&path);
    }
}
