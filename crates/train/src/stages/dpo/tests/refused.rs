//! Rows that are no pairs.

use percept_data::{Message, Role, Sample};

use super::{dpo, recipe, rows, run_in, train};

#[test]
fn rows_that_are_no_pair_for_the_loss_are_counted_and_said() {
    let mut samples = rows(6);
    samples[1].preference = None;
    samples[3]
        .preference
        .as_mut()
        .unwrap()
        .rejected_images
        .clear();
    samples[4]
        .preference
        .as_mut()
        .unwrap()
        .chosen
        .push(Message::text(Role::User, "?"));
    let steps = "shuffle = false\n[dpo]\nsteps = 1\ntrain_batch_size = 4\n[preference]\n";
    let mdpo = recipe(&format!("{steps}loss = \"mdpo\"\n"));
    // Rows 0, 2, 5, and 0 again.
    let ran = train(&mdpo, &samples);
    assert_eq!(ran.metric(0, "data/skipped_rows"), 3.0);
    let mut state = ran.state.clone();
    let reasons = state.watch.skipped_of("dpo").commonest(5);
    for word in ["`chosen` and `rejected`", "visual-pairs", "2 turns"] {
        assert!(reasons.contains(word), "{word}: {reasons}");
    }
    // AdaViP takes a pair without a rejected picture by its answers.
    let ran = train(&recipe(&format!("{steps}loss = \"adavip\"\n")), &samples);
    assert_eq!(ran.metric(0, "data/skipped_rows"), 2.0);
    assert_eq!(ran.metric(0, "data/language_only_pairs"), 1.0);
    assert!(
        ran.notices.iter().any(|said| said.contains("row 3")),
        "{:?}",
        ran.notices
    );
}

#[test]
fn data_without_what_the_loss_asks_for_is_refused_with_a_row_and_help() {
    let refused = |samples: &[Sample], loss: &str| {
        let folder = tempfile::tempdir().unwrap();
        let ran = run_in(&dpo(1, loss, ""), samples, &folder.path().join("run"), None);
        ran.map(|_| ()).unwrap_err().to_string()
    };
    let change = |change: fn(&mut Sample)| {
        let mut samples = rows(3);
        samples.iter_mut().for_each(change);
        samples
    };
    let none = change(|sample| sample.preference = None);
    let error = refused(&none, "\"dpo\"");
    for word in ["row 0", "chosen", "rejected", "help"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().rejected_images.clear();
    let error = refused(&change(of), "\"adavip\"");
    for word in [
        "rejected picture",
        "percept data visual-pairs",
        "row 0",
        "1 rejected answer",
    ] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().corrected = None;
    assert!(refused(&change(of), "\"opa\"").contains("corrected"));
    let of = |sample: &mut Sample| sample.preference.as_mut().unwrap().clip_gap = None;
    assert!(refused(&change(of), "\"dama\"").contains("clip_gap"));
    let of = |sample: &mut Sample| {
        sample.images.clear();
        sample.messages[0].content.remove(0);
    };
    assert!(refused(&change(of), "\"vdpo\"").contains("picture to take away"));
    // Every row is too long.
    let error = run_in(
        &dpo(1, "\"dpo\"", "ppo_max_token_len = 20"),
        &rows(3),
        &tempfile::tempdir().unwrap().path().join("run"),
        None,
    );
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("dpo.ppo_max_token_len (20)"), "{error}");
    // What compares the pairs of a step is not split.
    let error = run_in(
        &dpo(1, "\"dama\"", "ppo_max_token_len = 90"),
        &rows(4),
        &tempfile::tempdir().unwrap().path().join("run"),
        None,
    );
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("lower dpo.train_batch_size"), "{error}");
}
