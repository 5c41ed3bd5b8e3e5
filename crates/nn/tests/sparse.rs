//! Sparse attention: against its definition, against full attention, and against itself while
//! decoding.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{close, constant, layout, leaf, values};
use percept_kernels::decode::{KvCache, KvShape};
use percept_kernels::sparse::{
    AttentionConfig, InfLlm2, Moba, Pattern, Phsa, Sliding, SparseCache,
};
use percept_nn::sparse::{self, reference};
use percept_nn::{self as nn, Layout, Span};

fn pattern(config: AttentionConfig) -> Pattern {
    config.pattern().unwrap().unwrap()
}

fn phsa(top_k: usize, lambda: f32) -> Pattern {
    pattern(AttentionConfig::Phsa(Phsa {
        init: 16,
        local: 32,
        top_k,
        lambda,
        ..Phsa::default()
    }))
}

fn patterns() -> Vec<Pattern> {
    let infllm2 = InfLlm2 {
        window: 64,
        top_k: 1,
        ..InfLlm2::default()
    };
    vec![
        phsa(2, 0.5),
        phsa(3, 1.0),
        pattern(AttentionConfig::Sliding(Sliding {
            init: 16,
            window: 40,
        })),
        pattern(AttentionConfig::InfLlm2(infllm2)),
        pattern(AttentionConfig::Moba(Moba {
            block_size: 32,
            top_k: 3,
        })),
    ]
}

fn marks(tokens: usize, every: usize) -> Arc<[bool]> {
    (0..tokens).map(|t| every > 0 && t % every == 3).collect()
}

type Leaves = [Tensor<3>; 3];

fn leaves(tokens: usize, heads: usize, kv_heads: usize, dim: usize) -> Leaves {
    [(1, heads), (2, kv_heads), (3, kv_heads)].map(|(seed, n)| leaf(seed, [tokens, n, dim]))
}

/// Result and gradients of `Σ c·f(leaves)`.
fn evaluate(leaves: &Leaves, f: impl Fn(Leaves) -> Tensor<3>) -> Vec<Vec<f32>> {
    let out = f(leaves.clone());
    let shape = out.dims();
    let mut grads = (out.clone() * constant(99, shape)).sum().backward();
    let mut all = vec![nn::to_vec(&out)];
    all.extend(
        leaves
            .iter()
            .map(|leaf| nn::to_vec(&leaf.grad_remove(&mut grads).unwrap())),
    );
    all
}

#[test]
fn the_kernel_is_its_definition_in_values_and_gradients() {
    let layout = layout();
    let tokens = layout.len();
    let marks = marks(tokens, 7);
    for (heads, kv_heads, dim) in [(2, 2, 32), (4, 2, 40), (8, 1, 64), (3, 1, 128), (5, 1, 7)] {
        for pattern in patterns() {
            let leaves = leaves(tokens, heads, kv_heads, dim);
            let scale = 3.0 / (dim as f32).sqrt();
            let found = evaluate(&leaves, |[q, k, v]| {
                sparse::attention(&pattern, q, k, v, &layout, &marks, scale)
            });
            let [q, k, _] = &leaves;
            let chosen = reference::choices(&pattern, q, k, &layout, &marks, scale);
            let expected = evaluate(&leaves, |[q, k, v]| {
                reference::attention(&pattern, q, k, v, &layout, &chosen, scale)
            });
            for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
                close(
                    &format!("{pattern:?} {heads}/{kv_heads}/{dim} {i}"),
                    f,
                    e,
                    1e-5,
                );
            }
        }
    }
}

#[test]
fn as_many_blocks_as_there_are_make_full_attention() {
    let layout = layout();
    let tokens = layout.len();
    let moba = Moba {
        block_size: 32,
        top_k: 100,
    };
    let infllm2 = InfLlm2 {
        window: 64,
        ..InfLlm2::default()
    };
    for pattern in [
        phsa(1000, 0.5),
        pattern(AttentionConfig::Moba(moba)),
        pattern(AttentionConfig::InfLlm2(infllm2)),
    ] {
        let leaves = leaves(tokens, 4, 2, 32);
        let found = evaluate(&leaves, |[q, k, v]| {
            sparse::attention(&pattern, q, k, v, &layout, &marks(tokens, 5), 0.2)
        });
        let expected = evaluate(&leaves, |[q, k, v]| {
            nn::attention(q, k, v, &layout, true, 0.2)
        });
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            close(&format!("{pattern:?} {i}"), f, e, 1e-5);
        }
    }
}

