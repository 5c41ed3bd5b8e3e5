//! NSA: against its definition, against a program in PyTorch, against full and sliding attention,
//! and against itself while decoding.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{close, constant, layout, leaf, values};
use percept_kernels::decode::{KvCache, KvShape};
use percept_kernels::sparse::{AttentionConfig, Branches, Nsa, NsaCache, Sliding};
use percept_nn::sparse::{nsa, reference};
use percept_nn::{self as nn, Layout, sparse};

fn branches(options: Nsa) -> Branches {
    options.branches().unwrap()
}

fn small() -> Nsa {
    Nsa {
        block_size: 16,
        top_k: 4,
        window: 40,
        ..Nsa::default()
    }
}

fn variants() -> [Branches; 4] {
    [
        small(),
        // As in the first version of fla's code: nothing but the query's block is sure.
        Nsa {
            init_blocks: 0,
            local_blocks: 1,
            top_k: 3,
            window: 17,
            ..small()
        },
        Nsa {
            block_size: 48,
            top_k: 3,
            window: 1,
            ..small()
        },
        Nsa {
            block_size: 32,
            window: 64,
            ..small()
        },
    ]
    .map(branches)
}

/// q, k, v.
type Leaves = [Tensor<3>; 3];

fn leaves(tokens: usize, heads: usize, kv_heads: usize, dim: usize) -> (Leaves, Tensor<2>) {
    let qkv = [(1, heads), (2, kv_heads), (3, kv_heads)];
    (
        qkv.map(|(seed, n)| leaf(seed, [tokens, n, dim])),
        leaf(4, [tokens, 3 * heads]),
    )
}

/// Result and gradients of `Σ c·f(q, k, v, gates)`.
fn evaluate(
    (leaves, gates): &(Leaves, Tensor<2>),
    f: impl Fn(Leaves, Tensor<2>) -> Tensor<3>,
) -> Vec<Vec<f32>> {
    let out = f(leaves.clone(), gates.clone());
    let mut grads = (out.clone() * constant(99, out.dims())).sum().backward();
    let mut all = vec![nn::to_vec(&out)];
    for leaf in leaves {
        all.push(nn::to_vec(&leaf.grad_remove(&mut grads).unwrap()));
    }
    all.extend(gates.grad_remove(&mut grads).map(|grad| nn::to_vec(&grad)));
    all
}

/// Logits of gates that open the branches of `open` and close the others.
fn only(open: usize, tokens: usize, heads: usize) -> Tensor<2> {
    let logits = (0..tokens * heads * 3).map(|i| if i % 3 == open { 100.0 } else { -100.0 });
    let data = TensorData::new(logits.collect::<Vec<f32>>(), [tokens, 3 * heads]);
    Tensor::from_data(data, &Device::flex())
}

#[test]
fn the_kernels_are_their_definition_in_values_and_gradients() {
    let layout = layout();
    for (heads, kv_heads, dim) in [(2, 2, 32), (4, 2, 40), (8, 1, 64), (3, 1, 128), (5, 1, 7)] {
        for branches in variants() {
            let leaves = leaves(layout.len(), heads, kv_heads, dim);
            let scale = 3.0 / (dim as f32).sqrt();
            let found = evaluate(&leaves, |qkv, gates| {
                nsa::attention(&branches, qkv, gates, &layout, scale)
            });
            let [q, k, _] = &leaves.0;
            let chosen = reference::choices(&branches.selected, q, k, &layout, &[], scale);
            let expected = evaluate(&leaves, |qkv, gates| {
                reference::nsa(&branches, qkv, gates, &layout, &chosen, scale)
            });
            assert_eq!(found.len(), 5, "the result and four gradients");
            for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
                let name = format!("{branches:?} {heads}/{kv_heads}/{dim} {i}");
                close(&name, f, e, 1e-5);
            }
        }
    }
}

#[test]
fn the_kernels_are_a_program_in_pytorch() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/nsa.json")).unwrap();
    let layout = Arc::new(Layout::packed(&[54, 9]));
    for case in golden["cases"].as_array().unwrap() {
        let option = |name: &str| case[name].as_u64().unwrap() as usize;
        let branches = branches(Nsa {
            block_size: option("block_size"),
            top_k: option("top_k"),
            init_blocks: option("init_blocks"),
            local_blocks: option("local_blocks"),
            window: option("window"),
        });
        let leaves = leaves(layout.len(), 4, 2, 4);
        let found = evaluate(&leaves, |qkv, gates| {
            nsa::attention(&branches, qkv, gates, &layout, 2.0)
        });
        for (name, found) in ["o", "dq", "dk", "dv", "dg"].iter().zip(&found) {
            let expected: Vec<f32> = serde_json::from_value(case[name].clone()).unwrap();
            close(&format!("{branches:?} {name}"), found, &expected, 1e-5);
        }
    }
}

