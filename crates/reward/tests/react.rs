//! REACT's rewards beside the independent reading of `tools/react_reward_reference.py` (NumPy 2.4.6), and GRPO with them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use percept_base::random::{SplitMix, unit};
use percept_credit::{
    AdvantageConfig, CreditConfig, LossConfig, Normaliser, Offsets, Signals, policy_loss,
};
use percept_reward::{Answer, Error, RewardConfig, RewardSet, Verdict};
use serde_json::{Map, Value, json};

const LABELS: [&str; 8] = [
    "limb deformation",
    "extra limbs",
    "limb deficiency",
    "torso deformation",
    "facial deformation",
    "object distortion",
    "motion blur",
    "mesh penetration",
];
const OUTCOMES: [&str; 3] = ["A", "B", "same"];

fn golden() -> Value {
    let path = Path::new("tests/golden/react.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn set(functions: &str) -> Result<RewardSet, Error> {
    let text = format!("functions = [{functions}]");
    RewardSet::build(&toml::from_str::<RewardConfig>(&text).unwrap())
}

/// The recipe's three rewards with weights of 1.
fn react() -> RewardSet {
    set(
        "{ name = 'react_attribution' }, { name = 'react_preference' }, \
         { name = 'format', answer_tags = ['<answer>', '</answer>'] }",
    )
    .unwrap()
}

fn names(mask: usize) -> Vec<&'static str> {
    let labels = LABELS.iter().enumerate();
    let there = labels.filter(|(bit, _)| mask >> bit & 1 == 1);
    there.map(|(_, name)| *name).collect()
}

fn mask(stream: &mut SplitMix) -> usize {
    match stream.below(3) {
        0 => 0,
        _ => stream.below(256) & stream.below(256),
    }
}

fn response(stream: &mut SplitMix) -> String {
    let kind = stream.below(8);
    let labels: Vec<String> = names(mask(stream))
        .iter()
        .map(|name| format!("{name:?}"))
        .collect();
    let cents = 100 + stream.below(401);
    let answer = format!(
        "<answer>{{\"labels\":[{}],\"score\":{}.{:02}}}</answer>",
        labels.join(","),
        cents / 100,
        cents % 100
    );
    match kind {
        0 => format!("<think>I see {cents}.</think>{cents}"),
        1 => answer,
        _ => format!("<think>I see {cents}.</think>{answer}"),
    }
}

/// A pair of groups, made as the script makes it.
struct Case {
    rows: [Map<String, Value>; 2],
    texts: [Vec<String>; 2],
    lengths: Vec<usize>,
    log_prob: Vec<f32>,
    old: Vec<f32>,
    reference: Vec<f32>,
}

impl Case {
    fn new(stream: &mut SplitMix, pair: usize) -> Self {
        let size = 2 + stream.below(3);
        let outcome = OUTCOMES[stream.below(3)];
        let mut side = |side: &str| {
            let row = json!({
                "pair_id": pair, "side": side, "preference": outcome, "labels": names(mask(stream)),
            });
            let texts = (0..size).map(|_| response(stream)).collect::<Vec<_>>();
            (row.as_object().cloned().unwrap(), texts)
        };
        let ((a, of_a), (b, of_b)) = (side("A"), side("B"));
        let lengths: Vec<usize> = (0..2 * size).map(|_| 1 + stream.below(3)).collect();
        let tokens = lengths.iter().sum::<usize>();
        let mut draw = |make: &dyn Fn(f64) -> f64| -> Vec<f32> {
            (0..tokens)
                .map(|_| make(unit(stream.next_u64())) as f32)
                .collect()
        };
        let log_prob = draw(&|x| -3.0 * x);
        let near = |moved: Vec<f32>| -> Vec<f32> {
            log_prob.iter().zip(moved).map(|(l, m)| l + m).collect()
        };
        let old = near(draw(&|x| 0.8 * x - 0.4));
        let reference = near(draw(&|x| x - 0.5));
        Self {
            rows: [a, b],
            texts: [of_a, of_b],
            lengths,
            log_prob,
            old,
            reference,
        }
    }

