//! What the sampler does with memory and with prompts that start alike changes nothing of what is sampled.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use percept_data::digit_sum::{DigitSum, DigitSumConfig};
use percept_data::{Dataset, Media, Message, Part, Role, Sample};
use percept_kernels::decode::WeightDtype;
use percept_kernels::sparse::AttentionConfig;
use percept_model::{Decoder, Model, Processor, Prompt, SaveDtype, TinyConfig, TinyCorpus};
use percept_sampler::{
    Draft, EngineConfig, Error, Extrapolate, Gate, LocalSampler, Progress, Rollout, Sampler,
    SamplingParams,
};
use serde_json::json;

struct World {
    processor: Processor,
    model: Model,
    images: Vec<Media>,
}

fn world() -> World {
    let config = TinyConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        intermediate_size: 48,
        ..Default::default()
    };
    let processor = Processor::tiny(&config).unwrap();
    let task = DigitSum::new(DigitSumConfig {
        len: 4,
        ..Default::default()
    })
    .unwrap();
    let model = random(&config, &processor, 1);
    World {
        images: (0..4)
            .map(|row| task.get(row).unwrap().images[0].clone())
            .collect(),
        processor: in_order(&processor, &model),
        model,
    }
}

/// The processor with a template that leaves pictures where they were put; its own puts the question first.
fn in_order(processor: &Processor, model: &Model) -> Processor {
    let scenes = TinyConfig {
        corpus: TinyCorpus::Scenes,
        ..Default::default()
    };
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    model.save(folder.path(), SaveDtype::F32).unwrap();
    processor.save(folder.path()).unwrap();
    Processor::tiny(&scenes)
        .unwrap()
        .save(other.path())
        .unwrap();
    let template = "chat_template.jinja";
    std::fs::copy(other.path().join(template), folder.path().join(template)).unwrap();
    Processor::load(folder.path()).unwrap()
}

fn random(config: &TinyConfig, processor: &Processor, seed: u64) -> Model {
    let device = percept_nn::parse_device("cpu").unwrap();
    Model::init(config.for_processor(processor).unwrap(), seed, &device).unwrap()
}

/// Texts of several lengths; the first words are the same in all.
const QUESTIONS: [&str; 4] = [
    "What is the sum of the digits? What is the largest digit? How many digits are even?",
    "What is the sum of the digits? What is the largest digit? How many digits are even? What is the sum of the digits?",
    "What is the sum of the digits?",
    "How many digits are even?",
];

impl World {
    /// One turn of an image and a question, in either order.
    fn prompt(&self, image: usize, question: &str, image_first: bool) -> Arc<Prompt> {
        let mut content = vec![Part::Image(0), Part::Text(question.to_owned())];
        if !image_first {
            content.reverse();
        }
        let mut sample = Sample::new("test", vec![Message::new(Role::User, content)]);
        sample.images = vec![self.images[image].clone()];
        Arc::new(self.processor.prompt(&sample).unwrap())
    }

    /// Every image with every question.
    fn prompts(&self, image_first: bool) -> Vec<Arc<Prompt>> {
        let images = 0..self.images.len();
        images
            .flat_map(|image| QUESTIONS.map(|question| self.prompt(image, question, image_first)))
            .collect()
    }

    fn sampler(&self) -> LocalSampler<'_> {
        LocalSampler::new(&self.model, &self.processor, 7).unwrap()
    }
}

fn params(max_tokens: usize) -> SamplingParams {
    SamplingParams {
        temperature: 1.0,
        max_tokens,
        n: 3,
        seed: 5,
        ignore_eos: true,
        ..Default::default()
    }
}

