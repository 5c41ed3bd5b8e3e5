//! How rows are cut into forward passes changes neither an update nor the order of scores; a loss on
//! the whole divergence leads back to the reference.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use percept_data::Patches;
use percept_kernels::train::KlDirection;
use percept_model::{Device, Model, Prompt};
use percept_train::{
    Learner, LocalModel, Objective, OptimConfig, PackItem, Packed, PassOptions, Policy, Recipe,
    ReferenceSource, ScoreOptions, TokenValues, Update, Weights, micro_batches, open_model, pack,
    parse, score,
};

fn recipe(rest: &str) -> Recipe {
    let text = format!(
        "[model.tiny]\nhidden_size = 32\nnum_hidden_layers = 1\nnum_attention_heads = 2\n\
         num_key_value_heads = 1\nintermediate_size = 64\n\
         [model.tiny.vision]\ndepth = 1\nhidden_size = 32\nnum_heads = 2\nintermediate_size = 64\n\
         fullatt_block_indexes = [0]\n\
         [data.digit_sum]\nsft = {{ len = 4 }}\nrl = {{ len = 4 }}\nval = {{ len = 4 }}\n\
         [[reward.functions]]\nname = \"math\"\n[rl]\n{rest}"
    );
    parse(&text, "test", &[]).unwrap()
}

fn model(recipe: &Recipe) -> Model {
    open_model(recipe, None, &Device::flex()).unwrap().0
}

fn tokens(len: usize, seed: usize) -> Vec<u32> {
    (0..len)
        .map(|i| ((i * i + 7 * seed) % 50) as u32 + 10)
        .collect()
}

/// Prompts and their responses, of ragged lengths.
fn groups() -> Vec<(Prompt, Vec<Vec<u32>>)> {
    let lengths = [3, 17, 1, 29, 8, 11, 5];
    let group = |(index, len): (usize, &usize)| {
        let prompt = Prompt {
            tokens: tokens(4 + len, index),
            positions: (0..4 + *len as u32).map(|at| [at; 3]).collect(),
            next_position: 4 + *len as u32,
            ..Prompt::default()
        };
        let response = |r: usize| tokens(1 + (len * (r + 2)) % 19, 31 * index + r);
        (prompt, (0..1 + index % 4).map(response).collect())
    };
    lengths.iter().enumerate().map(group).collect()
}

fn items(groups: &[(Prompt, Vec<Vec<u32>>)]) -> Vec<PackItem<'_>> {
    let mut items = Vec::new();
    for (prompt, responses) in groups {
        items.push(PackItem {
            prompt,
            responses: responses.iter().map(Vec::as_slice).collect(),
        });
    }
    items
}

/// A forward pass and the backward pass of `objective`; merged tokens that the tower computed.
fn forward_backward(
    learner: &mut Learner,
    packed: &Packed,
    options: &PassOptions,
    objective: impl FnOnce(&TokenValues) -> Objective,
) -> usize {
    let pass = learner.forward(packed, options, 0).unwrap();
    learner
        .backward(pass.saved, &objective(&pass.values))
        .unwrap();
    pass.vision_tokens
}

/// Every token is to be likelier.
fn likelier(now: &TokenValues) -> Objective {
    Objective {
        d_log_prob: vec![-1.0; now.log_prob.len()],
        ..Objective::default()
    }
}

/// Passes, merged tokens that the tower computed, gradient norm and new weights of an update.
type Updated = (usize, usize, f64, Vec<f32>);