    fn answers(&self, side: usize) -> Vec<Answer<'_>> {
        let texts = self.texts[side].iter();
        let answer = |completion| Answer {
            completion,
            meta: &self.rows[side],
            ..Answer::default()
        };
        texts.map(|text| answer(text.as_str())).collect()
    }

    /// `∂loss/∂log_prob` of GRPO as the paper has it: clip 0.2, KL to the reference, tokens averaged within a response.
    fn gradient(&self, rewards: &[Option<f64>], clip: f64, kl: f64) -> Vec<f32> {
        let offsets = Offsets::from_lengths(self.lengths.iter().copied());
        let size = self.texts[0].len();
        let group: Vec<usize> = (0..2 * size).map(|row| row / size).collect();
        let trained = vec![true; offsets.tokens()];
        let signals = Signals {
            offsets: &offsets,
            group: &group,
            rewards,
            mask: &trained,
            log_prob: &self.log_prob,
            old_log_prob: &self.old,
            ref_log_prob: Some(&self.reference),
            ..Signals::default()
        };
        let credit = CreditConfig {
            advantage: AdvantageConfig::default(),
            ..CreditConfig::default()
        };
        let loss: LossConfig = toml::from_str(&format!(
            "use_kl_loss = true\nkl_coef = {kl}\nloss_agg_mode = 'seq-mean-token-mean'\n\
             policy_loss = {{ name = 'ppo', clip_ratio_low = {clip}, clip_ratio_high = {clip} }}"
        ))
        .unwrap();
        let credit = credit.credit(&signals).unwrap();
        let total = Normaliser::of(&offsets, &trained);
        policy_loss(&loss, &signals, &credit, &total)
            .unwrap()
            .d_log_prob
    }
}

