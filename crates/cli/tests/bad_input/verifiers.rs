//! Verifiers that are foreign code.

use super::*;

/// One step of reinforcement learning with a verifier.
fn judged(function: &str, script: &str) -> (Outcome, String) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("verifier.py"), script);
    let recipe = format!("{TINY}{RL}\n[[reward.functions]]\n{function}\n");
    write(
        &folder.path().join("recipe.toml"),
        recipe.replace("len = 2, seed = 3", "len = 1, seed = 3"),
    );
    let outcome = train(folder.path(), &[]);
    let metrics = fs::read_to_string(folder.path().join("runs/run/metrics.jsonl"));
    (outcome, metrics.unwrap_or_default())
}

#[test]
fn verifiers() {
    let mut cases = Cases::default();
    let python = "name = 'python'\npath = 'verifier.py'\ntimeout_s = 0.3\nmax_restarts = 1";
    let command =
        "name = 'command'\ncommand = ['python3', 'verifier.py']\ntimeout_s = 0.5\nmax_restarts = 1";
    let compute = |body: &str| {
        format!(
            "import os, sys, time\ndef compute_score(data_source, solution_str, ground_truth, extra_info=None):\n    {body}\n"
        )
    };
    let (outcome, metrics) = judged(python, &compute("return 1.0"));
    cases.accepted("a good verifier", &outcome);
    cases.holds(
        "a good verifier",
        &metrics,
        metrics.contains("\"reward/ungraded\":0.0"),
    );
    for (name, body) in [
        ("hangs", "time.sleep(60)"),
        ("raises", "raise ValueError('no such key')"),
        ("crashes", "os._exit(3)"),
        (
            "prints rubbish into the protocol",
            "os.write(1, b'rubbish\\n') and None",
        ),
        ("NaN", "return float('nan')"),
        ("infinity", "return float('inf')"),
        ("text", "return 'very good'"),
        ("nothing", "return None"),
        ("a megabyte", "raise ValueError('x' * (1 << 20))"),
    ] {
        // C10: a run in which nothing was graded has failed, whatever it wrote.
        let (outcome, metrics) = judged(python, &compute(body));
        cases.refused(name, &outcome, &["no reward", "could be graded"]);
        cases.holds(name, &metrics, metrics.contains("\"reward/ungraded\":1.0"));
    }
    for (name, script) in [
        ("ends at once", "pass"),
        ("ends with an error", "import sys; sys.exit('bad day')"),
        ("hangs", "import time; time.sleep(60)"),
        (
            "talks rubbish",
            "import sys\nfor line in sys.stdin: print('good answer!', flush=True)",
        ),
        ("talks without end", "while True: print('x' * 65536)"),
    ] {
        let (outcome, metrics) = judged(command, script);
        cases.refused(name, &outcome, &["no reward", "could be graded"]);
        cases.holds(name, &metrics, metrics.contains("\"reward/ungraded\":1.0"));
    }
    for (name, function, script, word) in [
        (
            "no interpreter",
            "name = 'python'\npath = 'verifier.py'\npython = '/no/such/python'",
            "",
            "/no/such/python",
        ),
        (
            "no program",
            "name = 'command'\ncommand = ['/no/such/program']",
            "",
            "/no/such/program",
        ),
        (
            "empty command",
            "name = 'command'\ncommand = []",
            "",
            "command",
        ),
        (
            "no file",
            "name = 'python'\npath = 'other.py'",
            "",
            "other.py",
        ),
        (
            "bad syntax",
            "name = 'python'\npath = 'verifier.py'",
            "def f(:",
            "SyntaxError",
        ),
        (
            "no function",
            "name = 'python'\npath = 'verifier.py'\nfunction = 'f'",
            "x = 1",
            "f",
        ),
        (
            "no known function",
            "name = 'python'\npath = 'verifier.py'",
            "x = 1",
            "verifier.py",
        ),
        (
            "hangs on import",
            "name = 'python'\npath = 'verifier.py'\nstartup_timeout_s = 0.5",
            "import time; time.sleep(60)",
            "0.5",
        ),
        (
            "no time",
            "name = 'python'\npath = 'verifier.py'\ntimeout_s = 0",
            "",
            "timeout_s",
        ),
    ] {
        let (outcome, _) = judged(function, script);
        cases.refused(name, &outcome, &[word, "reward"]);
    }
    cases.finish();
}
