//! Recipes and `--set`.

use super::*;

/// What `percept config` says to a recipe.
fn config(recipe: &str, set: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("recipe.toml"), recipe);
    let mut args = vec!["config", "recipe.toml", "--bare"];
    for entry in set {
        args.extend(["--set", entry]);
    }
    run_in(folder.path(), &args)
}

#[test]
fn recipes() {
    let mut cases = Cases::default();
    let whole = format!("{TINY}{SFT}{RL}");
    cases.accepted("a good recipe", &config(&whole, &[]));
    cases.refused(
        "missing",
        &run(percept(&["config", "no-such.toml"])),
        &["no-such.toml"],
    );
    cases.refused("a folder", &run(percept(&["config", "/tmp"])), &["/tmp"]);
    for (name, text) in [
        ("empty", ""),
        ("no TOML", "[trainer\nseed = 1"),
        ("a table twice", "[sft]\n[sft]\n"),
        ("a key twice", "[sft]\nsteps = 1\nsteps = 2\n"),
        ("JSON", "{\"trainer\": {}}"),
    ] {
        cases.refused(name, &config(text, &[]), &["recipe.toml"]);
    }
    let tables = [
        "trainer",
        "model",
        "model.tiny",
        "model.tiny.vision",
        "model.lora",
        "data",
        "data.digit_sum",
        "data.digit_sum.sft",
        "data.columns",
        "reward",
        "sft",
        "sft.optim",
        "rl",
        "rl.optim",
        "algorithm",
        "algorithm.advantage",
        "algorithm.loss",
        "algorithm.loss.policy_loss",
        "algorithm.overlong",
        "rollout",
        "eval",
    ];
    for table in tables {
        let outcome = config(&whole, &[&format!("{table}.no_such_key=1")]);
        cases.refused(
            &format!("{table}.no_such_key"),
            &outcome,
            &["no_such_key", "--set"],
        );
        let outcome = config(&whole, &[&format!("{table}=7")]);
        cases.refused(&format!("{table}=7"), &outcome, &["--set"]);
    }
    cases.refused(
        "top level",
        &config(&format!("no_such_key = 1\n{whole}"), &[]),
        &["no_such_key", "recipe.toml:1:1"],
    );
    let function = "[[reward.functions]]\nname = 'math'\nno_such_key = 1\n";
    cases.refused(
        "reward function",
        &config(&format!("{whole}{function}"), &[]),
        &["no_such_key", "recipe.toml:"],
    );
    let function = "[[reward.functions]]\nname = 'charm'\n";
    cases.refused(
        "reward kind",
        &config(&format!("{whole}{function}"), &[]),
        &["charm"],
    );
    for (name, entry) in [
        ("no value", "rl.optim.lr"),
        ("no key", "=3"),
        ("empty part", "rl..lr=3"),
        ("value as table", "rl.steps.more=3"),
        ("list as table", "reward.functions.weight=3"),
    ] {
        cases.refused(name, &config(&whole, &[entry]), &["--set", entry]);
    }
    for entry in [
        "trainer.seed=-1",
        "trainer.seed=1.5",
        "trainer.experiment_name=3",
        "trainer.metric_names=wandb",
        "sft.steps=many",
        "sft.steps=-1",
        "sft.train_batch_size=0",
        "sft.ppo_max_token_len=0",
        "sft.optim.lr=-1e-3",
        "sft.optim.lr=nan",
        "sft.optim.beta1=1.0",
        "sft.optim.beta2=-0.1",
        "sft.optim.eps=0",
        "sft.optim.weight_decay=-1",
        "sft.optim.clip_grad=-1",
        "sft.optim.min_lr_ratio=2",
        "sft.optim.lr_scheduler_type=stairs",
        "rl.train_batch_size=0",
        "rl.ppo_mini_batch_size=0",
        "rl.ppo_mini_batch_size=64",
        "rl.ppo_epochs=0",
        "rl.ppo_max_token_len=0",
        "rl.optim.lr=inf",
        "rl.old_log_prob=guess",
        "rollout.num_generations=1",
        "rollout.max_completion_length=0",
        "rollout.temperature=0",
        "rollout.temperature=-1",
        "rollout.temperature=nan",
        "rollout.top_p=0",
        "rollout.top_p=1.5",
        "rollout.max_num_seqs=0",
        "rollout.kv_cache_memory_bytes=-1",
        "rollout.dtype=int4",
        "eval.temperature=-1",
        "data.max_prompt_length=0",
        "data.train_files=['x.jsonl']",
        "model.path=somewhere",
        "model.attention=guess",
        "model.attention={name='phsa', block_size=24}",
        "model.attention={name='phsa', topk=4}",
        "model.top_k_annealing={start=8}",
        "algorithm.advantage.name=guess",
        "algorithm.advantage=guess",
        "algorithm.advantage=tgrl",
        "algorithm.advantage={name='durian', a_p=-1}",
        "algorithm.advantage={name='durian', reasoning_buckets=0}",
        "algorithm.token_weight=['guess']",
        "algorithm.token_weight=['tor', 'tor']",
        "algorithm.token_weight=['fipo']",
        "algorithm.token_weight=['tgrl']",
        "algorithm.token_weight=[{name='tor', alpha_p=2}]",
        "algorithm.token_weight=[{name='direction', alpha=-1}]",
        "algorithm.filter=['guess']",
        "algorithm.filter=[{name='tgrl', n_expert=0}]",
        "algorithm.image_ablation=guess",
        "algorithm.loss.tis_imp_ratio_cap=2.0",
        "algorithm.loss.expert.c=0",
        "algorithm.loss.loss_agg_mode=guess",
        "algorithm.loss.policy_loss.name=guess",
        "algorithm.loss.policy_loss.clip_ratio_low=-1",
        "reward.functions=[]",
    ] {
        cases.refused(entry, &config(&whole, &[entry]), &["recipe"]);
    }
    let neither = whole
        .replace("[sft]\nsteps = 1\ntrain_batch_size = 2\n", "")
        .replace(RL, "");
    cases.refused("nothing to do", &config(&neither, &[]), &["[sft]", "[rl]"]);
    cases.finish();
}

