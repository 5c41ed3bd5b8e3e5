//! Standard output that nobody reads or that is full.

use super::*;

#[test]
fn standard_output_that_goes_away() {
    let mut cases = Cases::default();
    let model = base_model();
    let generate = format!("generate --max-tokens 2 --model {} hi", model.display());
    let binary = env!("CARGO_BIN_EXE_percept");
    let shell = |script: String| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]);
        run(command)
    };
    for args in [
        &generate,
        "config --quickstart",
        "config --schema",
        "completions bash",
        "--help",
    ] {
        let closed = shell(format!("{binary} {args} | true"));
        cases.accepted(&format!("{args} | true"), &closed);
        if Path::new("/dev/full").exists() && args != "--help" {
            let full = shell(format!("{binary} {args} > /dev/full"));
            cases.refused(&format!("{args} > /dev/full"), &full, &["No space left"]);
        }
    }
    cases.finish();
}