#[test]
fn lambda_one_is_the_mean_and_so_is_a_text_without_punctuation() {
    let layout = Arc::new(Layout::packed(&[400]));
    let [q, k, v] = leaves(400, 4, 2, 32);
    let run = |lambda: f32, every: usize| {
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        let marks = marks(400, every);
        nn::to_vec(&sparse::attention(
            &phsa(2, lambda),
            q,
            k,
            v,
            &layout,
            &marks,
            1.0,
        ))
    };
    assert_eq!(run(1.0, 5), run(1.0, 0));
    assert_eq!(run(0.5, 0), run(1.0, 0));
    assert_ne!(run(0.5, 5), run(1.0, 5), "punctuation matters");
}

#[test]
fn a_needle_on_punctuation_is_found_with_lambda_a_half_and_lost_with_one() {
    // One key points to the query but is one of sixteen; a rival block points a little to it.
    let (tokens, dim) = (320, 16);
    let mut k = vec![0.0; tokens * dim];
    k[53 * dim] = 4.0;
    (96..112).for_each(|token| k[token * dim] = 1.0);
    let mut marks = vec![false; tokens];
    marks[53] = true;
    let keys = |pattern: &Pattern, block: usize| {
        let rows: Vec<&[f32]> = k.chunks(dim).collect();
        let range = block * 16..(block + 1) * 16;
        reference::block_key(pattern, &rows[range.clone()], &marks[range])[0]
    };
    assert!(keys(&phsa(1, 0.5), 3) > keys(&phsa(1, 0.5), 6));
    assert!(keys(&phsa(1, 1.0), 3) < keys(&phsa(1, 1.0), 6));
    let tensor = |values: Vec<f32>| {
        Tensor::<3>::from_data(TensorData::new(values, [tokens, 1, dim]), &Device::flex())
    };
    let q: Vec<f32> = (0..tokens * dim)
        .map(|i| ((i % dim) == 0) as u8 as f32)
        .collect();
    // The value of the needle's block is 1, of all others 0.
    let v = (0..tokens * dim)
        .map(|i| (i / dim / 16 == 3) as u8 as f32)
        .collect();
    let (q, k, v) = (tensor(q), tensor(k.clone()), tensor(v));
    let layout = Arc::new(Layout::packed(&[tokens]));
    let marks: Arc<[bool]> = marks.into();
    let last = |lambda: f32| {
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        let out = sparse::attention(&phsa(1, lambda), q, k, v, &layout, &marks, 1.0);
        nn::to_vec(&out)[(tokens - 1) * dim]
    };
    assert!(last(0.5) > 0.1);
    assert_eq!(last(1.0), 0.0);
}

/// PHSA that looks into some groups of sixteen blocks.
fn coarse(coarse_top_k: usize) -> Pattern {
    pattern(AttentionConfig::Phsa(Phsa {
        init: 16,
        local: 32,
        top_k: 2,
        coarse_top_k,
        ..Phsa::default()
    }))
}

#[test]
fn choosing_in_two_steps_is_its_definition_and_exact_where_it_looks_into_all() {
    let span = |start, len, prefix_len| Span {
        start,
        len,
        prefix_start: 0,
        prefix_len,
    };
    let layout = Layout::new(vec![span(0, 1400, 0), span(1400, 50, 1390)], 1450).unwrap();
    let layout = Arc::new(layout);
    let marks = marks(1450, 7);
    let leaves = leaves(1450, 4, 2, 16);
    let run = |pattern: &Pattern| {
        evaluate(&leaves, |[q, k, v]| {
            sparse::attention(pattern, q, k, v, &layout, &marks, 0.6)
        })
    };
    let two_steps = coarse(3);
    let [q, k, _] = &leaves;
    let chosen = reference::choices(&two_steps, q, k, &layout, &marks, 0.6);
    let expected = evaluate(&leaves, |[q, k, v]| {
        reference::attention(&two_steps, q, k, v, &layout, &chosen, 0.6)
    });
    let found = run(&two_steps);
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        close(&format!("{i}"), f, e, 1e-5);
    }
    let exact = run(&coarse(0));
    assert_eq!(run(&coarse(5)), exact);
    assert_ne!(found, exact, "some choices are elsewhere");
}

#[test]
fn decoding_step_by_step_gives_the_bits_of_the_operator() {
    step_by_step(230, &patterns());
    step_by_step(1300, &[coarse(3)]);
}

