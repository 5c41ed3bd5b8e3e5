//! Decoding speed of a random model: tokens per second at several batch sizes.
//!
//! ```text
//! cargo run --release -p percept-model --example bench_decode
//! cargo run --release -p percept-model --example bench_decode -- --hidden 576 --layers 30 --heads 9 \
//!     --kv-heads 3 --intermediate 1536 --vocab 49152 --tied true --batch 1,16
//! cargo run --release -p percept-model --example bench_decode -- --model DIR --dtype int8
//! ```

use std::path::Path;
use std::time::Instant;

use percept_kernels::decode::WeightDtype;
use percept_model::{Decoder, Device, Model, ModelConfig, Sequence};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| {
        let at = arguments
            .iter()
            .position(|a| a.strip_prefix("--") == Some(name))?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str, default: usize| match given(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("--{name} {text}: expected a whole number")),
    };
    let (hidden, heads) = (number("hidden", 128)?, number("heads", 4)?);
    let (prompt, steps) = (number("prompt", 64)?, number("steps", 64)?);
    let device = Device::flex();
    let mut model = match given("model") {
        Some(dir) => Model::load(Path::new(dir), &device)?,
        None => Model::init(
            ModelConfig::from_json(
                json!({
                    "architectures": ["LlamaForCausalLM"], "model_type": "llama",
                    "hidden_size": hidden,
                    "num_hidden_layers": number("layers", 4)?,
                    "num_attention_heads": heads,
                    "num_key_value_heads": number("kv-heads", 2)?,
                    "intermediate_size": number("intermediate", 3 * hidden)?,
                    "vocab_size": number("vocab", 100)?,
                    "tie_word_embeddings": given("tied") == Some("true"),
                    "max_position_embeddings": 4096, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
                    "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 0,
                }),
                "arguments",
            )?,
            0,
            &device,
        )?,
    };
    let dtype: WeightDtype = serde_json::from_value(given("dtype").unwrap_or("float32").into())?;
    model.set_decoder_dtype(dtype.checked()?);
    let started = Instant::now();
    let decoder = Decoder::new(&model)?;
    println!(
        "{:.1} MB of weights packed in {:.0} ms; {} threads; prompt {prompt}, {steps} steps",
        decoder.bytes() as f64 * 1e-6,
        started.elapsed().as_secs_f64() * 1e3,
        rayon::current_num_threads()
    );

    let vocab = decoder.vocab_size();
    let tokens: Vec<u32> = (0..prompt).map(|i| (i * 31 % vocab) as u32).collect();
    let positions: Vec<[u32; 3]> = (0..prompt as u32).map(|p| [p; 3]).collect();
    let started = Instant::now();
    let prefix = decoder.prefill(decoder.embed(&tokens), &tokens, &positions, prompt as u32);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "prefill  {:9.0} tokens/s  {:8.2} ms",
        prompt as f64 / seconds,
        seconds * 1e3
    );
    for batch in given("batch").unwrap_or("1,16,64,256").split(',') {
        let batch: usize = batch.trim().parse()?;
        let mut sequences: Vec<Sequence> =
            (0..batch).map(|_| decoder.start(&prefix, steps)).collect();
        let mut next: Vec<u32> = (0..batch).map(|i| (i % vocab) as u32).collect();
        let mut logits = Vec::new();
        let started = Instant::now();
        for step in 0..steps {
            decoder.step(&mut sequences, &next, &mut logits);
            next.iter_mut()
                .enumerate()
                .for_each(|(i, t)| *t = ((i * 7 + step) % vocab) as u32);
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "B = {batch:4} {:9.0} tokens/s  {:8.3} ms a step  {:6.1} MB of keys and values",
            (batch * steps) as f64 / seconds,
            seconds / steps as f64 * 1e3,
            sequences.iter().map(Sequence::bytes).sum::<usize>() as f64 * 1e-6
        );
    }
    Ok(())
}