/// What was sampled, and what it took; the bound holds at every moment that is reported.
fn run(
    sampler: &LocalSampler<'_>,
    prompts: &[Arc<Prompt>],
    params: &SamplingParams,
) -> (Vec<Rollout>, Progress) {
    let mut last = Progress::default();
    let rollouts = sampler
        .generate(prompts, params, &mut |now| last = now)
        .unwrap();
    let limit = sampler.engine().kv_cache_memory_bytes;
    if limit > 0 {
        assert!(last.kv_cache_bytes <= limit);
    }
    assert_eq!((last.done, last.total), (rollouts.len(), rollouts.len()));
    let tokens = rollouts.iter().map(|r| r.tokens.len()).sum::<usize>();
    assert_eq!(last.tokens, tokens);
    (rollouts, last)
}

/// Bytes of the largest sequence alone.
fn least(sampler: &LocalSampler<'_>, prompts: &[Arc<Prompt>], params: &SamplingParams) -> usize {
    let sampler = sampler.clone().with_engine(EngineConfig {
        kv_cache_memory_bytes: 1,
        ..sampler.engine().clone()
    });
    let mut most = 0;
    for prompt in prompts {
        match sampler.generate(std::slice::from_ref(prompt), params, &mut |_| {}) {
            Err(Error::KvCache { needed, .. }) => most = most.max(needed),
            other => panic!("{other:?}"),
        }
    }
    most
}

#[test]
fn preempted_sequences_say_the_same_bit_for_bit() {
    let mut world = world();
    let sparse: AttentionConfig =
        serde_json::from_value(json!({"name": "phsa", "init": 16, "local": 16, "top_k": 1}))
            .unwrap();
    let sparse = world.processor.attention(sparse).unwrap();
    for (dtype, attention) in [
        (WeightDtype::F32, None),
        (WeightDtype::Int8, None),
        (WeightDtype::F32, Some(sparse)),
    ] {
        world.model.set_decoder_dtype(dtype);
        let attention = attention.unwrap_or_default();
        world.model.set_attention(attention).unwrap();
        for image_first in [true, false] {
            let (prompts, params) = (world.prompts(image_first), params(70));
            let (free, without) = run(&world.sampler(), &prompts, &params);
            assert_eq!(without.num_preemptions, 0);
            let least = least(&world.sampler(), &prompts, &params);
            for (times, enable_prefix_caching, max_num_seqs) in [
                (1, true, 256),
                (1, false, 7),
                (3, true, 256),
                (3, false, 256),
                (6, true, 20),
            ] {
                let tight = EngineConfig {
                    kv_cache_memory_bytes: least * times,
                    enable_prefix_caching,
                    max_num_seqs,
                };
                let tight = world.sampler().with_engine(tight);
                let (bound, with) = run(&tight, &prompts, &params);
                assert!(times == 1 || with.num_preemptions > 0, "{times}");
                assert!(with.kv_cache_bytes < without.kv_cache_bytes);
                assert!(
                    bound == free,
                    "{times} {enable_prefix_caching} {max_num_seqs}"
                );
            }
        }
    }
}

#[test]
fn two_models_in_step_are_preempted_together() {
    let world = world();
    let config = TinyConfig {
        hidden_size: 48,
        num_hidden_layers: 3,
        intermediate_size: 48,
        ..Default::default()
    };
    let base = random(&config, &world.processor, 2);
    let extrapolate = Extrapolate {
        gamma: 0.5,
        gate: Gate::Kl(0.5),
        draft: Draft::Base,
        candidates: 0,
    };
    let pair = || {
        let pair = world.sampler().with_base(&base, &world.processor).unwrap();
        pair.with_extrapolate(Some(extrapolate.clone()))
    };
    let prompts = world.prompts(true);
    let params = params(40);
    let (free, _) = run(&pair(), &prompts, &params);
    let tight = EngineConfig {
        kv_cache_memory_bytes: 3 * least(&pair(), &prompts, &params),
        ..EngineConfig::default()
    };
    let tight = || pair().with_engine(tight.clone());
    let (bound, with) = run(&tight(), &prompts, &params);
    assert!(with.num_preemptions > 0);
    assert!(bound == free);
    let traced = tight().trace(&prompts, &params, &mut |_| {}).unwrap();
    for ((rollout, trace), free) in traced.into_iter().zip(free) {
        assert!(rollout == free);
        assert_eq!(trace.fired.len(), rollout.tokens.len());
    }
}