fn step_by_step(tokens: usize, patterns: &[Pattern]) {
    let (heads, kv_heads, dim) = (4, 2, 32);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let marks = marks(tokens, 6);
    let width = kv_heads * dim;
    let (q, k, v) = (
        values(1, tokens * heads * dim),
        values(2, tokens * width),
        values(3, tokens * width),
    );
    let tensor = |values: &[f32], n: usize| {
        let data = TensorData::new(values.to_vec(), [tokens, n, dim]);
        Tensor::<3>::from_data(data, &Device::flex())
    };
    for &pattern in patterns {
        let (q3, k3, v3) = (
            tensor(&q, heads),
            tensor(&k, kv_heads),
            tensor(&v, kv_heads),
        );
        let expected = nn::to_vec(&sparse::attention(
            &pattern, q3, k3, v3, &layout, &marks, 0.7,
        ));
        let shape = KvShape {
            layers: 1,
            heads: kv_heads,
            head_dim: dim,
        };
        let (mut cache, mut keys) = (KvCache::new(shape), SparseCache::new(pattern, shape));
        let mut forks = Vec::new();
        for token in 0..tokens {
            if token % 50 == 0 {
                // A clone shares the past; going on must not change it.
                forks.push((cache.clone(), keys.clone()));
            }
            cache.grow(1);
            keys.grow(&marks[token..=token]);
            let row = token * width..(token + 1) * width;
            cache.write(0, token, &k[row.clone()], &v[row]);
            keys.update(&cache, 0, 1);
            let group = heads / kv_heads * dim;
            for head in 0..kv_heads {
                let at = token * heads * dim + head * group;
                let mut out = vec![0.0; group];
                let q = &q[at..at + group];
                keys.attend(&cache, 0, head, token + 1, q, 0.7, &mut out);
                assert_eq!(out, expected[at..at + group], "{pattern:?} {token}");
            }
        }
    }
}

#[test]
fn gradients_are_the_differences_of_the_definition_in_f64() {
    let (tokens, heads, kv_heads, dim) = (100, 2, 1, 4);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let marks = marks(tokens, 5);
    let pattern = phsa(1, 0.5);
    let leaves = leaves(tokens, heads, kv_heads, dim);
    let found = evaluate(&leaves, |[q, k, v]| {
        sparse::attention(&pattern, q, k, v, &layout, &marks, 1.0)
    });
    let [q, k, _] = &leaves;
    let chosen = reference::choices(&pattern, q, k, &layout, &marks, 1.0);
    let exact: Vec<Vec<f64>> = leaves
        .iter()
        .map(|leaf| nn::to_vec(leaf).iter().map(|&x| f64::from(x)).collect())
        .collect();
    let c: Vec<f64> = values(99, tokens * heads * dim)
        .iter()
        .map(|&x| f64::from(x))
        .collect();
    let value = |arguments: &[Vec<f64>]| -> f64 {
        let tensor = |i: usize, n: usize| {
            let data = TensorData::new(arguments[i].clone(), [tokens, n, dim]);
            Tensor::<3>::from_data(data, (&Device::flex(), DType::F64))
        };
        let (q, k, v) = (tensor(0, heads), tensor(1, kv_heads), tensor(2, kv_heads));
        let out = reference::attention(&pattern, q, k, v, &layout, &chosen, 1.0);
        let out: Vec<f64> = out.into_data().try_into_vec().unwrap();
        out.iter().zip(&c).map(|(o, c)| o * c).sum()
    };
    for (index, grad) in found[1..].iter().enumerate() {
        for i in (0..grad.len()).step_by(7) {
            let at = |step: f64| {
                let mut moved = exact.clone();
                moved[index][i] += step;
                value(&moved)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            let error = (f64::from(grad[i]) - expected).abs();
            assert!(error < 1e-5, "{index} {i}: {} for {expected}", grad[i]);
        }
    }
}

/// What `tools/sparse_reference.py` computed with NumPy from the papers, in float64.
struct Golden(serde_json::Value);

impl Golden {
    const TOKENS: usize = 300;
    const HEADS: usize = 2;
    const DIM: usize = 8;

    fn read() -> Self {
        Self(serde_json::from_str(include_str!("golden/sparse.json")).unwrap())
    }

    fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.0[name].clone()).unwrap()
    }

    fn tensor(&self, name: &str, heads: usize) -> Tensor<3> {
        let data = TensorData::new(self.get::<Vec<f32>>(name), [Self::TOKENS, heads, Self::DIM]);
        Tensor::from_data(data, &Device::flex())
    }

    /// Of each token and head, `[tokens · heads]`, the blocks that a method chooses: lists of tokens, or of
    /// tokens and heads.
    fn choices(&self, name: &str) -> Vec<Vec<u32>> {
        if self.0[name][0].get(0).is_some_and(|row| row.is_array()) {
            return self.get::<Vec<Vec<Vec<u32>>>>(name).concat();
        }
        let by_token: Vec<Vec<u32>> = self.get(name);
        by_token
            .into_iter()
            .flat_map(|row| std::iter::repeat_n(row, Self::HEADS))
            .collect()
    }
}