/// One update whose weights are linear in the gradient.
fn update(recipe: &Recipe, items: &[PackItem<'_>], budget: usize, share: bool) -> Updated {
    let optim = OptimConfig {
        eps: 1.0,
        clip_grad: 0.0,
        weight_decay: 0.0,
        ..OptimConfig::default()
    };
    let mut learner = Learner::new(model(recipe), recipe);
    let parts = micro_batches(items, budget);
    let passes: Vec<Packed> = parts.iter().map(|p| pack(&p.items).unwrap()).collect();
    if share {
        learner.plan_update(&passes, &PassOptions::default());
    }
    let mut vision = 0;
    for (part, packed) in parts.iter().zip(&passes) {
        // A weight of its own for every token, by the place of its response.
        let responses = part.items.iter().flat_map(|item| &item.responses);
        let weights = part
            .rows
            .iter()
            .zip(responses)
            .flat_map(|(&row, response)| {
                (0..response.len()).map(move |at| ((row * 7 + at * 3) % 11) as f32 - 5.0)
            });
        let weights: Vec<f32> = weights.collect();
        let objective = |_: &TokenValues| Objective {
            d_log_prob: weights,
            ..Objective::default()
        };
        let options = PassOptions::default();
        vision += forward_backward(&mut learner, packed, &options, objective);
    }
    let Update::Done { grad_norm } = learner.optim_step(&optim, 1.0).unwrap() else {
        panic!("a gradient that is not finite");
    };
    (passes.len(), vision, grad_norm, weights_of(learner.model()))
}

fn weights_of(model: &Model) -> Vec<f32> {
    let params = model.parameters().iter();
    params.flat_map(|param| param.to_vec()).collect()
}

/// The same update, by the norm of its gradient and by the weights.
fn assert_same_update(what: &str, before: &[f32], found: &Updated, expected: &Updated) {
    let moved = before.iter().zip(&expected.3).map(|(a, b)| (a - b).abs());
    let moved = moved.fold(0.0, f32::max);
    assert!(moved > 0.1, "{what}: {moved}");
    let (norm, found_norm) = (expected.2, found.2);
    assert!(
        (found_norm / norm - 1.0).abs() < 1e-5,
        "{what}: {found_norm} for {norm}"
    );
    for (a, b) in found.3.iter().zip(&expected.3) {
        assert!((a - b).abs() < 1e-4 * moved, "{what}: {a} for {b}");
    }
}

#[test]
fn how_rows_are_cut_into_passes_changes_no_update() {
    let recipe = recipe("");
    let groups = groups();
    let items = items(&groups);
    let before = weights_of(&model(&recipe));
    let expected = update(&recipe, &items, usize::MAX, true);
    assert_eq!(expected.0, 1);
    for budget in [1, 40, 60, 100] {
        let found = update(&recipe, &items, budget, true);
        assert!(found.0 > 1);
        assert_same_update(&format!("budget {budget}"), &before, &found, &expected);
    }
}

#[test]
fn an_image_goes_through_the_tower_once_in_an_update() {
    let mut groups = groups();
    let merged = 4;
    for (index, (prompt, _)) in groups.iter_mut().enumerate() {
        // Groups 0 and 1 show one picture, each in an array of its own.
        let seed = index.max(1);
        let grid_thw = [1, 4, 4];
        let pixel = |i: usize| ((i * 31 + 17 * seed) % 23) as f32 * 0.1 - 1.1;
        let pixels = (0..16 * 294).map(pixel).collect();
        prompt.vision.push(Arc::new(Patches { grid_thw, pixels }));
        prompt.vision_index = (1..1 + merged).collect();
    }
    let items = items(&groups);
    let pictures = groups.len() - 1;
    for rest in [
        "[model]\ngradient_checkpointing = false\n",
        "[model]\ngradient_checkpointing = true\n",
        "[model]\nfreeze_vision = true\n",
    ] {
        let recipe = recipe(rest);
        let before = weights_of(&model(&recipe));
        let whole = update(&recipe, &items, usize::MAX, true);
        assert_eq!(whole.1, pictures * merged as usize, "{rest}");
        for budget in [1, 40] {
            let what = format!("{rest}budget {budget}");
            let old = update(&recipe, &items, budget, false);
            let found = update(&recipe, &items, budget, true);
            assert_same_update(&what, &before, &found, &whole);
            assert_same_update(&what, &before, &found, &old);
            assert_eq!(found.1, whole.1, "{what}");
            assert!(old.1 > found.1, "{what}: {} in {} passes", old.1, old.0);
        }
    }
}

// C5
#[test]
fn a_parameter_that_is_reached_late_begins_with_a_step_of_its_own() {
    let recipe = recipe("");
    let mut learner = Learner::new(model(&recipe), &recipe);
    let optim = OptimConfig {
        weight_decay: 0.0,
        clip_grad: 0.0,
        eps: 1e-20,
        ..OptimConfig::default()
    };
    let mut groups = groups();
    let step = |learner: &mut Learner, groups: &[(Prompt, Vec<Vec<u32>>)]| {
        let packed = pack(&items(groups)).unwrap();
        forward_backward(learner, &packed, &PassOptions::default(), likelier);
        learner.optim_step(&optim, 1e-3).unwrap();
    };
    let tower = |model: &Model| -> Vec<f32> {
        let params = model.parameters().iter();
        let params = params.filter(|param| param.name().contains("visual."));
        params.flat_map(|param| param.to_vec()).collect()
    };
    // Text alone: the vision tower has no gradient, and does not move.
    let before = tower(learner.model());
    for _ in 0..7 {
        step(&mut learner, &groups);
    }
    assert_eq!(tower(learner.model()), before);
    // With a resume in between.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    learner.save_optimizer(&file).unwrap();
    learner.load_optimizer(&file, 99).unwrap();
    let grid_thw = [1, 4, 4];
    let pixels = (0..16 * 294)
        .map(|i| ((i * 31) % 23) as f32 * 0.1 - 1.1)
        .collect();
    groups[0]
        .0
        .vision
        .push(Arc::new(Patches { grid_thw, pixels }));
    groups[0].0.vision_index = (1..5).collect();
    step(&mut learner, &groups);
    // The first step of AdamW is the learning rate, whatever the gradient: m / sqrt(v) = 1.
    let moved: Vec<f32> = tower(learner.model())
        .iter()
        .zip(&before)
        .map(|(a, b)| (a - b).abs())
        .filter(|&moved| moved > 0.0)
        .collect();
    assert!(
        moved.len() > before.len() / 4,
        "{} of {}",
        moved.len(),
        before.len()
    );
    for moved in moved {
        assert!((moved - 1e-3).abs() < 2e-6, "{moved}");
    }
}

// C5: a file of a version that counted updates of the whole model.
#[test]
fn moments_without_steps_of_their_own_load() {
    let recipe = recipe("");
    let optim = OptimConfig::default();
    let groups = groups();
    let packed = pack(&items(&groups)).unwrap();
    let mut learners = [0, 1].map(|_| Learner::new(model(&recipe), &recipe));
    let step = |learner: &mut Learner| {
        forward_backward(learner, &packed, &PassOptions::default(), likelier);
        learner.optim_step(&optim, 1e-3).unwrap();
    };
    for learner in &mut learners {
        step(learner);
        step(learner);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    learners[0].save_optimizer(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let old = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensors = old.tensors().into_iter();
    let tensors = tensors.filter(|(name, _)| !name.starts_with("step."));
    let without = safetensors::serialize(tensors, None).unwrap();
    assert!(without.len() < bytes.len());
    std::fs::write(&file, without).unwrap();
    learners[0].load_optimizer(&file, 2).unwrap();
    learners.iter_mut().for_each(step);
    let [loaded, whole] = learners
        .each_ref()
        .map(|learner| weights_of(learner.model()));
    assert!(loaded == whole, "the third step is the third");
}

#[test]
fn scores_stand_in_the_order_of_the_rows() {
    let model = model(&recipe(""));
    // More than one pass holds, long and short ones mixed.
    let lengths = [900, 3000, 40, 2500, 5, 2800, 1, 1700];
    let groups: Vec<(Prompt, Vec<Vec<u32>>)> = lengths
        .iter()
        .enumerate()
        .map(|(index, &len)| {
            let (prompt, _) = groups().swap_remove(index % 7);
            (
                prompt,
                vec![tokens(len, index), tokens(len / 3 + 1, index + 50)],
            )
        })
        .collect();
    let items = items(&groups);
    assert!(micro_batches(&items, 8_192).len() > 1);
    let found = score(&model, &items, 0.7).unwrap();
    let mut rows = found.offsets.iter();
    for item in &items {
        for &response in &item.responses {
            let alone = PackItem {
                prompt: item.prompt,
                responses: vec![response],
            };
            let expected = score(&model, &[alone], 0.7).unwrap().values;
            let range = rows.next().unwrap();
            assert_eq!(range.len(), response.len());
            let pairs = found.values.log_prob[range.clone()].iter();
            let pairs = pairs.zip(&expected.log_prob);
            let entropies = found.values.entropy[range].iter().zip(&expected.entropy);
            for (a, b) in pairs.chain(entropies) {
                assert!((a - b).abs() < 1e-4, "{a} for {b}");
            }
        }
    }
}

/// A recipe with adapters and a reference, and its model with adapters that were trained before.
fn adapted(loss: &str) -> (Recipe, Model) {
    let recipe = recipe(&format!(
        "[model.lora]\nr = 4\n[algorithm.loss]\nuse_kl_loss = true\n{loss}"
    ));
    let mut model = model(&recipe);
    for (index, param) in model.parameters_mut().iter_mut().enumerate() {
        if param.name().contains("lora_B") {
            let value = |i: usize| ((i * 37 + index) % 11) as f32 * 0.02 - 0.1;
            param.update(|values| {
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v = value(i))
            });
        }
    }
    (recipe, model)
}

/// Log-probabilities of the targets.
fn scored(learner: &Learner, packed: &Packed, weights: Weights, temperature: f32) -> Vec<f32> {
    let options = ScoreOptions {
        weights,
        temperature,
        top_p: None,
    };
    let found = learner.score(std::slice::from_ref(packed), &options);
    found.unwrap().remove(0).log_prob
}

// C1
#[test]
fn the_reference_of_adapters_is_the_model_at_the_start_of_the_stage() {
    let (recipe, model) = adapted("");
    let groups = groups();
    let packed = pack(&items(&groups)).unwrap();
    let base = Learner::new(model.without_lora(), &recipe);
    let mut learner = Learner::new(model, &recipe);
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("reference");
    learner.freeze_reference(&kept).unwrap();
    let now = |learner: &Learner| scored(learner, &packed, Weights::Current, 1.0);
    let reference = |learner: &Learner| scored(learner, &packed, Weights::Reference, 1.0);
    let apart = |a: &[f32], b: &[f32]| {
        let pairs = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        pairs.fold(0.0, f32::max)
    };
    let start = now(&learner);
    assert!(
        apart(&now(&base), &start) > 0.1,
        "the adapters say something"
    );
    assert_eq!(reference(&learner), start);
    forward_backward(&mut learner, &packed, &PassOptions::default(), likelier);
    learner.optim_step(&OptimConfig::default(), 1e-2).unwrap();
    assert!(apart(&now(&learner), &start) > 0.1, "the policy has moved");
    assert_eq!(reference(&learner), start, "and the reference has not");
    // A resume opens the same one.
    let source = learner.load_reference(&kept).unwrap();
    assert_eq!(source, ReferenceSource::Copy);
    assert_eq!(reference(&learner), start);
    // A run of an older version has no copy: its reference was the base, and stays that.
    std::fs::remove_dir_all(&kept).unwrap();
    let source = learner.load_reference(&kept).unwrap();
    assert_eq!(source, ReferenceSource::Base);
    assert_eq!(reference(&learner), now(&base));
}

#[test]
fn a_loss_on_the_whole_divergence_leads_back_to_the_reference() {
    let (recipe, model) = adapted("kl_loss_type = \"full\"\n");
    let folder = tempfile::tempdir().unwrap();
    let mut learner = Learner::new(model, &recipe);
    learner
        .freeze_reference(&folder.path().join("reference"))
        .unwrap();
    let groups = groups();
    let packed = pack(&items(&groups)).unwrap();
    let options = PassOptions {
        temperature: 0.8,
        ref_kl: Some(KlDirection::Reverse),
    };
    let reference = scored(&learner, &packed, Weights::Reference, options.temperature);
    let (optim, none) = (
        OptimConfig {
            weight_decay: 0.0,
            ..OptimConfig::default()
        },
        OptimConfig {
            weight_decay: 0.0,
            clip_grad: 0.0,
            ..OptimConfig::default()
        },
    );
    // Away from it first.
    for _ in 0..8 {
        forward_backward(&mut learner, &packed, &options, |now| {
            let count = now.log_prob.len();
            Objective {
                d_log_prob: vec![-1.0 / count as f32; count],
                ..Objective::default()
            }
        });
        learner.optim_step(&none, 1e-2).unwrap();
    }
    let divergence = |learner: &mut Learner| {
        let mut seen = TokenValues::default();
        forward_backward(learner, &packed, &options, |now| {
            seen.clone_from(now);
            let count = now.log_prob.len();
            Objective {
                d_log_prob: vec![0.0; count],
                d_kl: Some(vec![1.0 / count as f32; count]),
                ..Objective::default()
            }
        });
        let kl = seen.ref_kl.clone().unwrap();
        assert!(kl.iter().all(|&kl| kl > -1e-6));
        let mean = kl.iter().sum::<f32>() / kl.len() as f32;
        let apart = seen.log_prob.iter().zip(&reference);
        let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        (mean, apart)
    };
    let (first, apart) = divergence(&mut learner);
    assert!(first > 0.01 && apart > 0.1, "{first}, {apart}");
    for _ in 0..200 {
        learner.optim_step(&optim, 3e-3).unwrap();
        divergence(&mut learner);
    }
    let (last, apart_now) = divergence(&mut learner);
    assert!(last < 0.05 * first, "{last} after {first}");
    assert!(apart_now < 0.5 * apart, "{apart_now} after {apart}");
}
