//! What a step makes of the weights.

use std::path::{Path, PathBuf};

use percept_credit::preference::PreferenceConfig;

use super::{apart, dpo, norm, recipe, rows, run_in, train};

/// Each loss as a recipe names it.
fn losses() -> Vec<String> {
    let options = |name: &str| match name {
        "vdpo" => "{ name = \"vdpo\", dynamic_label_smoothing = true }".to_owned(),
        name => format!("{name:?}"),
    };
    PreferenceConfig::NAMES
        .iter()
        .map(|name| options(name))
        .collect()
}

#[test]
fn every_loss_trains_and_its_metrics_are_finite() {
    for loss in losses() {
        let ran = train(&dpo(2, &loss, ""), &rows(6));
        assert_eq!(ran.metrics.len(), 2, "{loss}");
        for metrics in &ran.metrics {
            for (name, value) in metrics {
                assert!(value.is_finite(), "{loss}: {name} is {value}");
            }
        }
        for name in ["rewards/chosen", "rewards/rejected", "rewards/margins"] {
            ran.metric(1, name);
        }
        assert!(ran.metric(0, "logps/chosen") < -1.0, "{loss}");
        assert!(norm(&ran.moved()) > 1e-3, "{loss}");
        // The second step has moved in the direction of the first: the loss of its pairs falls below that of none.
        assert_eq!(ran.state.stage("dpo").step, 2);
    }
}

#[test]
fn training_prefers_what_was_chosen() {
    for loss in ["\"dpo\"", "\"adavip\"", "\"mdpo\""] {
        let quick =
            "[trainer]\nseed = 3\n[dpo]\nsteps = 12\ntrain_batch_size = 8\noptim = { lr = 1e-3 }\n";
        let recipe = recipe(&format!("{quick}[preference]\nloss = {loss}\n"));
        let ran = train(&recipe, &rows(8));
        assert!(ran.metric(0, "rewards/margins").abs() < 1e-4, "{loss}");
        assert!(ran.metric(11, "rewards/margins") > 0.2, "{loss}");
        assert!(ran.metric(11, "rewards/accuracies") == 1.0, "{loss}");
        assert!(
            ran.metric(11, "train/loss") < 0.95 * ran.metric(0, "train/loss"),
            "{loss}"
        );
    }
}

#[test]
fn a_rejected_picture_that_is_the_picture_moves_nothing_visually() {
    let mut samples = rows(4);
    for sample in &mut samples {
        let images = sample.images.clone();
        sample.preference.as_mut().unwrap().rejected_images = vec![images];
    }
    let plain = train(&dpo(1, "\"dpo\"", ""), &samples);
    let visual = train(&dpo(1, "\"adavip\"", ""), &samples);
    // Three equal rewards: the rejected answer has a third of the softmax, where DPO's slope is a half.
    let expected: Vec<f32> = plain.moved().iter().map(|x| x * 2.0 / 3.0).collect();
    let found = apart(&visual.moved(), &expected);
    assert!(found < 1e-4, "{found}");
    assert!((visual.metric(0, "weights/rejected") - 1.0 / 3.0).abs() < 1e-5);
    assert!(
        visual
            .metric(0, "rewards/chosen_rejected_image/margins")
            .abs()
            < 1e-4
    );
    // And another picture does move something.
    let other = train(&dpo(1, "\"adavip\"", ""), &rows(4));
    assert!(apart(&other.moved(), &expected) > 0.05);
}

#[test]
fn neither_passes_nor_the_order_of_rows_change_an_update() {
    for loss in ["\"adavip\"", "\"chip\"", "\"halva\"", "\"opa\"", "\"vdpo\""] {
        let whole = train(&dpo(1, loss, ""), &rows(4));
        let split = train(&dpo(1, loss, "ppo_max_token_len = 200"), &rows(4));
        let mut turned = rows(4);
        turned.reverse();
        let turned = train(&dpo(1, loss, ""), &turned);
        // A prompt is computed once for its answers, a picture once in a step.
        for name in ["perf/total_num_tokens", "perf/vision_tokens"] {
            assert_eq!(
                split.metric(0, name),
                whole.metric(0, name),
                "{loss} {name}"
            );
        }
        for (what, other) in [("split", &split), ("turned", &turned)] {
            let found = apart(&other.moved(), &whole.moved());
            assert!(found < 1e-4, "{loss} {what}: {found}");
            for name in [
                "train/loss",
                "train/grad_norm",
                "rewards/margins",
                "logps/chosen",
            ] {
                let (a, b) = (other.metric(0, name), whole.metric(0, name));
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(1e-1),
                    "{loss} {what} {name}: {a} for {b}"
                );
            }
        }
    }
}

#[test]
fn what_moves_the_weights_is_the_gradient_of_the_loss() {
    // The second step's gradient, where policy and reference differ, against differences of the loss itself.
    let loss = "{ name = \"adavip\", beta = 0.5, anchor_weight = 0.3 }";
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let samples = rows(4);
    let first = run_in(&dpo(1, loss, ""), &samples, &run, None).unwrap();
    let second = run_in(&dpo(2, loss, ""), &samples, &run, None).unwrap();
    assert!(first.after == second.before);
    let gradient: Vec<f32> = second.moved().iter().map(|moved| -moved).collect();
    let length = norm(&gradient);
    // Along the gradient itself: the loss of the third step on the moved weights, half a step back and forth.
    let at = |scale: f32| {
        let other = folder.path().join(format!("at {scale}"));
        copy(&run, &other, &gradient, scale);
        run_in(&dpo(2, loss, ""), &samples, &other, None)
            .unwrap()
            .metric(0, "train/loss")
    };
    let step = 0.02 / length;
    let slope = (at(step as f32) - at(-step as f32)) / (2.0 * step);
    assert!(
        (slope / length.powi(2) - 1.0).abs() < 5e-3,
        "{slope} for {}",
        length.powi(2)
    );
}

/// The run as it stood after its first step, with the weights moved.
fn copy(run: &Path, to: &Path, along: &[f32], scale: f32) {
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        let target = to.join(folder.strip_prefix(run).unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for file in files(&folder) {
            match file.is_dir() {
                true if file.ends_with("step-000002") => {}
                true => folders.push(file),
                false => {
                    std::fs::copy(&file, target.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
    }
    let checkpoint = to.join("checkpoints/step-000001");
    let device = percept_nn::parse_device("cpu").unwrap();
    let mut model = percept_model::Model::load(&checkpoint, &device).unwrap();
    let mut at = 0;
    for param in model.parameters_mut() {
        param.update(|values| {
            for value in values {
                *value += scale * along[at];
                at += 1;
            }
        });
    }
    assert_eq!(at, along.len());
    model
        .save(&checkpoint, percept_model::SaveDtype::F32)
        .unwrap();
}

#[test]
fn adapters_are_trained_against_the_base() {
    let recipe = recipe(
        "[model.lora]\nr = 4\n[dpo]\nsteps = 6\ntrain_batch_size = 4\noptim = { lr = 1e-2 }\n[preference]\nloss = \"adavip\"\n",
    );
    let ran = train(&recipe, &rows(4));
    assert!(ran.metric(0, "rewards/chosen").abs() < 1e-4);
    assert!(ran.metric(5, "rewards/margins") > 0.05);
}
