//! Dynamic frame sampling over random clips and score functions: what always holds, and what it finds.
#![allow(clippy::unwrap_used)]

use percept_base::random::{SplitMix, unit};
use percept_frames::sampling::{DynamicSampling, SecondRound, Timeline, budget, uniform};

fn draw(random: &mut SplitMix, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(random.next_u64())
}

/// Constant and variable rates, from one frame to some thousand.
fn clip(random: &mut SplitMix) -> Timeline {
    let duration = match random.below(10) {
        0 => draw(random, 0.0, 0.5),
        _ => draw(random, 0.5, 60.0),
    };
    if random.below(2) == 0 {
        let fps = draw(random, 1.0, 60.0);
        return Timeline::constant(duration, fps).unwrap();
    }
    let mut times = vec![draw(random, 0.0, 0.2)];
    while times[times.len() - 1] < duration && times.len() < 2000 {
        let pause = if random.below(20) == 0 { 1.5 } else { 0.1 };
        times.push(times[times.len() - 1] + draw(random, 0.001, pause));
    }
    Timeline::new(times, duration).unwrap()
}

fn scores(random: &mut SplitMix, count: usize) -> Vec<Option<f64>> {
    let kind = random.below(5);
    let level = draw(random, 1.0, 5.0);
    (0..count)
        .map(|_| match kind {
            0 => Some(draw(random, 1.0, 5.0)),
            1 => Some(draw(random, 4.0, 5.0)),
            2 => Some(draw(random, 3.0, 5.0)),
            3 => Some(level),
            _ => (random.below(3) > 0).then(|| draw(random, 1.0, 5.0)),
        })
        .collect()
}

#[test]
fn ten_thousand_clips_keep_their_budget_and_obey_the_thresholds() {
    let mut random = SplitMix::new(16);
    let mut cases = [0usize; 3];
    for index in 0..10_000 {
        let clip = clip(&mut random);
        let sampling = DynamicSampling {
            fps: draw(&mut random, 0.1, 8.0),
            neighbour: draw(&mut random, 0.05, 0.5),
            second_round: match random.below(3) {
                0 => SecondRound::Gaps,
                _ => SecondRound::Neighbours,
            },
            seed: random.next_u64(),
            ..DynamicSampling::default()
        };
        let first = sampling.first_round(&clip).unwrap();
        let scores = scores(&mut random, first.len());
        let second = sampling.second_round(&clip, &first, &scores).unwrap();

        // The budget: never exceeded, and spent.
        let paid = budget(&clip, sampling.fps).unwrap();
        assert_eq!(first.len() + second.len(), paid, "clip {index}");
        let by_rate = (sampling.fps * clip.duration_s() + 1e-9).max(1.0);
        assert!(paid as f64 <= by_rate, "clip {index}");
        // No frame twice, and every one is a frame of the clip.
        let mut all: Vec<f64> = first.iter().chain(&second).copied().collect();
        all.sort_by(f64::total_cmp);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "clip {index}");
        assert!(all.iter().all(|time| clip.times().contains(time)));
        // The same question has the same answer.
        assert_eq!(
            second,
            sampling.second_round(&clip, &first, &scores).unwrap()
        );

        if sampling.second_round == SecondRound::Neighbours {
            cases[thresholds(&clip, &sampling, &first, &scores, &second, index)] += 1;
        }
    }
    assert!(cases.iter().all(|&count| count > 500), "{cases:?}");
}

/// Checks where the second round looks; gives which of the three cases it was.
fn thresholds(
    clip: &Timeline,
    sampling: &DynamicSampling,
    first: &[f64],
    scores: &[Option<f64>],
    second: &[f64],
    index: usize,
) -> usize {
    let known: Vec<f64> = scores.iter().flatten().copied().collect();
    let lowest = known.iter().copied().fold(sampling.high, f64::min);
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    // A time becomes the frame shown then: up to the longest frame earlier; the first is shown from the start.
    let ends = clip
        .times()
        .iter()
        .skip(1)
        .copied()
        .chain([clip.duration_s()]);
    let longest = clip
        .times()
        .iter()
        .zip(ends)
        .map(|(a, b)| b - a)
        .fold(clip.times()[0], f64::max);
    let spacing = clip.duration_s() / first.len() as f64;
    let reach = sampling.neighbour * spacing;
    let (case, below) = if lowest < sampling.low {
        (0, sampling.low)
    } else if lowest < sampling.high {
        (1, mean)
    } else {
        (2, f64::NEG_INFINITY)
    };
    let centres: Vec<f64> = first
        .iter()
        .zip(scores)
        .filter(|(_, score)| score.is_some_and(|score| score < below))
        .map(|(time, _)| *time)
        .collect();
    let near = |time: f64, centre: f64| (time - centre).abs() <= reach + 2.0 * longest;
    if case == 2 {
        // Between the frames: nothing crowds a frame of round 1 while there is room elsewhere.
        if longest < spacing / 16.0 {
            let nearest = |time: f64| {
                first
                    .iter()
                    .map(|t| (t - time).abs())
                    .fold(f64::INFINITY, f64::min)
            };
            assert!(
                second
                    .iter()
                    .all(|&t| nearest(t) >= spacing / 2.0 - 2.0 * longest - 1e-9
                        || t < first[0]
                        || t > first[first.len() - 1]),
                "clip {index}"
            );
        }
        return case;
    }
    // Every centre gets its two neighbours before anything else does, as far as the budget goes; frames that last longer
    // than the neighbourhood may be the same frame, and so may neighbours of two centres that almost meet.
    let apart = longest < reach / 4.0 && longest < (spacing - 2.0 * reach) / 4.0;
    if apart && case == 0 {
        let beside = second
            .iter()
            .filter(|&&time| centres.iter().any(|&c| near(time, c)));
        let expected = second.len().min(2 * centres.len());
        assert!(beside.count() >= expected, "clip {index}");
        let served = |centre: f64| second.iter().any(|&time| near(time, centre));
        let score_of = |centre: f64| scores[first.iter().position(|&t| t == centre).unwrap()];
        let best_served = centres
            .iter()
            .filter(|c| served(**c))
            .map(|c| score_of(*c).unwrap());
        let best_served = best_served.fold(1.0, f64::max);
        for &centre in centres.iter().filter(|c| !served(**c)) {
            assert!(
                second.is_empty() || score_of(centre).unwrap() >= best_served,
                "clip {index}"
            );
        }
    }
    if case == 1 && !second.is_empty() && !centres.is_empty() && reach > 4.0 * longest {
        assert!(
            second
                .iter()
                .any(|&time| centres.iter().any(|&c| near(time, c))),
            "clip {index}"
        );
    }
    case
}