/// What `percept train` says to values that only the model or the data can refuse.
#[test]
fn values_that_do_not_fit() {
    let mut cases = Cases::default();
    let lora = "[model.lora]\n";
    for entry in [
        "model.tiny.hidden_size=33",
        "model.tiny.hidden_size=0",
        "model.tiny.num_attention_heads=0",
        "model.tiny.num_attention_heads=3",
        "model.tiny.num_key_value_heads=0",
        "model.tiny.vision.hidden_size=30",
        "model.tiny.vision.patch_size=0",
        "model.tiny.vision.spatial_merge_size=0",
        "model.tiny.vision.window_size=0",
        "model.tiny.vision.fullatt_block_indexes=[-1]",
        "model.tiny.initializer_range=-1",
        "model.lora.r=0",
        "model.lora.lora_dropout=1.5",
        "model.lora.lora_alpha=0",
        "model.lora.target_modules=['no_such']",
        "data.digit_sum.sft.len=0",
        "data.digit_sum.val.len=0",
        "data.min_pixels=0",
        "data.max_pixels=0",
        "trainer.device=cuda:7",
        "trainer.experiment_name=",
        "trainer.experiment_name=../up",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(
            &folder.path().join("recipe.toml"),
            format!("{TINY}{SFT}{lora}"),
        );
        let outcome = run_in(folder.path(), &["train", "recipe.toml", "--set", entry]);
        let key = entry.split('=').next().unwrap().rsplit('.').next().unwrap();
        let key = if key == "len" { "digit" } else { key };
        cases.refused(entry, &outcome, &[key]);
        // A run that did not begin is not in the way of the next one.
        let left = folder.path().join("runs/run/recipe.toml").exists();
        cases.holds(entry, "no run is left behind", !left);
    }
    cases.finish();
}

/// Methods that need what no row has are refused before the first rollout.
#[test]
fn methods_that_the_data_cannot_serve() {
    let mut cases = Cases::default();
    let text_only = "[data]\ntrain_files = [\"rows.jsonl\"]\n";
    let digits = TINY.split("[data.digit_sum]").next().unwrap();
    let rollout = &TINY[TINY.find("[rollout]").unwrap()..];
    let row = r#"{"messages": [{"role": "user", "content": "What is the sum of 1 and 2?"}], "answer": "3"}"#;
    for (set, word) in [
        ("algorithm.token_weight=['tor']", "image"),
        ("algorithm.advantage=durian", "image"),
        ("algorithm.filter=['tgrl']", "expert"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let reward = "[[reward.functions]]\nname = \"math\"\n";
        let recipe = format!("{digits}{text_only}{rollout}{RL}{reward}");
        write(&folder.path().join("recipe.toml"), recipe);
        write(&folder.path().join("rows.jsonl"), row);
        let outcome = run_in(folder.path(), &["train", "recipe.toml", "--set", set]);
        cases.refused(set, &outcome, &[word, "help"]);
    }
    cases.finish();
}