#[test]
fn a_window_over_the_whole_text_is_full_attention_and_so_are_all_blocks() {
    let layout = layout();
    let tokens = layout.len();
    let leaves = leaves(tokens, 4, 2, 32);
    let expected = evaluate(&leaves, |[q, k, v], _| {
        nn::attention(q, k, v, &layout, true, 0.2)
    });
    let all_blocks = Nsa {
        top_k: 1000,
        ..small()
    };
    let whole_window = Nsa {
        window: 1000,
        ..small()
    };
    for (open, options) in [(1, all_blocks), (2, whole_window)] {
        let gates = only(open, tokens, 4);
        let found = evaluate(&leaves, |qkv, _| {
            nsa::attention(&branches(options.clone()), qkv, gates.clone(), &layout, 0.2)
        });
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            close(&format!("branch {open}, {i}"), f, e, 1e-5);
        }
    }
}

#[test]
fn the_window_branch_alone_is_a_sliding_window() {
    let (tokens, heads, dim) = (200, 2, 16);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let ([q, k, v], _) = leaves(tokens, heads, 1, dim);
    let sliding = AttentionConfig::Sliding(Sliding {
        init: 0,
        window: 48,
    });
    let pattern = sliding.pattern().unwrap().unwrap();
    let marks: Arc<[bool]> = Arc::new([]);
    let expected = sparse::attention(
        &pattern,
        q.clone(),
        k.clone(),
        v.clone(),
        &layout,
        &marks,
        1.0,
    );
    let options = Nsa {
        window: 64,
        ..small()
    };
    let gates = only(2, tokens, heads);
    let found = nsa::attention(&branches(options), [q, k, v], gates, &layout, 1.0);
    let (found, expected) = (nn::to_vec(&found), nn::to_vec(&expected));
    // The sliding window goes by pieces of sixteen tokens: at the end of one both see 64 tokens.
    for token in (15..tokens).step_by(16) {
        let row = token * heads * dim..(token + 1) * heads * dim;
        close("row", &found[row.clone()], &expected[row], 1e-6);
    }
}

#[test]
fn blocks_of_equal_tokens_lose_nothing_by_compression() {
    let (tokens, heads, dim, block) = (160, 2, 16, 16);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let ([q, ..], _) = leaves(tokens, heads, 1, dim);
    let of_block = |seed: u64| {
        let rows = values(seed, tokens / block * dim);
        let rows = rows.chunks(dim).flat_map(|row| row.repeat(block));
        let data = TensorData::new(rows.collect::<Vec<f32>>(), [tokens, 1, dim]);
        Tensor::<3>::from_data(data, &Device::flex())
    };
    let (q, k, v) = (q.inner(), of_block(2), of_block(3));
    let expected = nn::to_vec(&nn::attention(
        q.clone(),
        k.clone(),
        v.clone(),
        &layout,
        true,
        1.0,
    ));
    let gates = only(0, tokens, heads);
    let found = nsa::attention(&branches(small()), [q, k, v], gates, &layout, 1.0);
    let found = nn::to_vec(&found);
    let width = heads * dim;
    for end in (block..=tokens).step_by(block) {
        let row = (end - 1) * width..end * width;
        close("row", &found[row.clone()], &expected[row], 1e-5);
    }
    let first = &found[..(block - 1) * width];
    assert!(first.iter().all(|&x| x == 0.0), "no block is complete yet");
}

