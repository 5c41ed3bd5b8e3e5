//! Two models decoded in step.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use percept_data::Dataset;
use percept_data::digit_sum::{DigitSum, DigitSumConfig};
use percept_model::{Model, Processor, Prompt, TinyConfig};
use percept_sampler::{
    Draft, EngineConfig, Error, Extrapolate, Gate, LocalSampler, Rollout, Sampler, SamplingParams,
};

struct World {
    processor: Processor,
    tuned: Model,
    base: Model,
    prompts: Vec<Arc<Prompt>>,
}

fn world() -> World {
    let config = TinyConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        intermediate_size: 48,
        ..Default::default()
    };
    let processor = Processor::tiny(&config).unwrap();
    let device = percept_nn::parse_device("cpu").unwrap();
    let model =
        |seed| Model::init(config.for_processor(&processor).unwrap(), seed, &device).unwrap();
    let task = DigitSum::new(DigitSumConfig {
        len: 5,
        ..Default::default()
    })
    .unwrap();
    let prompts = (0..5)
        .map(|row| Arc::new(processor.prompt(&task.get(row).unwrap()).unwrap()))
        .collect();
    World {
        tuned: model(1),
        base: model(2),
        processor,
        prompts,
    }
}

impl World {
    fn plain(&self, model: &Model, params: &SamplingParams) -> Vec<Rollout> {
        let sampler = LocalSampler::new(model, &self.processor, 7).unwrap();
        sampler
            .with_engine(engine(4))
            .generate(&self.prompts, params, &mut |_| {})
            .unwrap()
    }

    fn pair(&self) -> LocalSampler<'_> {
        LocalSampler::new(&self.tuned, &self.processor, 7)
            .unwrap()
            .with_base(&self.base, &self.processor)
            .unwrap()
            .with_engine(engine(4))
    }
}

fn params(temperature: f32) -> SamplingParams {
    SamplingParams {
        temperature,
        max_tokens: 12,
        n: 3,
        seed: 5,
        ..Default::default()
    }
}

fn engine(max_num_seqs: usize) -> EngineConfig {
    EngineConfig {
        max_num_seqs,
        ..Default::default()
    }
}

/// The sampler with the two models mixed.
fn with<'a>(sampler: &LocalSampler<'a>, gamma: f32, gate: Gate, draft: Draft) -> LocalSampler<'a> {
    sampler.clone().with_extrapolate(Some(Extrapolate {
        gamma,
        gate,
        draft,
        candidates: 0,
    }))
}

#[test]
fn the_ends_are_plain_decoding_bit_for_bit() {
    let world = world();
    let pair = world.pair();
    for temperature in [0.0, 1.0] {
        let params = params(temperature);
        let tuned = world.plain(&world.tuned, &params);
        let base = world.plain(&world.base, &params);
        assert_ne!(tuned, base);
        let never = Gate::LogProb(f64::NEG_INFINITY);
        for (name, pair, expected) in [
            (
                "γ = 0",
                with(&pair, 0.0, Gate::Always, Draft::Tuned),
                &tuned,
            ),
            (
                "replace all",
                with(&pair, 0.0, Gate::Always, Draft::Base),
                &tuned,
            ),
            (
                "γ = −1",
                with(&pair, -1.0, Gate::Always, Draft::Tuned),
                &base,
            ),
            (
                "never, base drafts",
                with(&pair, 0.5, never, Draft::Base),
                &base,
            ),
            (
                "never, tuned drafts",
                with(&pair, 0.5, never, Draft::Tuned),
                &tuned,
            ),
        ] {
            let generate = pair.generate(&world.prompts, &params, &mut |_| {}).unwrap();
            assert_eq!(&generate, expected, "{name} at temperature {temperature}");
            let traced = pair.trace(&world.prompts, &params, &mut |_| {}).unwrap();
            let traced: Vec<Rollout> = traced.into_iter().map(|(rollout, _)| rollout).collect();
            assert_eq!(
                &traced, expected,
                "{name} traced at temperature {temperature}"
            );
        }
    }
}

#[test]
fn extrapolated_responses_do_not_depend_on_the_batch() {
    let world = world();
    let pair = world.pair();
    let narrow = with(&pair, 0.5, Gate::Kl(0.5), Draft::Base);
    let wide = narrow.clone().with_engine(engine(64));
    let run = |pair: LocalSampler<'_>| {
        pair.generate(&world.prompts, &params(1.0), &mut |_| {})
            .unwrap()
    };
    assert_eq!(run(narrow), run(wide));
}

#[test]
fn traces_say_what_the_models_say() {
    let world = world();
    let pair = world.pair();
    let params = params(1.0);
    for (rollout, trace) in pair.trace(&world.prompts, &params, &mut |_| {}).unwrap() {
        assert_eq!(trace.fired, vec![false; rollout.tokens.len()]);
        for (i, &log_prob) in rollout.log_probs.iter().enumerate() {
            assert!((trace.log_prob_tuned[i] - log_prob).abs() < 1e-5);
            let delta = trace.log_prob_tuned[i] - trace.log_prob_base[i];
            assert!((trace.drafted_delta[i] - delta).abs() < 1e-5);
            assert!(trace.kl[i] > 0.0 && trace.entropy_base[i] > 0.0);
        }
    }
    let half = with(&pair, 0.0, Gate::Random(0.5), Draft::Base);
    let traced = half.trace(&world.prompts, &params, &mut |_| {}).unwrap();
    let fired: Vec<bool> = traced.into_iter().flat_map(|(_, t)| t.fired).collect();
    let share = fired.iter().filter(|f| **f).count() as f64 / fired.len() as f64;
    assert!((0.3..0.7).contains(&share), "{share}");
}

#[test]
fn a_second_model_is_needed_and_must_share_the_tokenizer() {
    let world = world();
    let alone = LocalSampler::new(&world.tuned, &world.processor, 0).unwrap();
    let mixed = with(&alone, 0.5, Gate::Always, Draft::Tuned);
    let refused = mixed.generate(&world.prompts, &params(1.0), &mut |_| {});
    assert!(matches!(refused, Err(Error::NoBase)));

    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden/processor");
    let other = Processor::load(&other).unwrap();
    let refused = alone.with_base(&world.base, &other).err().unwrap();
    assert!(refused.to_string().contains("tokenizer"), "{refused}");
}

#[test]
fn impossible_options_are_refused() {
    let world = world();
    let pair = world.pair();
    for (gamma, gate, word) in [
        (f32::NAN, Gate::Always, "gamma"),
        (0.5, Gate::Random(2.0), "gate"),
        (0.5, Gate::Kl(f64::NAN), "gate"),
    ] {
        let pair = with(&pair, gamma, gate, Draft::Tuned);
        let refused = pair.generate(&world.prompts, &params(1.0), &mut |_| {});
        assert!(refused.unwrap_err().to_string().contains(word));
    }
}
