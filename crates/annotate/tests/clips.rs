//! Which clips make pairs, which frames are cut, and what is refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{gif, source, table};
use percept_annotate::{ClipSource, Project, Times};

fn nothing(_: usize, _: usize) {}

#[test]
fn frames_of_a_pair_are_cut_at_equal_times_inside_the_shorter_clip() {
    let folder = tempfile::tempdir().unwrap();
    let clips = source(&table(folder.path(), 2)).find().unwrap();
    assert_eq!(clips.pairs[1].prompt, "a dog, number 1");
    let out = folder.path().join("out");
    let project = Project::cut(&out, &clips.pairs, &Times::Even(2), &mut nothing).unwrap();
    // 1.0 s and 0.8 s.
    let times: Vec<f64> = project.pairs().iter().map(|pair| pair.time_s).collect();
    assert_eq!(times, [0.2, 0.6, 0.2, 0.6]);
    for pair in project.pairs() {
        assert_eq!((pair.a.width, pair.a.height), (64, 48));
        assert_eq!((pair.b.width, pair.b.height), (48, 64));
        for frame in [&pair.a, &pair.b] {
            let shown = image::open(out.join(&frame.file)).unwrap().into_rgb8();
            assert_eq!(shown.dimensions(), (frame.width, frame.height));
            // The frame that is shown at this time, whatever the palette made of its colour.
            let number = f64::from(shown.get_pixel(3, 3).0[0]) / 20.0;
            assert_eq!(
                number.round(),
                (pair.time_s * 10.0 + 1e-9).floor(),
                "{pair:?}"
            );
        }
    }
    // Again: what is there is taken; other pairs are not mixed with it.
    let again = Project::cut(&out, &clips.pairs, &Times::Even(2), &mut nothing).unwrap();
    assert_eq!(again.pairs(), project.pairs());
    let other = Project::cut(&out, &clips.pairs, &Times::Even(3), &mut nothing);
    let said = other.unwrap_err().to_string();
    assert!(
        said.contains("2 times") && said.contains("3 times"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_cut_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path(), 3);
    let clips = source(&path).find().unwrap();
    let out = folder.path().join("out");
    let late = Project::cut(&out, &clips.pairs, &Times::At(vec![0.1, 0.9]), &mut nothing);
    let said = late.unwrap_err().to_string();
    for word in [
        "two/0.gif",
        "0.9 s is beyond the end",
        "0.800 s",
        "pair 00002",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }

    fs::remove_file(folder.path().join("two/1.gif")).unwrap();
    let said = source(&path).find().unwrap_err().to_string();
    for word in [
        "pairs.csv:3",
        "path_B",
        "two/1.gif does not exist",
        "--skip-missing",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let lenient = ClipSource {
        skip_missing: true,
        ..source(&path)
    };
    let clips = lenient.find().unwrap();
    assert_eq!((clips.pairs.len(), clips.skipped.len()), (2, 1));

    fs::write(folder.path().join("one/0.gif"), b"GIF89a no").unwrap();
    let broken = Project::cut(&out, &clips.pairs, &Times::Even(1), &mut nothing);
    let said = broken.unwrap_err().to_string();
    assert!(
        said.contains("one/0.gif") && said.contains("pair 00002"),
        "{said}"
    );

    for (name, text, words) in [
        (
            "no column",
            "path_A,prompt\none/2.gif,x\n",
            ["path_B", "no text in this column"],
        ),
        (
            "no prompt",
            "path_A,path_B,prompt\none/2.gif,two/2.gif,\n",
            ["prompt", "no text"],
        ),
        (
            "no row",
            "path_A,path_B,prompt\n",
            ["no pair of clips", "pairs.csv"],
        ),
    ] {
        fs::write(&path, text).unwrap();
        let said = source(&path).find().unwrap_err().to_string();
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_folder_has_a_subfolder_for_each_generator_and_a_table_of_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (generator, name) in [("kling", "x"), ("luma", "x"), ("kling", "y"), ("luma", "y")] {
        gif(&at.join(format!("{generator}/{name}.gif")), 4, (32, 32));
    }
    let said = source(at).find().unwrap_err().to_string();
    assert!(said.contains("prompts.csv"), "{said}");
    fs::write(at.join("prompts.csv"), "name,prompt\nx,a cat\ny,a fox\n").unwrap();
    let clips = source(at).find().unwrap();
    assert_eq!(clips.pairs.len(), 2);
    assert_eq!(clips.pairs[1].prompt, "a fox");
    for pair in &clips.pairs {
        assert_ne!(pair.a.model, pair.b.model);
    }
    // Which generator is on the left is drawn, and the draw is the seed's.
    let left = |seed| {
        let source = ClipSource { seed, ..source(at) };
        let pairs = source.find().unwrap().pairs;
        pairs
            .iter()
            .map(|pair| pair.a.model.clone().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(left(3), left(3));
    let all: std::collections::BTreeSet<_> = (0..40).map(left).collect();
    assert_eq!(all.len(), 4, "{all:?}");

    gif(&at.join("sora/x.gif"), 4, (32, 32));
    let every = ClipSource {
        every_two: true,
        skip_missing: true,
        ..source(at)
    };
    let clips = every.find().unwrap();
    assert_eq!(clips.pairs.len(), 4, "x by three generators, y by two");
    assert_eq!(clips.skipped.len(), 2);
    let ids: std::collections::BTreeSet<_> = clips.pairs.iter().map(|p| &p.id).collect();
    assert_eq!(ids.len(), 4);
    let strict = ClipSource {
        skip_missing: false,
        ..every
    };
    let said = strict.find().unwrap_err().to_string();
    assert!(said.contains("sora has no clip named \"y\""), "{said}");

    gif(&at.join("sora/z.gif"), 4, (32, 32));
    let said = source(at).find().unwrap_err().to_string();
    assert!(
        said.contains("sora/z.gif") && said.contains("no prompt"),
        "{said}"
    );
}