#[test]
fn a_sequence_that_does_not_fit_alone_is_refused_before_anything_is_computed() {
    let world = world();
    let sampler = world.sampler();
    let prompts = world.prompts(true);
    let least = least(&sampler, &prompts, &params(70));
    let short = EngineConfig {
        kv_cache_memory_bytes: least - 1,
        ..EngineConfig::default()
    };
    let refused = sampler
        .with_engine(short)
        .generate(&prompts, &params(70), &mut |_| panic!("nothing goes on"))
        .unwrap_err();
    let Error::KvCache { prompt, needed, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(*needed, least);
    let longest = prompts.iter().map(|p| p.tokens.len()).max().unwrap();
    assert_eq!(prompts[*prompt].tokens.len(), longest);
    let message = refused.to_string();
    assert!(
        message.contains("kv_cache_memory_bytes") && message.contains("help"),
        "{message}"
    );
}

#[test]
fn what_prompts_have_in_common_is_computed_once_and_changes_no_bit() {
    let mut world = world();
    for dtype in [WeightDtype::F32, WeightDtype::Int8] {
        world.model.set_decoder_dtype(dtype);
        for image_first in [true, false] {
            let prompts = world.prompts(image_first);
            let params = params(12);
            let alone = EngineConfig {
                enable_prefix_caching: false,
                ..EngineConfig::default()
            };
            let alone = world.sampler().with_engine(alone);
            let (expected, each) = run(&alone, &prompts, &params);
            assert_eq!((each.prefix_cache_hits, each.mm_cache_hits), (0, 0));
            let sampler = world.sampler();
            for max_num_seqs in [256, 5] {
                let shared = EngineConfig {
                    max_num_seqs,
                    ..EngineConfig::default()
                };
                let fresh = world.sampler().with_engine(shared.clone());
                let (found, once) = run(&fresh, &prompts, &params);
                assert!(found == expected, "{dtype:?} {image_first} {max_num_seqs}");
                let tokens = prompts.iter().map(|p| p.tokens.len()).sum::<usize>();
                assert_eq!(once.prefix_cache_queries, tokens);
                assert!(once.prefix_cache_hits > 0);
                // Sixteen prompts, four images.
                assert_eq!((once.mm_cache_queries, once.mm_cache_hits), (16, 12));
                assert!(once.kv_cache_bytes < each.kv_cache_bytes);
                // A later call knows every prompt up to its last block.
                let later = sampler.clone().with_engine(shared);
                run(&later, &prompts, &params);
                let (again, known) = run(&later, &prompts, &params);
                assert!(again == expected);
                let whole: usize = prompts.iter().map(|p| (p.tokens.len() - 1) / 16 * 16).sum();
                assert_eq!(known.prefix_cache_hits, whole);
            }
        }
    }
}

#[test]
fn one_pixel_or_one_token_makes_another_start() {
    let world = world();
    let sampler = world.sampler();
    let prompt = world.prompt(0, QUESTIONS[1], true);
    let mut pixel = (*prompt).clone();
    let mut patches = (*pixel.vision[0]).clone();
    patches.pixels[7] += 0.5;
    pixel.vision[0] = Arc::new(patches);
    let mut token = (*prompt).clone();
    token.tokens[1] += 1;
    let params = params(4);
    let (plain, _) = run(&sampler, std::slice::from_ref(&prompt), &params);
    for other in [Arc::new(pixel), Arc::new(token)] {
        let (found, progress) = run(&sampler, std::slice::from_ref(&other), &params);
        assert_eq!(progress.prefix_cache_hits, 0);
        let (expected, _) = run(&world.sampler(), &[other], &params);
        assert!(found == expected && found != plain);
    }
    // Equal pixels in other memory are the same image.
    let mut copy = (*prompt).clone();
    copy.vision[0] = Arc::new((*copy.vision[0]).clone());
    let (found, progress) = run(&sampler, &[Arc::new(copy)], &params);
    assert!(found == plain && progress.prefix_cache_hits > 0);
}

#[test]
fn a_step_after_replayed_tokens_has_the_bits_of_the_steps_before() {
    let mut world = world();
    for dtype in [WeightDtype::F32, WeightDtype::Int8] {
        world.model.set_decoder_dtype(dtype);
        let decoder = Decoder::new(&world.model).unwrap();
        let prompt = world.prompt(1, QUESTIONS[0], false);
        let rows = world.model.embed_prompt(&prompt).unwrap();
        let whole = (rows, prompt.tokens.as_slice(), prompt.positions.as_slice());
        let prefix = decoder.prefill_after(decoder.empty(), whole, prompt.next_position);
        let said: Vec<u32> = (0..45).map(|i| 8 + i % 20).collect();
        let mut stepped = [decoder.start(&prefix, 50)];
        let mut logits = Vec::new();
        for token in &said {
            decoder.step(&mut stepped, &[*token], &mut logits);
        }
        let expected = logits.clone();
        for cut in [0, 1, 16, 44] {
            let mut replayed = [decoder.start(&prefix, 50)];
            decoder.replay(&mut replayed[0], &said[..cut]);
            for token in &said[cut..] {
                decoder.step(&mut replayed, &[*token], &mut logits);
            }
            assert_eq!(logits, expected);
        }
    }
}

/// D8: what is penalised is a function of the sequence alone, and nothing penalised is the plain draw bit for bit.
#[test]
fn penalties_hold_whatever_is_in_the_batch_and_change_nothing_where_they_are_off() {
    let world = world();
    let prompts = world.prompts(true);
    let sampler = LocalSampler::new(&world.model, &world.processor, 0).unwrap();
    let ask = |params: &SamplingParams| sampler.generate(&prompts, params, &mut |_| {}).unwrap();
    for temperature in [0.0, 1.0] {
        let plain = SamplingParams {
            temperature,
            max_tokens: 24,
            ignore_eos: true,
            ..Default::default()
        };
        let found = ask(&plain);
        let penalised = SamplingParams {
            repetition_penalty: 1.8,
            frequency_penalty: 0.5,
            presence_penalty: 0.5,
            ..plain.clone()
        };
        let together = ask(&penalised);
        assert_ne!(together, found);
        for max_num_seqs in [1, 3] {
            let alone = sampler.clone().with_engine(EngineConfig {
                max_num_seqs,
                ..EngineConfig::default()
            });
            let alone = alone.generate(&prompts, &penalised, &mut |_| {}).unwrap();
            assert_eq!(alone, together);
        }
        // The token after a forbidden-by-penalty one differs, its log-probability is the model's own: tokens that both
        // say first have the same.
        for (a, b) in found.iter().zip(&together) {
            if a.tokens[0] == b.tokens[0] {
                assert_eq!(a.log_probs[0], b.log_probs[0]);
            }
        }
        // A heavy penalty on what was said makes repetition rare.
        let distinct = |all: &[Rollout]| -> usize {
            let each = all.iter().map(|r| {
                r.tokens
                    .iter()
                    .collect::<std::collections::BTreeSet<_>>()
                    .len()
            });
            each.sum()
        };
        assert!(distinct(&together) > distinct(&found));
    }
    let base = SamplingParams {
        presence_penalty: 1.0,
        ..Default::default()
    };
    let mixed = sampler
        .clone()
        .with_extrapolate(Some(Extrapolate::default()));
    let refused = mixed.generate(&prompts, &base, &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("penalty"), "{refused}");
}
