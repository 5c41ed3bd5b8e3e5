//! Actions: stored once, refused by name, undone, handed out, reviewed, exported.
#![allow(clippy::unwrap_used)]

mod common;

use common::{action, project};
use percept_annotate::{
    ActionError, Overlap, Project, State, Status, Store, Take, Works, rows, write_rows,
};
use serde_json::{Value, json};

const LEG: &str = "extra limbs";

fn add(key: &str, corners: [f64; 4]) -> Value {
    json!({"kind": "add_box", "key": key, "side": "A", "label": LEG, "box": corners})
}

fn prefer(preference: &str) -> Value {
    json!({"kind": "prefer", "preference": preference})
}

/// A store, and a counter that gives every action its id.
struct Desk {
    store: Store,
    count: std::cell::Cell<usize>,
}

impl Desk {
    fn new(project: Project, annotators: usize) -> Self {
        let overlap = Overlap {
            annotators,
            share: 1.0,
        };
        Self {
            store: Store::open(project, overlap).unwrap(),
            count: std::cell::Cell::new(0),
        }
    }

    fn by(&self, by: &str, annotator: &str, pair: &str, change: Value) -> Result<(), String> {
        self.count.set(self.count.get() + 1);
        let mut sent = action(&format!("n{}", self.count.get()), annotator, pair, change);
        sent["by"] = by.into();
        match self.store.act(sent) {
            Ok(_) => Ok(()),
            Err(ActionError::Refused(refusal)) => Err(refusal.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    fn own(&self, name: &str, pair: &str, change: Value) -> Result<(), String> {
        self.by(name, name, pair, change)
    }

    fn state(&self, name: &str, pair: &str) -> State {
        self.store
            .look(|works| works.entry(pair, name).unwrap().work.state.clone())
    }

    fn boxes(&self, name: &str, pair: &str) -> usize {
        self.store
            .look(|works| works.entry(pair, name).unwrap().work.boxes.len())
    }

    fn next(&self, name: &str) -> Option<String> {
        self.store.next(name).unwrap()
    }
}

#[test]
fn an_action_is_stored_once_and_a_store_that_is_opened_again_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path(), 1);
    let log = project.folder().join("actions.jsonl");
    let desk = Desk::new(project.clone(), 1);
    let pair = desk.next("ann").unwrap();
    let sent = action("x1", "ann", &pair, add("k", [1.0, 2.0, 20.0, 30.0]));
    assert!(!desk.store.act(sent.clone()).unwrap().known);
    let lines = || std::fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!(lines(), 2);
    assert!(desk.store.act(sent.clone()).unwrap().known);
    assert_eq!((lines(), desk.boxes("ann", &pair)), (2, 1));
    // Another process, such as an export, reads what is there; a second server is refused.
    assert_eq!(Works::read(project.clone()).unwrap().entries().count(), 1);
    assert!(Store::open(project.clone(), Overlap::default()).is_err());
    drop(desk);
    let desk = Desk::new(project, 1);
    assert!(desk.store.act(sent).unwrap().known);
    assert_eq!(desk.next("ann"), Some(pair.clone()));
    assert_eq!((lines(), desk.boxes("ann", &pair)), (2, 1));
}

#[test]
fn what_cannot_be_is_refused_by_name_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(project(folder.path(), 2), 1);
    let pair = desk.next("ann").unwrap();
    let own = |change| desk.own("ann", &pair, change).unwrap_err();
    let named = |said: &str, words: &[&str]| {
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{words:?}: {said}"
        );
    };
    let unknown = json!({"kind": "add_box", "key": "k", "side": "A", "label": "sixth finger", "box": [1, 1, 9, 9]});
    named(
        &own(unknown),
        &["sixth finger", "limb deformation", "mesh penetration"],
    );
    // The frame of A has 64 × 48 pixels.
    for corners in [
        [-1.0, 0.0, 10.0, 10.0],
        [0.0, 0.0, 65.0, 10.0],
        [0.0, 0.0, 10.0, 49.0],
        [10.0, 0.0, 10.0, 10.0],
        [10.0, 0.0, 5.0, 10.0],
    ] {
        named(&own(add("k", corners)), &["frame A", "64 × 48", LEG]);
    }
    named(&own(json!({"kind": "submit"})), &["which frame is better"]);
    named(&own(json!({"kind": "undo"})), &["nothing to undo"]);
    named(
        &own(json!({"kind": "delete_box", "key": "k"})),
        &["no box \"k\""],
    );
    named(&own(json!({"kind": "fly"})), &["fly", "add_box"]);
    named(
        &own(json!({"kind": "prefer", "preference": "C"})),
        &["\"C\"", "\"same\""],
    );
    named(
        &own(json!({"kind": "prefer", "preference": "A", "why": 1})),
        &["why"],
    );
    named(
        &desk.own("ann", "no-pair", prefer("A")).unwrap_err(),
        &["unknown pair", "no-pair"],
    );
    named(
        &desk.own("bob", &pair, prefer("A")).unwrap_err(),
        &["not given to bob"],
    );
    named(
        &desk
            .own("bob", &pair, json!({"kind": "claim"}))
            .unwrap_err(),
        &["not free"],
    );
    named(
        &desk.own(" bob", &pair, prefer("A")).unwrap_err(),
        &["\" bob\" is no name"],
    );
    assert!(desk.store.next("").is_err());
    assert_eq!(desk.boxes("ann", &pair), 0);
    let log = folder.path().join("out/actions.jsonl");
    assert_eq!(
        std::fs::read_to_string(log).unwrap().lines().count(),
        1,
        "the claim alone"
    );
}

