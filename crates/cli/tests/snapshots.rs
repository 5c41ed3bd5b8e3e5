//! What the program says, word for word: a change of a help text, an error or the resolved recipe
//! shows up in a review. `INSTA_UPDATE=always cargo test -p percept-cli --test snapshots` accepts it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Outcome, RL, SFT, TINY, percept, run, run_in, write};

/// The help of a command.
fn help(args: &[&str]) -> String {
    let mut all = args.to_vec();
    all.push("--help");
    run(percept(&all)).ok().stdout
}

#[test]
fn help_texts() {
    let commands: [&[&str]; 44] = [
        &[],
        &["quickstart"],
        &["train"],
        &["config"],
        &["data"],
        &["data", "check"],
        &["data", "export"],
        &["data", "expert"],
        &["data", "preferences"],
        &["data", "visual-pairs"],
        &["data", "react-cot"],
        &["annotate"],
        &["annotate", "frames"],
        &["annotate", "status"],
        &["annotate", "export"],
        &["generate"],
        &["grade"],
        &["score"],
        &["reward"],
        &["reward", "react"],
        &["serve"],
        &["serve", "reward"],
        &["eval"],
        &["eval", "causal-halbench"],
        &["eval", "pope"],
        &["eval", "chair"],
        &["eval", "object-halbench"],
        &["eval", "amber"],
        &["eval", "scenes"],
        &["eval", "mmhal"],
        &["eval", "long"],
        &["eval", "react-bench"],
        &["eval", "videogen-rewardbench"],
        &["eval", "genai-bench"],
        &["halbench"],
        &["halbench", "build"],
        &["halbench", "scm"],
        &["bench"],
        &["compare"],
        &["analyze"],
        &["analyze", "direction"],
        &["analyze", "tokens"],
        &["view"],
        &["merge"],
    ];
    for command in commands {
        let name = [&["help"][..], command].concat().join("-");
        insta::assert_snapshot!(name, help(command));
    }
}

/// The error of a command, without the folder it ran in.
fn error(recipe: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("recipe.toml"), recipe);
    let Outcome { code, stderr, .. } = run_in(folder.path(), args);
    let place = folder.path().display().to_string();
    format!("exit code {code:?}\n{}", stderr.replace(&place, "FOLDER"))
}

#[test]
fn errors() {
    let whole = format!("{TINY}{SFT}{RL}");
    let config = ["config", "recipe.toml"];
    let cases = [
        (
            "an unknown key",
            format!("{whole}no_such_key = 1\n"),
            vec![],
        ),
        (
            "a wrong type",
            whole.replace("seed = 1", "seed = \"one\""),
            vec![],
        ),
        (
            "a missing model",
            whole.replace("[model.tiny]", "[model]"),
            vec![],
        ),
        (
            "an unknown method",
            whole.clone(),
            vec!["--set", "algorithm.advantage=guess"],
        ),
        (
            "a method that would do nothing",
            whole.clone(),
            vec!["--set", "algorithm.token_weight=['fipo']"],
        ),
        (
            "a value out of range",
            whole.clone(),
            vec!["--set", "rl.optim.lr=-1"],
        ),
    ];
    for (name, recipe, more) in cases {
        let args: Vec<&str> = config.iter().copied().chain(more).collect();
        let name = format!("error-{}", name.replace(' ', "-"));
        insta::assert_snapshot!(name, error(&recipe, &args));
    }
}

#[test]
fn the_resolved_quick_start() {
    let text = run(percept(&["config", "--quickstart"])).ok().stdout;
    insta::assert_snapshot!("config-quickstart", text);
}
