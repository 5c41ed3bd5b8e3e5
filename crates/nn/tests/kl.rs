//! The divergence between two models' next-token distributions against PyTorch (float64): value
//! and gradients within 1e-6 of the largest, f32 on our side. Golden by `tools/kl_reference.py`.

#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use percept_kernels::Precision;
use percept_kernels::train::KlDirection;
use percept_nn as nn;

fn close(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0f32, |m, e| m.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-6 * scale, "{name}[{i}]: {f} for {e}");
    }
}

#[test]
fn value_and_gradients_are_those_of_pytorch() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/kl.json")).unwrap();
    let numbers =
        |name: &str| -> Vec<f32> { serde_json::from_value(golden[name].clone()).unwrap() };
    let width = |i: usize| golden["widths"][i].as_u64().unwrap() as usize;
    let tensor = |name: &str, width: usize| {
        let values = numbers(name);
        let shape = [values.len() / width, width];
        Tensor::<2>::from_data(TensorData::new(values, shape), &Device::flex())
    };
    let leaf = |name| tensor(name, width(0)).autodiff().require_grad();
    let (h, w) = (leaf("h"), leaf("w"));
    let second = ["other_h", "other_w"].map(|name| tensor(name, width(1)));
    let targets = vec![0; h.dims()[0]];
    let temperature = golden["temperature"].as_f64().unwrap() as f32;
    for (direction, prefix) in [
        (KlDirection::Reverse, ""),
        (KlDirection::Forward, "forward_"),
    ] {
        let (_, kl) = nn::linear_log_prob_kl_in(
            Precision::F32,
            h.clone(),
            w.clone(),
            &targets,
            temperature,
            second.clone(),
            direction,
        );
        let check = |name: &str, found: Vec<f32>| {
            let name = format!("{prefix}{name}");
            close(&name, &found, &numbers(&name));
        };
        check("kl", nn::to_vec(&kl));
        let mut grads = nn::dot(kl, &numbers("weights")).backward();
        let mut grad = |x: &Tensor<2>| nn::to_vec(&x.grad_remove(&mut grads).unwrap());
        check("dh", grad(&h));
        check("dw", grad(&w));
    }
}