#[test]
fn undo_takes_back_ones_own_last_action_also_a_submission() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(project(folder.path(), 1), 1);
    let pair = desk.next("ann").unwrap();
    let undo = || json!({"kind": "undo"});
    desk.own("ann", &pair, add("k", [1.0, 1.0, 9.0, 9.0]))
        .unwrap();
    desk.own("ann", &pair, json!({"kind": "delete_box", "key": "k"}))
        .unwrap();
    desk.own("ann", &pair, undo()).unwrap();
    assert_eq!(desk.boxes("ann", &pair), 1);
    desk.own("ann", &pair, prefer("tie")).unwrap();
    desk.own("ann", &pair, json!({"kind": "submit"})).unwrap();
    let refused = desk.own("ann", &pair, prefer("A")).unwrap_err();
    assert!(refused.contains("submitted"), "{refused}");
    desk.own("ann", &pair, undo()).unwrap();
    assert_eq!(desk.state("ann", &pair), State::Open);
    for _ in 0..2 {
        desk.own("ann", &pair, undo()).unwrap();
    }
    assert_eq!(desk.boxes("ann", &pair), 0);
    assert!(
        desk.own("ann", &pair, undo()).is_err(),
        "the pair stays given"
    );
}

#[test]
fn pairs_are_handed_out_without_overlap_or_with_the_chosen_one() {
    for annotators in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(project(folder.path(), 4), annotators);
        let mut given = std::collections::BTreeMap::new();
        let names = ["ann", "bob", "cid"];
        for round in 0..12 {
            let name = names[round % 3];
            let Some(pair) = desk.next(name) else {
                continue;
            };
            assert_eq!(
                desk.next(name).as_deref(),
                Some(&*pair),
                "until it is done it stays"
            );
            desk.own(name, &pair, prefer("A")).unwrap();
            desk.own(name, &pair, json!({"kind": "submit"})).unwrap();
            given.entry(pair).or_insert_with(Vec::new).push(name);
        }
        assert_eq!(given.len(), 4);
        for (pair, by) in given {
            assert_eq!(by.len(), annotators, "{pair}");
            assert_eq!(
                by.iter().collect::<std::collections::BTreeSet<_>>().len(),
                annotators
            );
        }
        assert!(names.iter().all(|name| desk.next(name).is_none()));
    }
    // What is given back goes to another one.
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(project(folder.path(), 1), 1);
    let pair = desk.next("ann").unwrap();
    assert_eq!(desk.next("bob"), None);
    desk.own("ann", &pair, json!({"kind": "release"})).unwrap();
    assert_eq!(desk.next("bob"), Some(pair));
    assert_eq!(desk.next("ann"), None);
}

#[test]
fn a_reviewer_accepts_corrects_or_returns() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(project(folder.path(), 3), 1);
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let pair = desk.next("ann").unwrap();
        desk.own("ann", &pair, add("k", [1.0, 1.0, 9.0, 9.0]))
            .unwrap();
        desk.own("ann", &pair, prefer("A")).unwrap();
        let early = desk.by("rev", "ann", &pair, json!({"kind": "accept"}));
        assert!(early.unwrap_err().contains("in the making"));
        desk.own("ann", &pair, json!({"kind": "submit"})).unwrap();
        pairs.push(pair);
    }
    let review = |pair: &str, change| desk.by("rev", "ann", pair, change);
    let own = desk
        .own("ann", &pairs[0], json!({"kind": "accept"}))
        .unwrap_err();
    assert!(own.contains("ann cannot review their own work"), "{own}");
    review(&pairs[0], json!({"kind": "accept"})).unwrap();
    review(
        &pairs[1],
        json!({"kind": "relabel_box", "key": "k", "label": "limb deficiency"}),
    )
    .unwrap();
    review(&pairs[1], json!({"kind": "accept"})).unwrap();
    review(
        &pairs[2],
        json!({"kind": "return", "note": "look at the left hand"}),
    )
    .unwrap();
    assert!(
        matches!(desk.state("ann", &pairs[2]), State::Returned { ref note, .. } if note.contains("left hand"))
    );
    assert!(
        desk.own("ann", &pairs[0], json!({"kind": "undo"})).is_err(),
        "the reviewer was last"
    );
    // What was returned comes first.
    assert_eq!(desk.next("ann"), Some(pairs[2].clone()));
    desk.own("ann", &pairs[2], json!({"kind": "delete_box", "key": "k"}))
        .unwrap();
    desk.own("ann", &pairs[2], json!({"kind": "submit"}))
        .unwrap();
    let status = desk
        .store
        .look(|works| Status::of(works, desk.store.overlap()));
    let all = &status.all;
    assert_eq!((all.accepted, all.corrected, all.submitted), (2, 1, 1));

    let exported = desk
        .store
        .look(|works| rows(works, Take::Done, folder.path()));
    let statuses: Vec<&str> = exported.rows.iter().map(|row| row.status).collect();
    assert_eq!(
        statuses,
        [
            "accepted",
            "accepted",
            "corrected",
            "corrected",
            "submitted",
            "submitted"
        ]
    );
    assert_eq!(exported.rows[2].frame.labels[0].name(), "limb deficiency");
    let accepted = desk
        .store
        .look(|works| rows(works, Take::Accepted, folder.path()));
    assert_eq!((accepted.rows.len(), accepted.not_done), (4, 1));
}

