//! How rows are cut into forward passes changes neither an update nor the order of scores; a loss on
//! the whole divergence leads back to the reference.

#![allow(clippy::unwrap_used)]

use percept_model::{Device, Model, Prompt};
use percept_report::RunDir;
use percept_train::{
    Learner, Objective, OptimConfig, PackItem, Recipe, TokenValues, Update, micro_batches,
    open_model, pack, parse, score,
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

#[test]
fn how_rows_are_cut_into_passes_changes_no_update() {
    let recipe = recipe("");
    let groups = groups();
    let items = items(&groups);
    // Weights of the update are linear in the gradient.
    let optim = OptimConfig {
        eps: 1.0,
        clip_grad: 0.0,
        weight_decay: 0.0,
        ..OptimConfig::default()
    };
    let update = |budget: usize| {
        let mut learner = Learner::new(model(&recipe), &recipe);
        let passes = micro_batches(&items, budget);
        let count = passes.len();
        for pass in passes {
            let packed = pack(&pass.items).unwrap();
            // A weight of its own for every token, by the place of its response.
            let responses = pass.items.iter().flat_map(|item| &item.responses);
            let weights = pass
                .rows
                .iter()
                .zip(responses)
                .flat_map(|(&row, response)| {
                    (0..response.len()).map(move |at| ((row * 7 + at * 3) % 11) as f32 - 5.0)
                });
            let weights: Vec<f32> = weights.collect();
            let objective = &mut |_: &TokenValues| {
                Ok(Objective {
                    d_log_prob: weights.clone(),
                    ..Objective::default()
                })
            };
            learner
                .forward_backward(&packed, 1.0, 0, objective)
                .unwrap();
        }
        let Update::Done { grad_norm } = learner.optim_step(&optim, 1.0).unwrap() else {
            panic!("a gradient that is not finite");
        };
        let values: Vec<f32> = learner
            .model()
            .parameters()
            .iter()
            .flat_map(|param| param.to_vec())
            .collect();
        (count, grad_norm, values)
    };
    let (one, norm, expected) = update(usize::MAX);
    assert_eq!(one, 1);
    let before = model(&recipe);
    let before = before.parameters().iter().flat_map(|p| p.to_vec());
    let moved = before.zip(&expected).map(|(a, b)| (a - b).abs());
    let moved = moved.fold(0.0, f32::max);
    assert!(moved > 0.1);
    for budget in [1, 40, 60, 100] {
        let (count, found_norm, found) = update(budget);
        assert!(count > 1);
        assert!(
            (found_norm / norm - 1.0).abs() < 1e-5,
            "{found_norm} for {norm}"
        );
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4 * moved, "budget {budget}: {a} for {b}");
        }
    }
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
    let mut found = found.into_iter();
    for item in &items {
        for &response in &item.responses {
            let alone = PackItem {
                prompt: item.prompt,
                responses: vec![response],
            };
            let expected = score(&model, &[alone], 0.7).unwrap().remove(0);
            let found = found.next().unwrap();
            assert_eq!(found.log_prob.len(), response.len());
            let pairs = found.log_prob.iter().zip(&expected.log_prob);
            for (a, b) in pairs.chain(found.entropy.iter().zip(&expected.entropy)) {
                assert!((a - b).abs() < 1e-4, "{a} for {b}");
            }
        }
    }
}

#[test]
fn a_loss_on_the_whole_divergence_leads_back_to_the_reference() {
    let recipe = recipe(
        "[model.lora]\nr = 4\n[algorithm.loss]\nuse_kl_loss = true\nkl_loss_type = \"full\"\n",
    );
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
    let folder = tempfile::tempdir().unwrap();
    let dir = RunDir::create(&folder.path().join("run")).unwrap();
    let mut learner = Learner::new(model, &recipe);
    learner.begin_rl(&dir, &recipe).unwrap();
    let groups = groups();
    let packed = pack(&items(&groups)).unwrap();
    let temperature = 0.8;
    let reference = learner.reference_log_probs(&packed, temperature).unwrap();
    let divergence = |learner: &mut Learner| {
        let mut seen = TokenValues::default();
        let mut objective = |now: &TokenValues| {
            seen.clone_from(now);
            let count = now.log_prob.len();
            Ok(Objective {
                d_log_prob: vec![0.0; count],
                d_kl: Some(vec![1.0 / count as f32; count]),
                ..Objective::default()
            })
        };
        learner
            .forward_backward(&packed, temperature, 0, &mut objective)
            .unwrap();
        let kl = seen.ref_kl.clone().unwrap();
        assert!(kl.iter().all(|&kl| kl > -1e-6));
        let mean = kl.iter().sum::<f32>() / kl.len() as f32;
        let apart = seen.log_prob.iter().zip(&reference.log_prob);
        let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        (mean, apart)
    };
    let (first, apart) = divergence(&mut learner);
    assert!(first > 0.01 && apart > 0.1, "{first}, {apart}");
    let optim = OptimConfig {
        weight_decay: 0.0,
        ..OptimConfig::default()
    };
    for _ in 0..60 {
        learner.optim_step(&optim, 3e-3).unwrap();
        divergence(&mut learner);
    }
    let (last, apart_now) = divergence(&mut learner);
    assert!(last < 0.05 * first, "{last} after {first}");
    assert!(apart_now < 0.5 * apart, "{apart_now} after {apart}");
}
