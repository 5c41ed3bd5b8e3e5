//! LoRA adapters.

use super::*;

#[test]
fn adapters() {
    let mut cases = Cases::default();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = base_model();
    let recipe = format!(
        "{}[model.lora]\nr = 2\n[trainer]\nexperiment_name = 'lora'\noutput_dir = '{}'\n{SFT}",
        &TINY[TINY.find("[data").unwrap()..],
        folder.path().display()
    );
    let attention = "attention = { name = 'sliding', init = 16, window = 32 }";
    let recipe = format!(
        "[model]\npath = '{}'\n{attention}\n{recipe}",
        model.display()
    );
    write(Path::new(&at("recipe.toml")), recipe);
    run_in(folder.path(), &["train", "recipe.toml", "--quiet"]).ok();
    let adapter = at("lora/checkpoints/step-000001");
    let with = |damage: &dyn Fn(&Path)| {
        let copied = folder.path().join("copy");
        let _ = fs::remove_dir_all(&copied);
        copy(Path::new(&adapter), &copied);
        damage(&copied);
        generate(&model, &["hi", "--adapter", copied.to_str().unwrap()])
    };
    cases.accepted("a good adapter", &with(&|_| {}));
    let (weights, config) = ("adapter_model.safetensors", "adapter_config.json");
    // As a model, an adapter is taken with the base that it names.
    cases.accepted("as a model", &generate(Path::new(&adapter), &["hi"]));
    cases.refused(
        "no weights",
        &with(&|m| remove(m.join(weights))),
        &[weights],
    );
    cases.refused(
        "half the weights",
        &with(&|m| truncate(&m.join(weights), 0.5)),
        &[weights],
    );
    cases.refused("no config", &with(&|m| remove(m.join(config))), &[config]);
    cases.refused(
        "half the config",
        &with(&|m| truncate(&m.join(config), 0.5)),
        &[config],
    );
    cases.refused(
        "an attention that does not exist",
        &with(&|m| {
            edit_json(&m.join("percept_config.json"), |c| {
                c["attention"] = json!("phsaa")
            })
        }),
        &["percept_config.json", "attention", "phsa"],
    );
    cases.refused(
        "another rank",
        &with(&|m| edit_json(&m.join(config), |c| c["r"] = json!(3))),
        &["lora_A"],
    );
    cases.refused(
        "rank 0",
        &with(&|m| edit_json(&m.join(config), |c| c["r"] = json!(0))),
        &["r"],
    );
    let merge = |output: &str| {
        let model = model.to_str().unwrap();
        let folders = [
            "--model",
            model,
            "--adapter",
            &adapter,
            "--output",
            &at(output),
        ];
        run(percept(&[&["merge"], &folders[..]].concat()))
    };
    let exists = merge("lora");
    cases.refused("merge into a folder that exists", &exists, &["exists"]);
    let merged = merge("merged");
    cases.accepted("merge", &merged);
    cases.accepted(
        "the merged model",
        &generate(Path::new(&at("merged")), &["hi"]),
    );
    let config = fs::read(at("merged/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let attention = config["percept"]["attention"].clone();
    cases.holds(
        "merge",
        "keeps the attention of the adapter's training",
        attention == json!({"name": "sliding", "init": 16, "window": 32}),
    );
    cases.holds(
        "base run",
        "is as it was",
        base_run().join("recipe.toml").exists(),
    );
    cases.finish();
}
