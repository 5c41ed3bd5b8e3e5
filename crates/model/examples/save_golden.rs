//! Loads a checkpoint folder and writes what percept saves from it, for tools/check_saved.py and
//! tools/check_peft.py.
//!
//! `save_golden CHECKPOINT OUT`: `OUT/float32`, `OUT/bfloat16`, and with fresh adapters whose B is
//! made non-zero `OUT/adapter` (PEFT's files) and `OUT/merged` (adapters merged on saving).

use std::path::Path;

use percept_model::{Device, Error, LoraConfig, Model, SaveDtype};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, checkpoint, out] = arguments.as_slice() else {
        return Err("usage: save_golden CHECKPOINT OUT".into());
    };
    save(Path::new(checkpoint), Path::new(out))?;
    Ok(())
}

fn save(checkpoint: &Path, out: &Path) -> Result<(), Error> {
    let mut model = Model::load(checkpoint, &Device::flex())?;
    for dtype in [SaveDtype::F32, SaveDtype::Bf16] {
        model.save(&out.join(dtype.name()), dtype)?;
    }
    model.add_lora(
        &LoraConfig {
            r: 4,
            ..LoraConfig::default()
        },
        1,
    )?;
    for param in model
        .parameters_mut()
        .iter_mut()
        .filter(|p| p.name().contains("lora_B"))
    {
        param.update(|values| {
            for (i, value) in values.iter_mut().enumerate() {
                *value = ((i * 37 % 11) as f32 - 5.0) * 0.01;
            }
        });
    }
    model.save_adapter(&out.join("adapter"), SaveDtype::F32)?;
    model.save(&out.join("merged"), SaveDtype::F32)
}
