//! Accuracies of video reward models against the authors' programs (`tools/video_reward_reference.py`).
#![allow(clippy::unwrap_used, missing_docs)]

use percept_benchmarks::video_reward::{
    Pair, accuracy, best_threshold, counts, videoalign_with_ties,
};
use percept_frames::Preference;
use serde_json::Value;

struct Set {
    pairs: Vec<(Preference, f64)>,
    said: Value,
}

fn sets() -> Vec<Set> {
    let golden: Value = serde_json::from_str(include_str!("golden/video_reward.json")).unwrap();
    let pair = |pair: &Value| {
        let human = match pair[0].as_i64().unwrap() {
            1 => Preference::A,
            -1 => Preference::B,
            _ => Preference::Tie,
        };
        (human, pair[1].as_f64().unwrap())
    };
    let set = |set: &Value| Set {
        pairs: set["pairs"].as_array().unwrap().iter().map(pair).collect(),
        said: set.clone(),
    };
    golden["sets"].as_array().unwrap().iter().map(set).collect()
}

#[test]
fn accuracies_are_those_of_videoaligns_program() {
    let (mut same, mut higher) = (0, 0);
    for Set { pairs, said } in sets() {
        let official = |at: usize| said["videoalign"][at].as_f64().unwrap();
        assert_eq!(videoalign_with_ties(&pairs), official(0));
        assert_eq!(counts(&pairs, -1.0).without_ties(), official(1));
        let ours = best_threshold(&pairs).unwrap().accuracy;
        assert_eq!(ours, said["brute"].as_f64().unwrap());
        // No threshold gives what their sweep counts while some of equal differences are ties and others are not.
        assert!(ours <= official(0));
        higher += usize::from(ours < official(0));
        same += usize::from(ours == official(0));
        let mut sizes: Vec<f64> = pairs.iter().map(|(_, delta)| delta.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let all_different = sizes.windows(2).all(|two| two[0] < two[1]);
        assert!(!all_different || ours == official(0));
    }
    assert!(same >= 20 && higher >= 1, "{same}, {higher}");
}

#[test]
fn accuracies_are_those_of_unifiedrewards_scripts() {
    for Set { pairs, said } in sets() {
        let official =
            |script: &str, at: usize| said["unified_reward"][script][at].as_f64().unwrap();
        let rows: Vec<Pair<'_>> = pairs
            .iter()
            .map(|&(human, delta)| Pair {
                group: "p",
                human,
                delta,
            })
            .collect();
        let ours = accuracy(&rows);
        for script in ["llava", "think"] {
            assert_eq!(
                ours.accuracy_unified_reward,
                official(script, 0),
                "{script}"
            );
            assert_eq!(ours.without_ties.mean, official(script, 1), "{script}");
        }
        // The script for GenAI-Bench does not ask about ties and leaves them in the denominator.
        let plain = counts(&pairs, 0.0);
        let asked = plain.concordant as f64 / plain.all() as f64;
        assert_eq!(asked, official("genai", 0));
        assert_eq!(ours.without_ties.mean, official("genai", 1));
    }
}