#[test]
fn decoding_step_by_step_gives_the_bits_of_the_operator() {
    let (tokens, heads, kv_heads, dim) = (230, 4, 2, 32);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let (leaves, gates) = leaves(tokens, heads, kv_heads, dim);
    let [q, k, v] = leaves.each_ref().map(nn::to_vec);
    let logits = nn::to_vec(&gates);
    let width = kv_heads * dim;
    for branches in variants() {
        let expected = nsa::attention(&branches, leaves.clone(), gates.clone(), &layout, 0.7);
        let expected = nn::to_vec(&expected);
        let shape = KvShape {
            layers: 1,
            heads: kv_heads,
            head_dim: dim,
        };
        let (mut cache, mut own) = (KvCache::new(shape), NsaCache::new(branches, shape));
        let mut forks = Vec::new();
        for token in 0..tokens {
            if token % 50 == 0 {
                // A clone shares the past; going on must not change it.
                forks.push((cache.clone(), own.clone()));
            }
            cache.grow(1);
            own.grow(1);
            let row = token * width..(token + 1) * width;
            cache.write(0, token, &k[row.clone()], &v[row]);
            own.update(&cache, 0, 1);
            let group = heads / kv_heads;
            for head in 0..kv_heads {
                let first = token * heads + head * group;
                let own_q = &q[first * dim..(first + group) * dim];
                let own_gates = &logits[first * 3..(first + group) * 3];
                let mut out = vec![0.0; group * dim];
                own.attend(
                    &cache,
                    (0, head),
                    token + 1,
                    [own_q, own_gates],
                    0.7,
                    &mut out,
                );
                let expected = &expected[first * dim..(first + group) * dim];
                assert_eq!(out, expected, "{branches:?} {token}");
            }
        }
        for (cache, fork) in forks {
            let seen = cache.len();
            let mut again = NsaCache::new(branches, shape);
            again.grow(seen);
            again.update(&cache, 0, seen);
            let attend = |own: &NsaCache| {
                let mut out = vec![0.0; 2 * dim];
                let gates = &[0.0; 6];
                own.attend(&cache, (0, 1), seen, [&q[..2 * dim], gates], 0.7, &mut out);
                out
            };
            if seen > 0 {
                assert_eq!(attend(&fork), attend(&again), "{branches:?} fork at {seen}");
            }
        }
    }
}

#[test]
fn gradients_are_the_differences_of_the_definition_in_f64() {
    let (tokens, heads, kv_heads, dim) = (100, 2, 1, 4);
    let layout = Arc::new(Layout::packed(&[tokens]));
    let branches = branches(Nsa {
        top_k: 3,
        local_blocks: 1,
        window: 21,
        ..small()
    });
    let (qkv, gates) = leaves(tokens, heads, kv_heads, dim);
    let found = evaluate(&(qkv.clone(), gates.clone()), |qkv, gates| {
        nsa::attention(&branches, qkv, gates, &layout, 1.0)
    });
    let [q, k, _] = &qkv;
    let chosen = reference::choices(&branches.selected, q, k, &layout, &[], 1.0);
    let exact = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<f64>>();
    let mut arguments: Vec<Vec<f64>> = qkv.iter().map(|leaf| exact(nn::to_vec(leaf))).collect();
    arguments.push(exact(nn::to_vec(&gates)));
    let c = exact(values(99, tokens * heads * dim));
    let value = |arguments: &[Vec<f64>]| -> f64 {
        let device = || (Device::flex(), DType::F64);
        let tensor = |i: usize, n: usize| {
            let data = TensorData::new(arguments[i].clone(), [tokens, n, dim]);
            let (device, dtype) = device();
            Tensor::<3>::from_data(data, (&device, dtype))
        };
        let (device, dtype) = device();
        let data = TensorData::new(arguments[3].clone(), [tokens, 3 * heads]);
        let gates = Tensor::<2>::from_data(data, (&device, dtype));
        let qkv = [tensor(0, heads), tensor(1, kv_heads), tensor(2, kv_heads)];
        let out = reference::nsa(&branches, qkv, gates, &layout, &chosen, 1.0);
        let out: Vec<f64> = out.into_data().try_into_vec().unwrap();
        out.iter().zip(&c).map(|(o, c)| o * c).sum()
    };
    for (index, grad) in found[1..].iter().enumerate() {
        for i in (0..grad.len()).step_by(7) {
            let at = |step: f64| {
                let mut moved = arguments.clone();
                moved[index][i] += step;
                value(&moved)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            let error = (f64::from(grad[i]) - expected).abs();
            assert!(error < 1e-5, "{index} {i}: {} for {expected}", grad[i]);
        }
    }
}

#[test]
fn options_that_cannot_be_are_named() {
    let read = |text: &str| serde_json::from_str::<AttentionConfig>(text);
    assert_eq!(
        read("\"nsa\"").unwrap(),
        AttentionConfig::Nsa(Nsa::default())
    );
    let table = read(r#"{"name": "nsa", "top_k": 8, "window": 100}"#).unwrap();
    assert_eq!(table.top_k(), Some(8));
    assert_eq!(table.clone().with_top_k(9).top_k(), Some(9));
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(read(&text).unwrap(), table);
    for (text, named) in [
        (r#"{"name": "nsa", "block_size": 24}"#, "multiple of 16"),
        (
            r#"{"name": "nsa", "top_k": 2}"#,
            "init_blocks + local_blocks",
        ),
        (r#"{"name": "nsa", "local_blocks": 0}"#, "the query's block"),
        (r#"{"name": "nsa", "window": 0}"#, "the query's token"),
        (r#"{"name": "nsa", "window_size": 512}"#, "window"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