/// How often a distortion of 0.2 s in a clip of 8 s (30 frames a second) is among 16 judged frames. The scorer gives 1.5 to
/// what is distorted; `hint` seconds before and after it the score falls in a straight line from `clean` to 2.
fn found(hint: f64, noise: f64, round: Option<SecondRound>) -> f64 {
    const CLIPS: usize = 4000;
    let clip = Timeline::constant(8.0, 30.0).unwrap();
    let mut random = SplitMix::new(7);
    let mut hits = 0;
    for seed in 0..CLIPS {
        let middle = draw(&mut random, 0.1, 7.9);
        let distorted = |time: f64| (time - middle).abs() <= 0.1;
        let mut score = |time: f64| {
            let clean = 4.5 + draw(&mut random, -noise, noise);
            let beyond = (time - middle).abs() - 0.1;
            let score = match distorted(time) {
                true => 1.5,
                false if beyond < hint => clean + (2.0 - clean) * (1.0 - beyond / hint),
                false => clean,
            };
            Some(score)
        };
        let judged: Vec<f64> = match round {
            None => uniform(&clip, 2.0).unwrap(),
            Some(second_round) => {
                let sampling = DynamicSampling {
                    second_round,
                    seed: seed as u64,
                    ..DynamicSampling::default()
                };
                let mut first = sampling.first_round(&clip).unwrap();
                let scores: Vec<Option<f64>> = first.iter().map(|&time| score(time)).collect();
                first.extend(sampling.second_round(&clip, &first, &scores).unwrap());
                first
            }
        };
        assert_eq!(judged.len(), 16);
        hits += usize::from(judged.into_iter().any(distorted));
    }
    hits as f64 / CLIPS as f64
}

/// `cargo test --release -p percept-frames --test sampling -- --nocapture brief` prints the table of docs/crawlers.md.
#[test]
fn a_brief_distortion_is_found_twice_as_often_where_frames_around_it_hint_at_it() {
    println!("hint  noise  uniform  neighbours  gaps");
    for noise in [0.0, 0.5] {
        for hint in [0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5] {
            let even = found(hint, noise, None);
            let paper = found(hint, noise, Some(SecondRound::Neighbours));
            let ours = found(hint, noise, Some(SecondRound::Gaps));
            println!("{hint:4}  {noise:5}  {even:7.3}  {paper:10.3}  {ours:5.3}");
            // Without a hint nothing can be better than the share of the clip that the frames cover.
            assert!((0.37..0.45).contains(&even));
            if hint == 0.0 {
                assert!(paper <= even + 0.03 && ours <= even + 0.03);
            }
            if hint >= 0.5 {
                assert!(ours >= 2.0 * even, "{hint}: {ours} beside {even}");
            }
        }
    }
}

#[test]
fn settings_without_a_plan_are_refused_by_name() {
    let clip = Timeline::constant(8.0, 30.0).unwrap();
    let with = |change: fn(&mut DynamicSampling)| {
        let mut sampling = DynamicSampling::default();
        change(&mut sampling);
        sampling.first_round(&clip).unwrap_err().to_string()
    };
    assert!(with(|s| s.fps = 0.0).contains("fps is 0"));
    assert!(with(|s| s.high = 6.0).contains("high is 6"));
    assert!(with(|s| s.low = 4.5).contains("from 1 to high, 4"));
    assert!(with(|s| s.neighbour = 0.6).contains("neighbour is 0.6"));
    let sampling = DynamicSampling::default();
    let first = sampling.first_round(&clip).unwrap();
    let error = sampling.second_round(&clip, &first, &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected one for each of 8 times")
    );
}
