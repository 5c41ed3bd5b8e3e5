//! How models are named and asked: folders, runs, ids of the Hugging Face Hub; pictures in the prompt; what a model's
//! makers recommend.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Outcome, SFT, TINY, percept, run, run_in, write};
use tempfile::TempDir;

struct World {
    folder: TempDir,
    image: String,
    checkpoint: PathBuf,
}

/// A run of one step, and a picture of its task.
fn world() -> World {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    write(&at.join("recipe.toml"), TINY.to_owned() + SFT);
    run_in(at, &["train", "recipe.toml"]).ok();
    run_in(at, &["data", "export", "--output", "d", "--rows", "1"]).ok();
    let image = fs::read_dir(at.join("d/images")).unwrap().next().unwrap();
    let image = image.unwrap().path().display().to_string();
    let checkpoint = at.join("runs/run/checkpoints/step-000001");
    World {
        image,
        checkpoint,
        folder,
    }
}

impl World {
    fn at(&self) -> &Path {
        self.folder.path()
    }

    fn percept(&self, args: &[&str], env: &[(&str, &Path)]) -> Outcome {
        let mut command = percept(args);
        command.current_dir(self.at());
        for name in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "XDG_CACHE_HOME",
            "HF_HOME",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", self.at().join("home"));
        for (name, value) in env {
            command.env(name, value);
        }
        run(command)
    }

    /// What a model says of the picture.
    fn ask(&self, model: &str, more: &[&str], env: &[(&str, &Path)]) -> Outcome {
        let mut args = vec![
            "generate",
            "--model",
            model,
            "--image",
            &self.image,
            "--max-tokens",
            "8",
        ];
        args.extend(more);
        if !more.iter().any(|word| word.contains("What")) {
            args.push("What is the sum of the digits?");
        }
        self.percept(&args, env)
    }

    /// The checkpoint in a cache, as huggingface_hub keeps it.
    fn cache(&self, name: &str) -> PathBuf {
        let cache = self.at().join(name);
        let repo = cache.join("models--org--tiny");
        copy(&self.checkpoint, &repo.join("snapshots/0a1b2c"));
        write(&repo.join("refs/main"), "0a1b2c\n");
        write(&repo.join("refs/v1"), "0a1b2c");
        cache
    }
}

