//! What an epoch that masks a span learns: the rest of the answer, and nothing of the span.

use percept_model::Prompt;

use super::*;
use crate::batch::pack::{PackItem, pack};
use crate::policy::local::Learner;
use crate::policy::values::{ScoreOptions, Weights};
use crate::source::{open_data, open_model, open_rewards};
use crate::{OptimConfig, parse};

const RECIPE: &str = r#"
[model.tiny]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 64
[model.tiny.vision]
depth = 1
hidden_size = 32
num_heads = 2
intermediate_size = 64
fullatt_block_indexes = [0]
[data]
shuffle = false
[data.digit_sum]
sft = { len = 4, seed = 1 }
rl = { len = 1 }
val = { len = 1 }
[sft]
num_train_epochs = 2
train_batch_size = 4
mask_spans = [{ from = "<think>", to = "</think>", epochs = [2] }]
"#;

/// AdamW whose step is the gradient itself times the learning rate over a million.
const PLAIN: OptimConfig = OptimConfig {
    lr: 0.0,
    beta1: 0.0,
    beta2: 0.0,
    eps: 1e6,
    weight_decay: 0.0,
    clip_grad: 0.0,
    lr_scheduler_type: crate::Schedule::Constant,
    lr_warmup_steps: 0,
    min_lr_ratio: 0.0,
};

struct World {
    recipe: Recipe,
    opened: Opened,
}

impl World {
    fn new() -> Self {
        let recipe = parse(RECIPE, "test", &[]).unwrap().settled().unwrap();
        let device = percept_nn::parse_device("cpu").unwrap();
        let (_, processor) = open_model(&recipe, None, &device).unwrap();
        let opened = Opened {
            data: open_data(&recipe).unwrap(),
            pairs: None,
            general: None,
            rewards: open_rewards(&recipe).unwrap(),
            bundles: None,
            processor,
        };
        Self { recipe, opened }
    }

    fn learner(&self) -> Learner {
        let device = percept_nn::parse_device("cpu").unwrap();
        let (model, _) = open_model(&self.recipe, None, &device).unwrap();
        Learner::new(model, &self.recipe)
    }

    /// The rows as an epoch trains on them.
    fn rows(&self, epoch: usize) -> Vec<Training> {
        let stage = Sft::of(&self.recipe, &self.opened).unwrap();
        let masked = stage.config.masked_in(epoch);
        let read = |row| stage.read(row, &masked).unwrap();
        (0..4).map(read).collect()
    }

    /// The mean negative log-likelihood of what stands behind `</think>`, without anything of the stage.
    fn answer_loss(&self, learner: &Learner) -> f64 {
        let close = self.opened.processor.token_id("</think>").unwrap();
        let mut cut = Vec::new();
        for row in self.rows(1) {
            let whole = row.prompt;
            let start = 1 + whole
                .tokens
                .iter()
                .rposition(|&token| token == close)
                .unwrap();
            let answer = whole.tokens[start..].to_vec();
            let prompt = Prompt {
                next_position: whole.positions[start][0],
                tokens: whole.tokens[..start].to_vec(),
                positions: whole.positions[..start].to_vec(),
                ..whole
            };
            cut.push((prompt, answer));
        }
        let items = cut.iter().map(|(prompt, answer)| PackItem {
            prompt,
            responses: vec![answer.as_slice()],
        });
        let packed = pack(&items.collect::<Vec<_>>()).unwrap();
        let options = ScoreOptions {
            weights: Weights::Current,
            temperature: 1.0,
            top_p: None,
        };
        let values = learner.score(&[packed], &options).unwrap().remove(0);
        let sum: f64 = values.log_prob.iter().map(|&x| f64::from(x)).sum();
        -sum / values.log_prob.len() as f64
    }

