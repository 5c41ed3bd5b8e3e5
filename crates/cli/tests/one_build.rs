//! The program and its tests are one build: the README's two commands compile Burn once.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

/// Every package below `selection`, with the features that it is built with.
fn packages(selection: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p} with {f}",
        ])
        .args(selection)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn tests_add_no_features_to_what_the_program_is_built_from() {
    let program = packages(&["--package", "percept-cli", "--edges", "normal,build"]);
    let all = packages(&["--workspace", "--edges", "normal,build,dev"]);
    let other: Vec<_> = program.difference(&all).collect();
    assert!(program.iter().any(|package| package.starts_with("burn ")));
    assert!(other.is_empty(), "compiled again for the tests: {other:#?}");
}
