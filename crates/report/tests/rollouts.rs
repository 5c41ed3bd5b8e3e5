//! Rollouts survive Parquet, whatever their shape.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use percept_report::{
    RewardPart, RolloutRecord, Verdict, count_rollouts, read_rollouts, read_rollouts_page,
    write_rollouts,
};
use proptest::prelude::*;

fn part() -> impl Strategy<Value = RewardPart> {
    ("[a-z_]{1,8}", any::<Option<i8>>(), any::<Option<String>>()).prop_map(|(name, v, reason)| {
        RewardPart {
            name,
            value: v.map(f64::from),
            reason,
        }
    })
}

fn floats(n: usize, measured: bool) -> Vec<f32> {
    (0..if measured { n } else { 0 })
        .map(|i| i as f32 * -0.25)
        .collect()
}

prop_compose! {
    fn record()(
        step in 0..u64::from(u32::MAX),
        sample in any::<u32>(),
        strings in prop::array::uniform4(any::<String>()),
        optional in prop::array::uniform2(any::<Option<String>>()),
        reward in any::<Option<i32>>(),
        advantage in any::<Option<i32>>(),
        reward_parts in prop::collection::vec(part(), 0..4),
        tokens in prop::collection::vec(any::<u32>(), 0..6),
        is_expert in any::<bool>(),
        measured in any::<[bool; 8]>(),
        images in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3),
    ) -> RolloutRecord {
        let n = tokens.len();
        let [prompt_id, prompt, completion, finish_reason] = strings;
        let [question_type, answer] = optional;
        RolloutRecord {
            step, weight_version: step / 2, prompt_id, sample, is_expert, question_type, answer, prompt,
            completion, finish_reason, reward_parts,
            reward: reward.map(f64::from),
            advantage: advantage.map(f64::from),
            token_text: if measured[0] { tokens.iter().map(|t| format!(" {t}")).collect() } else { vec![] },
            log_probs: floats(n, measured[1]),
            entropy: floats(n, measured[2]),
            token_advantages: floats(n, measured[3]),
            weights: measured[4].then(|| floats(n, true)),
            nucleus_entropy: measured[5].then(|| floats(n, true)),
            log_prob_no_image: measured[6].then(|| floats(n, true)),
            token_set: measured[7].then(|| floats(n, true)),
            images: images.into_iter().map(Arc::from).collect(),
            tokens,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_record_comes_back(records in prop::collection::vec(record(), 0..200), offset in 0..220usize, limit in 0..220usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollouts/step-000001.parquet");
        write_rollouts(&path, &records).unwrap();
        prop_assert_eq!(&read_rollouts(&path).unwrap(), &records);
        prop_assert_eq!(count_rollouts(&path).unwrap(), records.len());
        let page = read_rollouts_page(&path, offset, limit).unwrap();
        let expected: Vec<_> = records.into_iter().skip(offset).take(limit).collect();
        prop_assert_eq!(page, expected);
    }
}

#[test]
fn an_image_shared_by_a_group_is_stored_and_held_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut state = 1u32;
    let noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let image: Arc<[u8]> = (0..100_000).map(noise).collect();
    let record = RolloutRecord {
        images: vec![image],
        ..RolloutRecord::default()
    };
    write_rollouts(&path, &vec![record; 128]).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size < 110_000, "{size}");
    let back = read_rollouts(&path).unwrap();
    assert!(Arc::ptr_eq(&back[0].images[0], &back[127].images[0]));
}

#[test]
fn lists_of_unequal_length_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let record = RolloutRecord {
        prompt_id: "train.jsonl:7".into(),
        tokens: vec![1, 2],
        log_probs: vec![0.0],
        ..RolloutRecord::default()
    };
    let message = write_rollouts(&path, &[record]).unwrap_err().to_string();
    assert!(
        message.contains("train.jsonl:7#0: log_probs has 1 entries for 2 tokens"),
        "{message}"
    );
    assert!(!path.exists());
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_rollouts(
        &path,
        &[RolloutRecord {
            tokens: vec![7; 50],
            ..RolloutRecord::default()
        }],
    )
    .unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 3, 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(read_rollouts(&path).is_err(), "{cut}");
    }
    for i in (4..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x5a;
        std::fs::write(&path, &bytes).unwrap();
        let _ = read_rollouts(&path);
    }
}