    /// A fresh learner moved along the gradient of an epoch's loss, `w − step · g`, and the gradient's norm.
    fn moved(&self, epoch: usize, step: f64) -> (Learner, f64) {
        let mut learner = self.learner();
        let rows = self.rows(epoch);
        let rows: Vec<&Training> = rows.iter().collect();
        let total = Normaliser {
            tokens: rows.iter().map(|row| row.trained_tokens()).sum(),
            sequences: rows.len(),
        };
        let packed = pack_training(&rows).unwrap();
        let options = PassOptions::default();
        learner.plan_update(std::slice::from_ref(&packed), &options);
        let pass = learner.forward(&packed, &options, 0).unwrap();
        let objective = likelihood(&rows, &pass.values.log_prob, &total).unwrap();
        learner.backward(pass.saved, &objective).unwrap();
        let update = learner.optim_step(&PLAIN, 1e6 * step).unwrap();
        let Update::Done { grad_norm } = update else {
            panic!("not finite");
        };
        (learner, grad_norm)
    }
}

#[test]
fn the_loss_is_on_the_answer_alone_in_the_epoch_that_masks_reasoning() {
    let world = World::new();
    let said = |training: &Training| {
        let packed = pack_training(&[training]).unwrap();
        world.opened.processor.decode(&packed.targets)
    };
    for (first, second) in world.rows(1).iter().zip(&world.rows(2)) {
        // The reasoning is read all the same.
        assert_eq!(first.prompt.tokens, second.prompt.tokens);
        let (whole, answer) = (said(first), said(second));
        let (reasoning, behind) = whole.split_once("</think>").unwrap();
        assert!(reasoning.starts_with("<think>I see"), "{whole}");
        assert_eq!(answer, behind);
        assert!(answer.contains("boxed"), "{answer}");
    }
}

/// By finite differences of a loss that is computed without the stage: the gradient of the epoch that masks is the gradient
/// of the answer's likelihood, and that of the epoch before is not.
#[test]
fn the_gradient_of_a_masking_epoch_is_that_of_the_answer() {
    let world = World::new();
    let step = 5e-4;
    let mut shares = Vec::new();
    for epoch in [1, 2] {
        let (ahead, norm) = world.moved(epoch, -step);
        let (behind, _) = world.moved(epoch, step);
        let slope = (world.answer_loss(&ahead) - world.answer_loss(&behind)) / (2.0 * step);
        shares.push(slope / norm.powi(2));
    }
    println!("slope of the answer's loss along the gradient, over its square: {shares:?}");
    assert!((shares[1] - 1.0).abs() < 0.01, "{shares:?}");
    assert!((shares[0] - 1.0).abs() > 0.1, "{shares:?}");
}

/// What an epoch that masks computes: no number of the reasoning goes into the loss, so that its derivative there is 0.
#[test]
fn no_log_probability_of_the_span_is_in_the_loss() {
    let world = World::new();
    let (all, answers) = (world.rows(1), world.rows(2));
    for (all, answer) in all.iter().zip(&answers) {
        let (a, b) = (
            pack_training(&[all]).unwrap(),
            pack_training(&[answer]).unwrap(),
        );
        assert!(b.rows.iter().all(|row| a.rows.contains(row)));
        let span = a.rows.len() - b.rows.len();
        assert!(span > 3, "the reasoning has {span} tokens");
        // Those that are left are the last ones: nothing of the span is between them.
        assert_eq!(b.rows, a.rows[span..]);
        assert_eq!(b.targets, a.targets[span..]);
    }
}

#[test]
fn epochs_are_counted_by_rows_and_the_last_one_holds_to_the_end() {
    let world = World::new();
    let stage = Sft::of(&world.recipe, &world.opened).unwrap();
    assert_eq!(stage.total_steps(), 2);
    let epochs: Vec<usize> = [0, 3, 4, 7, 8, 11].map(|at| stage.epoch(at)).into();
    assert_eq!(epochs, [1, 1, 2, 2, 2, 2]);
}