#[test]
fn rewards_and_gradients_are_those_of_the_independent_reading() {
    let golden = golden();
    let number = |name: &str| golden[name].as_f64().unwrap();
    let bytes = std::fs::read("tests/golden/react_pairs.bin").unwrap();
    let mut expected = bytes
        .chunks_exact(8)
        .map(|eight| f64::from_le_bytes(eight.try_into().unwrap()));
    let mut stream = SplitMix::new(golden["seed"].as_u64().unwrap());
    let pairs = golden["pairs"].as_u64().unwrap() as usize;
    let cases: Vec<Case> = (0..pairs)
        .map(|pair| Case::new(&mut stream, pair))
        .collect();
    // All prompts of a large batch in an order of its own: pairs are found by their column.
    let answers: Vec<[Vec<Answer<'_>>; 2]> = cases
        .iter()
        .map(|case| [case.answers(0), case.answers(1)])
        .collect();
    let mut places: Vec<(usize, usize)> = (0..pairs).flat_map(|p| [(p, 0), (p, 1)]).collect();
    SplitMix::new(7).shuffle(&mut places);
    let groups: Vec<&[Answer<'_>]> = places
        .iter()
        .map(|&(p, side)| answers[p][side].as_slice())
        .collect();
    let mut judged = react().judge_groups(&groups);
    let (mut worst_reward, mut worst_slope) = (0.0f64, 0.0f64);
    for (pair, case) in cases.iter().enumerate() {
        let mut rewards = Vec::new();
        for side in 0..2 {
            let at = places
                .iter()
                .position(|&place| place == (pair, side))
                .unwrap();
            rewards.extend(
                std::mem::take(&mut judged[at])
                    .into_iter()
                    .map(|reward| reward.total),
            );
        }
        for reward in &rewards {
            worst_reward = worst_reward.max((reward.unwrap() - expected.next().unwrap()).abs());
        }
        for slope in case.gradient(&rewards, number("clip"), number("kl")) {
            worst_slope = worst_slope.max((f64::from(slope) - expected.next().unwrap()).abs());
        }
    }
    assert_eq!(expected.next(), None);
    println!(
        "{pairs} pairs of groups: rewards differ by {worst_reward:.1e}, gradients by {worst_slope:.1e}"
    );
    assert!(worst_reward <= 1e-12, "{worst_reward}");
    assert!(worst_slope <= 1e-6, "{worst_slope}");
}

fn frame(side: &str, outcome: &str) -> Map<String, Value> {
    let row = json!({"pair_id": "p", "side": side, "preference": outcome, "labels": []});
    row.as_object().cloned().unwrap()
}

fn said(score: f64) -> String {
    format!("<think>I look.</think><answer>{{\"labels\":[],\"score\":{score}}}</answer>")
}

fn preference(outcome: &str, a: f64, b: f64) -> f64 {
    let set = set("{ name = 'react_preference' }").unwrap();
    let rows = [frame("A", outcome), frame("B", outcome)];
    let texts = [said(a), said(b)];
    let answer = |side: usize| Answer {
        completion: &texts[side],
        meta: &rows[side],
        ..Answer::default()
    };
    let both = set.judge(&[answer(0), answer(1)]);
    assert_eq!(both[0].total, both[1].total);
    both[0].total.unwrap()
}

#[test]
fn the_preference_reward_is_the_negative_of_video_aligns_loss_with_ties() {
    let golden = golden();
    let cases = golden["video_align"].as_array().unwrap();
    assert!(cases.len() >= 50);
    for case in cases {
        let [outcome, a, b, loss] = case.as_array().unwrap().as_slice() else {
            panic!("{case}");
        };
        let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
        let found = preference(outcome.as_str().unwrap(), a, b);
        assert!(
            (found + loss.as_f64().unwrap()).abs() < 1e-12,
            "{case}: {found}"
        );
    }
}

#[test]
fn the_three_outcomes_of_any_two_scores_add_up_to_one() {
    for (a, b) in [(1.0, 5.0), (3.42, 3.42), (4.5, 2.1), (2.0, 2.01)] {
        let sum: f64 = OUTCOMES.iter().map(|o| preference(o, a, b).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{a} {b}: {sum}");
    }
}

#[test]
fn rows_of_one_pair_belong_together_and_what_they_lack_is_said() {
    let react = react();
    assert_eq!(react.group_by(), Some("pair_id"));
    assert!(!react.needs_ground_truth());
    let (a, b) = (frame("A", "A"), frame("B", "A"));
    assert_eq!(react.check_row(&a), Ok(()));
    assert_eq!(react.check_rows(&[&a, &b]), Ok(()));
    let alone = react.check_rows(&[&a]).unwrap_err();
    assert!(
        alone.starts_with("react_preference: pair_id p has 1 row"),
        "{alone}"
    );
    let mut odd = a.clone();
    odd.insert("labels".into(), json!(["six fingers"]));
    let error = react.check_row(&odd).unwrap_err();
    assert!(
        error.contains("labels[0]") && error.contains("extra limbs"),
        "{error}"
    );
    let two = set(
        "{ name = 'react_preference' }, { name = 'react_preference', label = 'b', group_by = 'scene' }",
    );
    let error = two.unwrap_err().to_string();
    assert!(error.contains("b.group_by: scene"), "{error}");
}

#[test]
fn a_batch_without_the_partner_is_not_scored() {
    let (a, text) = (frame("A", "B"), said(3.0));
    let answer = Answer {
        completion: &text,
        meta: &a,
        ..Answer::default()
    };
    let judged = react().judge(&[answer]).remove(0);
    assert_eq!(judged.total, None);
    let reason = judged.parts[1].1.reason().map(str::to_owned);
    assert!(reason.unwrap().contains("frame B"));
    assert_eq!(judged.parts[0].1, Verdict::Score(0.6));
}