#[test]
fn the_verdict_follows_accuracy_and_an_ungraded_answer_is_not_wrong() {
    let mut record = RolloutRecord {
        reward: Some(0.1),
        ..RolloutRecord::default()
    };
    assert_eq!(record.verdict(), Verdict::Partial);
    let mut accuracy = |value| {
        record.reward_parts = vec![RewardPart {
            name: "accuracy".into(),
            value,
            reason: None,
        }];
        record.verdict()
    };
    assert_eq!(accuracy(Some(1.0)), Verdict::Right);
    assert_eq!(accuracy(Some(0.0)), Verdict::Wrong);
    assert_eq!(accuracy(None), Verdict::Ungraded);
}

/// Two rows of the synthetic run, lists cut to five, without `advantage`, written again by
/// pandas 3.1.1 with pyarrow 26.0.1: every column is nullable there.
#[test]
fn a_file_that_pandas_wrote_reads_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pandas.parquet");
    let rows = read_rollouts(std::path::Path::new(path)).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].step, rows[0].sample, rows[1].sample), (160, 0, 3));
    assert_eq!(
        (rows[0].reward, rows[1].reward, rows[0].advantage),
        (Some(1.0), None, None)
    );
    assert_eq!(rows[0].tokens, [1000, 1037, 1074, 1111, 1148]);
    assert_eq!(rows[0].token_text, ["<", "think", ">", "\n", "I"]);
    assert_eq!(
        (rows[0].weights.as_ref().map(Vec::len), &rows[1].weights),
        (Some(5), &None)
    );
    assert_eq!(rows[1].log_probs.len(), 5);
    assert_eq!(
        (rows[0].images[0].as_ref(), rows[1].images.len()),
        (b"\x89PNGx".as_slice(), 0)
    );
    let accuracy = &rows[1].reward_parts[0];
    assert_eq!((accuracy.name.as_str(), accuracy.value), ("accuracy", None));
    assert!(accuracy.reason.as_ref().unwrap().contains("length limit"));
    assert_eq!(rows[1].verdict(), Verdict::Ungraded);
}

/// A number in thrift's compact form: zigzag, seven bits a byte.
fn thrift(number: u64) -> Vec<u8> {
    let mut rest = number << 1;
    let mut bytes = Vec::new();
    while rest > 127 {
        bytes.push(rest as u8 | 128);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The file with `rows` in every place of its footer that says how many rows or values there are.
fn claiming(whole: &[u8], real: u64, rows: u64) -> Vec<u8> {
    let tail = whole.len() - 8;
    let length = u32::from_le_bytes(whole[tail..tail + 4].try_into().unwrap()) as usize;
    let (data, footer) = whole[..tail].split_at(tail - length);
    let (old, new) = (thrift(real), thrift(rows));
    let mut claim = Vec::new();
    let mut rest = footer;
    let mut places = 0;
    while let Some((first, after)) = rest.split_first() {
        if rest.starts_with(&old) {
            claim.extend(&new);
            rest = &rest[old.len()..];
            places += 1;
        } else {
            claim.push(*first);
            rest = after;
        }
    }
    assert!(places >= 3, "{places}");
    let length = u32::try_from(claim.len()).unwrap();
    [data, &claim, &length.to_le_bytes(), b"PAR1"].concat()
}

#[test]
fn a_footer_that_claims_more_rows_than_memory_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    // One row group of them.
    let real = 127;
    write_rollouts(&path, &vec![RolloutRecord::default(); real]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for rows in [1 << 40, (1 << 20) + 1, i64::MAX as u64] {
        std::fs::write(&path, claiming(&whole, real as u64, rows)).unwrap();
        let message = read_rollouts(&path).unwrap_err().to_string();
        let found = format!("a row group of {rows} rows");
        assert!(message.contains(&found), "{message}");
        assert!(message.contains("a.parquet"), "{message}");
        assert!(read_rollouts_page(&path, 0, 10).is_err(), "{rows}");
    }
    // Fewer than the check's limit, more than there are: what is decoded is counted.
    std::fs::write(&path, claiming(&whole, real as u64, 1 << 19)).unwrap();
    assert!(read_rollouts(&path).is_err());
}