#[test]
fn choices_and_outputs_are_those_of_the_papers_in_numpy() {
    let golden = Golden::read();
    let (q, k, v) = (
        golden.tensor("q", Golden::HEADS),
        golden.tensor("k", 1),
        golden.tensor("v", 1),
    );
    let layout = Arc::new(Layout::packed(&[Golden::TOKENS]));
    let scale = (Golden::DIM as f32).powf(-0.5);
    let mut marks = vec![false; Golden::TOKENS];
    for mark in golden.get::<Vec<usize>>("marks") {
        marks[mark] = true;
    }
    let (marks, none): (Arc<[bool]>, Arc<[bool]>) = (marks.into(), Arc::new([]));
    let infllm2 = pattern(AttentionConfig::InfLlm2(InfLlm2 {
        window: 64,
        top_k: 1,
        ..InfLlm2::default()
    }));
    let moba = pattern(AttentionConfig::Moba(Moba {
        block_size: 32,
        top_k: 3,
    }));
    for (name, pattern, marks) in [
        ("infllm2", infllm2, &none),
        ("moba", moba, &none),
        ("phsa_half", phsa(2, 0.5), &marks),
        ("phsa_one", phsa(2, 1.0), &marks),
        ("phsa_no_marks", phsa(2, 0.5), &none),
    ] {
        let found = reference::choices(&pattern, &q, &k, &layout, marks, scale);
        let expected = golden.choices(name);
        assert_eq!(found.len(), expected.len());
        for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{name}, token {}", row / Golden::HEADS);
        }
        let (q, k, v) = (q.clone(), k.clone(), v.clone());
        let found = sparse::attention(&pattern, q, k, v, &layout, marks, scale);
        let width = Golden::HEADS * Golden::DIM;
        let found: Vec<f32> = nn::to_vec(&found)
            .chunks(width)
            .step_by(golden.get("every"))
            .flatten()
            .copied()
            .collect();
        let expected: Vec<f32> = golden.get(&format!("{name}_outputs"));
        close(name, &found, &expected, 1e-5);
    }
}

#[test]
fn options_are_a_name_or_a_table_and_mistakes_are_named() {
    let read = |text: &str| serde_json::from_str::<AttentionConfig>(text);
    assert_eq!(
        read("\"phsa\"").unwrap(),
        AttentionConfig::Phsa(Phsa::default())
    );
    assert_eq!(read("\"full\"").unwrap(), AttentionConfig::Full);
    let four = read(r#"{"name": "phsa", "top_k": 4}"#).unwrap();
    assert!(matches!(
        &four,
        AttentionConfig::Phsa(Phsa {
            top_k: 4,
            init: 128,
            ..
        })
    ));
    assert_eq!(four.top_k(), Some(4));
    assert_eq!(four.clone().with_top_k(2).top_k(), Some(2));
    assert_eq!(AttentionConfig::Full.with_top_k(2), AttentionConfig::Full);
    let text = serde_json::to_string(&four).unwrap();
    assert_eq!(read(&text).unwrap(), four);
    for (text, named) in [
        ("\"linear\"", "infllm2"),
        (r#"{"name": "phsa", "topk": 4}"#, "topk"),
        (r#"{"name": "phsa", "block_size": 24}"#, "multiple of 16"),
        (r#"{"name": "phsa", "lambda": 1.5}"#, "from 0 to 1"),
        (
            r#"{"name": "phsa", "top_k": 20, "coarse_top_k": 3}"#,
            "at least 2",
        ),
        (r#"{"name": "moba", "top_k": 0}"#, "at least 1"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn punctuation_is_a_text_of_marks_alone() {
    use percept_kernels::sparse::Punctuation::{En, EnZh};
    for (text, en, zh) in [
        (".", true, true),
        (" ,\n", true, true),
        ("?!", true, true),
        ("。", false, true),
        ("，”", false, true),
        ("…", false, true),
        ("a.", false, false),
        ("\n\n", false, false),
        ("", false, false),
        ("７", false, false),
        ("々", false, false),
    ] {
        assert_eq!((En.covers(text), EnZh.covers(text)), (en, zh), "{text:?}");
    }
}
