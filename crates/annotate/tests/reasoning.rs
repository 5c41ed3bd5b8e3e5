//! Which traces of a strong model are kept.
#![allow(clippy::unwrap_used)]

use percept_annotate::reasoning::{Dropped, TraceTask};
use percept_frames::{Distortion, FrameRow, LabelledBox, Preference, question, read_judgement};

fn row(labels: &[Distortion], boxes: &[(Distortion, [f64; 4])]) -> FrameRow {
    FrameRow {
        images: vec!["a.png".into()],
        prompt: question("a dog runs"),
        response: None,
        labels: labels.to_vec(),
        boxes: boxes
            .iter()
            .map(|&(label, corners)| LabelledBox { label, corners })
            .collect(),
        pair_id: "1@0.500".into(),
        side: "A".into(),
        preference: Preference::B,
        time_s: 0.5,
        video: "a.gif".into(),
    }
}

fn reply(trace: &str, answer: &str) -> String {
    format!("Sure.\n<trace>{trace}</trace>\n<answer>{answer}</answer>")
}

const LIMBS: [f64; 4] = [10.0, 10.0, 30.0, 40.0];

fn limbs() -> TraceTask {
    let row = row(&[], &[(Distortion::ExtraLimbs, LIMBS)]);
    TraceTask::new(&row, (64, 48)).unwrap()
}

#[test]
fn a_right_trace_becomes_reasoning_and_a_judgement_with_the_score_of_its_seed() {
    let task = limbs();
    let text = task.text();
    assert!(text.contains("extra limbs: [10, 10, 30, 40]"), "{text}");
    assert!(
        text.contains("64 × 48") && text.contains("a dog runs"),
        "{text}"
    );
    let right = reply(
        "A fifth leg grows at the left.",
        r#"{"labels":["Extra_Limbs"],"regions":[{"label":"extra limbs","box":[11,9,30,41]}]}"#,
    );
    let response = task.response(&right, 0.5, 7).unwrap();
    let (reasoning, judgement) = read_judgement(&response).unwrap();
    assert_eq!(reasoning, "A fifth leg grows at the left.");
    assert_eq!(judgement.labels, [Distortion::ExtraLimbs]);
    assert!((3.0..=4.0).contains(&judgement.score));
    assert_eq!(task.response(&right, 0.5, 7).unwrap(), response);
    let scores: std::collections::BTreeSet<String> = (0..20)
        .map(|seed| task.response(&right, 0.5, seed).unwrap())
        .collect();
    assert!(scores.len() > 10, "the seed decides the score");

    let clean = TraceTask::new(&row(&[], &[]), (64, 48)).unwrap();
    let nothing = reply("All four legs are sound.", r#"{"labels":[],"regions":[]}"#);
    let response = clean.response(&nothing, 0.5, 7).unwrap();
    assert!(read_judgement(&response).unwrap().1.score >= 4.0);

    // Blur of the whole frame has no place that could be wrong.
    let blurred = TraceTask::new(&row(&[Distortion::MotionBlur], &[]), (64, 48)).unwrap();
    assert!(blurred.text().contains("motion blur: the frame as a whole"));
    for regions in ["[]", r#"[{"label":"motion blur","box":[0,0,64,48]}]"#] {
        let answer = format!(r#"{{"labels":["motion blur"],"regions":{regions}}}"#);
        assert!(
            blurred
                .response(&reply("Smeared.", &answer), 0.5, 7)
                .is_ok()
        );
    }
}

#[test]
fn other_traces_are_dropped_and_it_is_said_why() {
    let region = r#"{"label":"extra limbs","box":[10,10,30,40]}"#;
    let right = format!(r#"{{"labels":["extra limbs"],"regions":[{region}]}}"#);
    let with =
        |labels: &str, regions: &str| format!(r#"{{"labels":[{labels}],"regions":[{regions}]}}"#);
    for (kind, said) in [
        ("form", "A fifth leg.".to_owned()),
        ("form", format!("<trace>A fifth leg.</trace>{right}")),
        ("form", reply("A leg.", "extra limbs")),
        ("form", reply("A leg.", r#"{"labels":["extra limbs"]}"#)),
        ("form", reply("A leg.", &with(r#""sixth finger""#, region))),
        ("form", reply("A <think>leg</think>.", &right)),
        ("no reasoning", reply("  \n", &right)),
        (
            "gives the labels away",
            reply("The annotation shows a leg.", &right),
        ),
        ("gives the labels away", reply("I was told so.", &right)),
        ("labels", reply("A leg.", &with("", ""))),
        (
            "labels",
            reply("A leg.", &with(r#""extra limbs","motion blur""#, region)),
        ),
        ("regions", reply("A leg.", &with(r#""extra limbs""#, ""))),
        (
            "regions",
            reply(
                "A leg.",
                &with(r#""extra limbs""#, &format!("{region},{region}")),
            ),
        ),
        (
            "regions",
            reply(
                "A leg.",
                &with(
                    r#""extra limbs""#,
                    r#"{"label":"extra limbs","box":[40,10,60,40]}"#,
                ),
            ),
        ),
        (
            "regions",
            reply(
                "A leg.",
                &with(
                    r#""extra limbs""#,
                    &format!(r#"{region},{{"label":"motion blur","box":[1,1,9,9]}}"#),
                ),
            ),
        ),
    ] {
        let dropped: Dropped = limbs().response(&said, 0.5, 7).unwrap_err();
        assert_eq!(dropped.kind(), kind, "{said}: {dropped}");
    }
}

#[test]
fn a_box_outside_the_frame_is_refused_by_name() {
    let outside = row(&[], &[(Distortion::ExtraLimbs, [50.0, 10.0, 80.0, 40.0])]);
    let error = TraceTask::new(&outside, (64, 48)).unwrap_err().to_string();
    assert!(
        error.contains("extra limbs") && error.contains("64 × 48"),
        "{error}"
    );
}
