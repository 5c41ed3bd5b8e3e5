//! The reference's numbers: stored, resumed and computed anew they are the same.

use std::path::Path;

use percept_model::Device;
use rayon::ThreadPoolBuilder;

use super::{dpo, recipe, row, rows, run_in};
use crate::batch::pack::{PackItem, Packed, pack};
use crate::policy::Policy;
use crate::policy::local::Learner;
use crate::policy::values::{ScoreOptions, TokenValues, Weights};
use crate::source::open_model;

#[test]
fn a_pass_among_others_has_the_bits_of_that_pass_alone() {
    let recipe = dpo(1, "\"dpo\"", "");
    let (model, processor) = open_model(&recipe, None, &Device::flex()).unwrap();
    let policy = Learner::new(model, &recipe);
    let passes: Vec<Packed> = (0..9)
        .map(|index| {
            let sample = row(index);
            let prompt = processor.prompt(&sample).unwrap();
            let preference = sample.preference.as_ref().unwrap();
            let answers = [&preference.chosen[0], &preference.rejected[0][0]];
            let answers = answers.map(|turn| processor.response(&sample, turn).unwrap());
            let responses = answers.iter().map(Vec::as_slice).collect();
            let prompt = &prompt;
            pack(&[PackItem { prompt, responses }]).unwrap()
        })
        .collect();
    let options = ScoreOptions {
        weights: Weights::Current,
        temperature: 1.0,
        top_p: None,
    };
    let alone: Vec<TokenValues> = passes
        .iter()
        .flat_map(|pass| policy.score(std::slice::from_ref(pass), &options).unwrap())
        .collect();
    let longest = passes.iter().map(|pass| pass.batch.tokens.len()).max();
    for threads in [1, 2, 5] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        // All at once, some, one after the other.
        for tokens in [usize::MAX, 3 * longest.unwrap(), 1] {
            let found = pool
                .as_ref()
                .unwrap()
                .install(|| policy.score_each(&passes, &options, tokens).unwrap());
            assert!(found == alone, "{threads} threads, {tokens} tokens");
        }
    }
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bytes_and_stored_reference_numbers_are_those_computed()
{
    for (loss, more) in [
        ("\"adavip\"", ""),
        // Its running mean is part of the checkpoint.
        ("\"dama\"", ""),
        ("\"mdpo\"", "ppo_max_token_len = 150"),
    ] {
        let quick = |precompute: bool| {
            recipe(&format!(
                "[trainer]\nsave_freq = 1\nmax_ckpt_to_keep = 0\n[dpo]\nsteps = 5\ntrain_batch_size = 3\n\
                 optim = {{ lr = 3e-3 }}\n{more}\n[preference]\nloss = {loss}\nprecompute_ref_log_probs = {precompute}\n"
            ))
        };
        let (folder, samples) = (tempfile::tempdir().unwrap(), rows(7));
        let whole = run_in(&quick(true), &samples, &folder.path().join("whole"), None).unwrap();
        let anew = run_in(&quick(false), &samples, &folder.path().join("anew"), None).unwrap();
        assert!(anew.after == whole.after, "{loss}");
        if loss == "\"dama\"" {
            assert!(!whole.state.stage("dpo").memory.is_null());
        }
        for stop_after in 1..5 {
            let run = folder.path().join(format!("stopped {stop_after}"));
            let stopped = run_in(&quick(true), &samples, &run, Some(stop_after)).unwrap();
            assert_eq!(stopped.metrics.len(), stop_after);
            let ended = run_in(&quick(true), &samples, &run, None).unwrap();
            assert!(ended.after == whole.after, "{loss} after {stop_after}");
            assert_eq!(ended.state.stage("dpo"), whole.state.stage("dpo"));
            let stored = |run: &str| {
                std::fs::read(folder.path().join(run).join("reference_log_probs.jsonl")).unwrap()
            };
            assert!(stored("whole") == stored(&format!("stopped {stop_after}")));
        }
    }
}

#[test]
fn a_run_that_goes_on_for_longer_asks_its_reference_about_new_rows() {
    let (folder, samples) = (tempfile::tempdir().unwrap(), rows(9));
    let recipe = |steps: usize| {
        recipe(&format!(
            "[dpo]\nsteps = {steps}\ntrain_batch_size = 3\noptim = {{ lr = 3e-3 }}\n[preference]\nloss = \"adavip\"\n"
        ))
    };
    let run = folder.path().join("run");
    run_in(&recipe(1), &samples, &run, None).unwrap();
    let lines = |run: &Path| {
        let text = std::fs::read_to_string(run.join("reference_log_probs.jsonl")).unwrap();
        text.lines().count()
    };
    assert_eq!(lines(&run), 1 + 3);
    let longer = run_in(&recipe(3), &samples, &run, None).unwrap();
    assert_eq!(lines(&run), 1 + 9);
    let whole = run_in(&recipe(3), &samples, &folder.path().join("whole"), None).unwrap();
    assert!(longer.after == whole.after);
}