/// One supervised step of a run of this name, from a model that the recipe names.
fn recipe_of(run: &str, model: &str) -> String {
    let (before, rest) = TINY.split_once("[model.tiny]").unwrap();
    let (_, data) = rest.split_once("[data.digit_sum]").unwrap();
    let before = before.replace("\"run\"", &format!("\"{run}\""));
    format!("{before}[model]\n{model}[data.digit_sum]{data}{SFT}")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[track_caller]
fn refused(outcome: Outcome, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for word in words {
        assert!(
            outcome.stderr.contains(word),
            "no {word:?} in: {}",
            outcome.stderr
        );
    }
}

/// D10
#[test]
fn a_model_is_a_folder_a_run_or_an_id_in_the_local_cache() {
    let world = world();
    let plain = world.ask(world.checkpoint.to_str().unwrap(), &[], &[]).ok();
    assert!(!plain.stderr.contains("model:"), "{}", plain.stderr);
    for run in ["runs/run", "runs/run/", "runs/run/checkpoints"] {
        let found = world.ask(run, &[], &[]).ok();
        assert_eq!(found.stdout, plain.stdout);
        assert!(found.stderr.contains("step-000001"), "{}", found.stderr);
    }
    let cache = world.cache("cache");
    let home = world.cache("hf/hub").parent().unwrap().to_owned();
    world.cache("home/.cache/huggingface/hub");
    for env in [
        &[("HF_HUB_CACHE", &*cache)][..],
        &[("HF_HOME", &*home)],
        &[],
    ] {
        for name in [
            "org/tiny",
            "org/tiny@main",
            "org/tiny@v1",
            "org/tiny@0a1b2c",
        ] {
            assert_eq!(
                world.ask(name, &[], env).ok().stdout,
                plain.stdout,
                "{name}"
            );
        }
    }
    // A folder of that name comes first.
    copy(&world.checkpoint, &world.at().join("org/tiny"));
    fs::remove_file(world.at().join("org/tiny/tokenizer.json")).unwrap();
    refused(
        world.ask("org/tiny", &[], &[]),
        &["org/tiny/tokenizer.json"],
    );
    fs::remove_dir_all(world.at().join("org")).unwrap();
    // Recipes name models in the same way.
    let recipe = recipe_of("more", "path = \"org/tiny\"\n");
    write(&world.at().join("more.toml"), recipe);
    world
        .percept(&["train", "more.toml"], &[("HF_HUB_CACHE", &*cache)])
        .ok();
    let eval = [
        "eval",
        "--model",
        "runs/more",
        "--digit-sum",
        "2",
        "--max-tokens",
        "4",
    ];
    world.percept(&eval, &[]).ok();
}

/// D10
#[test]
fn what_is_no_model_is_refused_with_what_to_do() {
    let world = world();
    let cache = world.cache("cache");
    let env = [("HF_HUB_CACHE", &*cache)];
    let ask = |name: &str| world.ask(name, &[], &env);
    refused(
        ask("Qwen/Qwen2.5-VL-3B-Instruct"),
        &["hf download Qwen/Qwen2.5-VL-3B-Instruct", "cache"],
    );
    refused(
        ask("org/tiny@other"),
        &["hf download org/tiny --revision other", "revision other"],
    );
    refused(ask("org/../tiny"), &["no such folder"]);
    refused(ask("./nothing"), &["no such folder", "org/name"]);
    fs::write(world.at().join("model.gguf"), b"GGUF").unwrap();
    refused(ask("model.gguf"), &["GGUF", "safetensors"]);
    fs::create_dir_all(world.at().join("quantised")).unwrap();
    fs::write(world.at().join("quantised/q4.gguf"), b"GGUF").unwrap();
    refused(ask("quantised"), &["GGUF"]);
    let file = world.checkpoint.join("model.safetensors");
    refused(ask(file.to_str().unwrap()), &["expected the folder"]);
    refused(ask("d"), &["neither a model nor a run", "config.json"]);
    // An interrupted download.
    let snapshot = cache.join("models--org--tiny/snapshots/0a1b2c");
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    refused(ask("org/tiny"), &["model.safetensors"]);
    fs::remove_file(snapshot.join("config.json")).unwrap();
    refused(ask("org/tiny"), &["config.json", "hf download org/tiny"]);
}

/// D10: a run that trained adapters.
#[test]
fn a_run_of_adapters_is_its_base_with_them() {
    let world = world();
    let model = "path = \"runs/run\"\nlora = { r = 2, target_modules = '.*(q_proj|up_proj)' }\n";
    let recipe = recipe_of("lora", model) + "optim = { lr = 0.1 }\n";
    write(&world.at().join("lora.toml"), recipe);
    world
        .percept(&["train", "lora.toml", "--set", "sft.steps=3"], &[])
        .ok();
    let own = world.ask("runs/lora", &["--json"], &[]).ok();
    assert!(
        own.stderr.contains("checkpoints/step-000003"),
        "{}",
        own.stderr
    );
    let both = world
        .ask("runs/run", &["--json", "--adapter", "runs/lora"], &[])
        .ok();
    assert_eq!(own.stdout, both.stdout);
    assert_ne!(
        own.stdout,
        world.ask("runs/run", &["--json"], &[]).ok().stdout
    );
    let merge = [
        "merge",
        "--model",
        "runs/run",
        "--adapter",
        "runs/lora",
        "--output",
        "merged",
    ];
    world.percept(&merge, &[]).ok();
    assert_eq!(
        world.ask("merged", &["--json"], &[]).ok().stdout,
        own.stdout
    );
    refused(
        world.ask("runs/run", &["--adapter", "runs/run"], &[]),
        &["whole model", "--model"],
    );
}

/// D9
#[test]
fn the_picture_stands_where_the_prompt_says() {
    let world = world();
    let first = world.ask("runs/run", &["--json"], &[]).ok().stdout;
    for prompt in [
        "What is the sum of the digits?<image>",
        "<image>What is the sum of the digits?",
    ] {
        // The built-in task's template keeps the order in which its model was trained.
        assert_eq!(
            world.ask("runs/run", &["--json", prompt], &[]).ok().stdout,
            first
        );
    }
    refused(
        world.ask("runs/run", &["What is <image> and <image>?"], &[]),
        &["<image> 2 times", "--image"],
    );
}

/// D8
#[test]
fn recommendations_of_a_model_s_makers_are_said_or_used() {
    let world = world();
    let own = world.at().join("own");
    copy(&world.checkpoint, &own);
    let plain = world.ask("own", &["--json"], &[]).ok();
    assert!(!plain.stderr.contains("recommends"), "{}", plain.stderr);
    let path = own.join("generation_config.json");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen(
        '{',
        "{\"repetition_penalty\": 1.9, \"no_repeat_ngram_size\": 3,",
        1,
    );
    fs::write(&path, text).unwrap();
    let said = world.ask("own", &["--json"], &[]).ok();
    assert_eq!(said.stdout, plain.stdout);
    for word in [
        "repetition_penalty = 1.9",
        "no_repeat_ngram_size = 3",
        "--generation-config auto",
    ] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
    let auto = world
        .ask("own", &["--json", "--generation-config", "auto"], &[])
        .ok();
    let given = world
        .ask("own", &["--json", "--repetition-penalty", "1.9"], &[])
        .ok();
    assert_eq!(auto.stdout, given.stdout);
    assert_ne!(auto.stdout, plain.stdout);
    let off = [
        "--json",
        "--repetition-penalty",
        "1",
        "--min-p",
        "0",
        "--presence-penalty",
        "0",
    ];
    assert_eq!(world.ask("own", &off, &[]).ok().stdout, plain.stdout);
    let frequent = [
        "--json",
        "--frequency-penalty",
        "2",
        "--presence-penalty",
        "2",
    ];
    assert_ne!(world.ask("own", &frequent, &[]).ok().stdout, plain.stdout);
    refused(world.ask("own", &["--min-p", "2"], &[]), &["min_p"]);
}