#[test]
fn rows_are_what_was_said_in_jsonl_and_parquet_alike() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(project(folder.path(), 4), 3);
    let said = [
        ["A", "A", "B"],
        ["same", "B", "B"],
        ["A", "B", "same"],
        ["B", "B", "B"],
    ];
    for (at, name) in ["ann", "bob", "cid"].into_iter().enumerate() {
        for of_pair in said {
            let pair = desk.next(name).unwrap();
            desk.own(name, &pair, add("k", [at as f64, 1.0, 30.0, 40.0]))
                .unwrap();
            desk.own(name, &pair, add("m", [2.0, 2.0, 8.0, 9.0]))
                .unwrap();
            let blur =
                json!({"kind": "set_label", "side": "B", "label": "Motion_Blur", "on": true});
            desk.own(name, &pair, blur).unwrap();
            desk.own(name, &pair, prefer(of_pair[at])).unwrap();
            desk.own(name, &pair, json!({"kind": "submit"})).unwrap();
        }
    }
    let out = folder.path().canonicalize().unwrap();
    let exported = desk.store.look(|works| rows(works, Take::Done, &out));
    assert_eq!(
        (exported.rows.len(), exported.not_done, exported.no_majority),
        (6, 0, 1)
    );
    let by: Vec<&str> = exported.rows.iter().map(|row| &*row.annotator).collect();
    assert_eq!(by, ["ann", "ann", "bob", "bob", "ann", "ann"]);
    let every = desk.store.look(|works| rows(works, Take::Every, &out));
    assert_eq!(every.rows.len(), 24);

    for name in ["rows.jsonl", "rows.parquet"] {
        let path = out.join(name);
        write_rows(&path, &exported.rows).unwrap();
        let read = percept_data::RawRows::open(&path, &path).unwrap();
        assert_eq!(read.len(), 6, "{name}");
        for (at, row) in exported.rows.iter().enumerate() {
            let found = Value::from(read.get(at).unwrap());
            assert_eq!(found, serde_json::to_value(row).unwrap(), "{name}");
            let image = found["images"][0].as_str().unwrap();
            assert!(image.starts_with("out/frames/"), "{image}");
            assert!(out.join(image).is_file());
        }
        let first = Value::from(read.get(0).unwrap());
        assert_eq!(first["labels"], json!([LEG]));
        assert_eq!(
            first["boxes"][1],
            json!({"label": LEG, "box": [2.0, 2.0, 8.0, 9.0]})
        );
        assert_eq!(
            (&first["side"], &first["preference"]),
            (&json!("A"), &json!("A"))
        );
        let second = Value::from(read.get(1).unwrap());
        assert_eq!(
            (&second["labels"], &second["boxes"]),
            (&json!(["motion blur"]), &json!([]))
        );
    }
    let agreement = desk
        .store
        .look(|works| Status::of(works, desk.store.overlap()).agreement);
    assert_eq!(agreement.pairs, 4);
    assert_eq!(agreement.preference.cohen.len(), 3);
    let fleiss = agreement.preference.fleiss.unwrap();
    assert_eq!((fleiss.items, fleiss.raters), (4, 3));
    // A A B, same B B, A B same, B B B: one in three pairs equal, one, none, all.
    let observed = (1.0 / 3.0 + 1.0 / 3.0 + 0.0 + 1.0) / 4.0;
    let chance = (3.0_f64 / 12.0).powi(2) + (7.0_f64 / 12.0).powi(2) + (2.0_f64 / 12.0).powi(2);
    let kappa = (observed - chance) / (1.0 - chance);
    assert!((fleiss.kappa.unwrap() - kappa).abs() < 1e-12);
    assert_eq!(
        agreement.labels[LEG].fleiss.as_ref().unwrap().kappa,
        Some(1.0)
    );
    let (a, b, boxes) = &agreement.boxes[0];
    assert_eq!((&**a, &**b, boxes.frames), ("ann", "bob", 4));
    let iou = (29.0 / 30.0 + 1.0) / 2.0;
    assert!((boxes.mean_iou.unwrap() - iou).abs() < 1e-12);
}
