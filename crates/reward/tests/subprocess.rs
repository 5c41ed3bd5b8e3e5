//! Verifiers that are foreign code: right, wrong, late, dead, or talking nonsense.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::{Duration, Instant};

use percept_reward::{Answer, Error, RewardConfig, RewardSet, Verdict};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A Python script in a folder of its own.
fn script(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("verifier.py");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn build(toml: &str) -> Result<RewardSet, Error> {
    RewardSet::build(&toml::from_str::<RewardConfig>(toml).unwrap())
}

fn command(path: &str, options: &str) -> RewardSet {
    build(&format!(
        "functions = [{{ name = 'command', command = ['python3', '{path}'], {options} }}]"
    ))
    .unwrap()
}

fn python(path: &str, options: &str) -> Result<RewardSet, Error> {
    build(&format!(
        "functions = [{{ name = 'python', path = '{path}', {options} }}]"
    ))
}

fn judge_with(set: &RewardSet, completions: &[&str], meta: &Map<String, Value>) -> Vec<Verdict> {
    let answers: Vec<Answer<'_>> = completions
        .iter()
        .map(|completion| Answer {
            completion,
            ground_truth: Some("17"),
            alternatives: &[],
            prompt: "What is the sum?",
            finished: true,
            n_tokens: 3,
            meta,
            ..Answer::default()
        })
        .collect();
    let rewards = set.judge(&answers);
    rewards
        .into_iter()
        .map(|mut reward| reward.parts.remove(0).1)
        .collect()
}

fn judge(set: &RewardSet, completions: &[&str]) -> Vec<Verdict> {
    judge_with(set, completions, &Map::new())
}

fn reason(verdict: &Verdict) -> &str {
    verdict.reason().unwrap()
}

/// Judges by comparison with the ground truth; does what the completion asks for.
const OBEDIENT: &str = r#"
import json, sys, time, os
for line in sys.stdin:
    r = json.loads(line)
    c = r["completion"]
    if c == "hang": time.sleep(60)
    if c == "slow": time.sleep(0.2)
    if c == "crash": print("a bad day", file=sys.stderr, flush=True); os._exit(3)
    if c == "rubbish": print("here you are:", flush=True)
    if c == "endless": sys.stdout.write("x" * 200_000); sys.stdout.flush(); time.sleep(60)
    if c == "flood":
        while True: print("", flush=False)
    if c == "wrong id": r["id"] += 1
    if c == "null": print(json.dumps({"id": r["id"], "score": None, "reason": "no key"}), flush=True); continue
    if c == "text": print(json.dumps({"id": r["id"], "score": "1.0"}), flush=True); continue
    if c == "infinite": print('{"id": %d, "score": 1e999}' % r["id"], flush=True); continue
    print(json.dumps({"id": r["id"], "score": float(c == r["ground_truth"])}), flush=True)
"#;

#[test]
fn verdicts_come_in_the_order_of_the_answers() {
    let (_dir, path) = script(OBEDIENT);
    let set = command(&path, "timeout_s = 20");
    for _ in 0..3 {
        let verdicts = judge(&set, &["17", "slow", "18", "null", "17"]);
        let scores: Vec<_> = verdicts.iter().map(Verdict::score).collect();
        assert_eq!(scores, [Some(1.0), Some(0.0), Some(0.0), None, Some(1.0)]);
        assert_eq!(reason(&verdicts[3]), "no key");
    }
    assert!(judge(&set, &[]).is_empty());
}

#[test]
fn each_failure_costs_one_answer_its_grade() {
    let (_dir, path) = script(OBEDIENT);
    let set = command(&path, "timeout_s = 3");
    for (asked, expected) in [
        (
            "crash",
            "ended with exit status: 3; standard error: a bad day",
        ),
        ("rubbish", "wrote `here you are:`"),
        ("endless", "without an end"),
        ("wrong id", "answered request"),
        ("text", "wrote `"),
        ("infinite", "wrote `"),
    ] {
        let verdicts = judge(&set, &["17", asked, "17", "18"]);
        let scores: Vec<_> = verdicts.iter().map(Verdict::score).collect();
        assert_eq!(scores, [Some(1.0), None, Some(1.0), Some(0.0)], "{asked}");
        assert!(
            reason(&verdicts[1]).contains(expected),
            "{asked}: {:?}",
            verdicts[1]
        );
    }
}

#[test]
fn late_verdicts_end_at_the_deadline() {
    let (_dir, path) = script(OBEDIENT);
    let set = command(&path, "timeout_s = 1.0");
    for asked in ["hang", "flood"] {
        judge(&set, &["17"]);
        let clock = Instant::now();
        let verdicts = judge(&set, &[asked, "17"]);
        assert!(
            reason(&verdicts[0]).contains("no verdict within 1 s"),
            "{:?}",
            verdicts[0]
        );
        assert_eq!(verdicts[1], Verdict::RIGHT);
        assert!(clock.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_verifier_that_never_works_is_given_up_in_each_batch() {
    let (_dir, path) = script("import sys; sys.exit('no licence')");
    let set = command(&path, "timeout_s = 5, max_restarts = 2");
    for _ in 0..2 {
        let verdicts = judge(&set, &["17"; 100]);
        assert!(verdicts.iter().all(|verdict| verdict.score().is_none()));
        assert!(
            reason(&verdicts[0]).contains("no licence"),
            "{:?}",
            verdicts[0]
        );
        assert!(
            reason(&verdicts[99]).contains("failed 3 times in a row"),
            "{:?}",
            verdicts[99]
        );
    }
}

#[test]
fn a_verifier_that_does_not_read_blocks_nobody() {
    let (_dir, path) = script("import time; time.sleep(60)");
    let set = command(&path, "timeout_s = 0.5, max_restarts = 0");
    let long = "x".repeat(1_000_000);
    let clock = Instant::now();
    assert!(
        judge(&set, &[long.as_str(); 5])
            .iter()
            .all(|verdict| verdict.score().is_none())
    );
    assert!(clock.elapsed() < Duration::from_secs(5));
}

#[test]
fn grandchildren_die_with_the_verifier() {
    let (dir, path) = script(
        r#"
import subprocess, sys, time, pathlib
child = subprocess.Popen(["sleep", "300"])
pathlib.Path(sys.argv[0]).with_name("pid").write_text(str(child.pid))
time.sleep(300)
"#,
    );
    let set = command(&path, "timeout_s = 2, max_restarts = 0");
    judge(&set, &["17"]);
    drop(set);
    let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        !is_running(&pid)
    });
    assert!(gone, "process {pid} still runs");
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_grandchild_that_leaves_the_group_with_our_pipe_hangs_nobody() {
    let (_dir, path) = script(
        r#"
import subprocess, time
subprocess.Popen(["sleep", "8"], start_new_session=True)
time.sleep(300)
"#,
    );
    let clock = Instant::now();
    let set = command(&path, "timeout_s = 0.5, max_restarts = 0");
    judge(&set, &["17"]);
    drop(set);
    assert!(clock.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_program_that_is_not_there_is_an_error_at_once() {
    let error =
        build("functions = [{ name = 'command', command = ['./no-such-verifier'] }]").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot start `./no-such-verifier`"),
        "{error}"
    );
    for wrong in [
        "command = []",
        "command = ['x'], timeout_s = 0.0",
        "command = ['x'], timeout_s = nan",
    ] {
        let error = build(&format!("functions = [{{ name = 'command', {wrong} }}]")).unwrap_err();
        assert!(matches!(error, Error::Option { .. }), "{error}");
    }
}

const TRL: &str = r#"
def helper(text): return text
def reward_func(completions, ground_truth, colour=None, **kwargs):
    print("a print is no verdict")
    out = []
    for i, (c, g) in enumerate(zip(completions, ground_truth)):
        if c == "none": out.append(None)
        elif c == "raise": raise ValueError("no such answer")
        elif c == "exit": raise SystemExit(1)
        elif c == "die": import os; os._exit(9)
        elif c == "hang": import time; time.sleep(60)
        elif c == "nan": out.append(float("nan"))
        elif c == "count": out.append(float(len(completions)))
        elif c == "colour": out.append(1 if colour[i] == "red" else 0)
        elif c == "input": out.append(float(len(__import__("sys").stdin.read())))
        else: out.append(c == g)
    return out
"#;

#[test]
fn functions_of_trls_signature() {
    let (_dir, path) = script(TRL);
    let set = python(&path, "timeout_s = 20").unwrap();
    let meta = json!({"colour": "red"});
    let completions = [
        "17",
        "18",
        "none",
        "raise",
        "exit",
        "nan",
        "count",
        "colour",
        "input",
        "é\u{1F600}\n",
    ];
    let verdicts = judge_with(&set, &completions, meta.as_object().unwrap());
    let scores: Vec<_> = verdicts.iter().map(Verdict::score).collect();
    let expected = [
        Some(1.0),
        Some(0.0),
        None,
        None,
        None,
        None,
        Some(1.0),
        Some(1.0),
        Some(0.0),
        Some(0.0),
    ];
    assert_eq!(scores, expected);
    assert_eq!(reason(&verdicts[2]), "the function returned None");
    // With its place: a message alone does not say where to look (C10).
    assert_eq!(
        reason(&verdicts[3]),
        "ValueError: no such answer (verifier.py:8, in reward_func)"
    );
}

#[test]
fn a_python_function_that_hangs_or_dies_costs_one_grade() {
    let (_dir, path) = script(TRL);
    let set = python(&path, "timeout_s = 2").unwrap();
    let verdicts = judge(&set, &["17", "hang", "17", "die", "17"]);
    let scores: Vec<_> = verdicts.iter().map(Verdict::score).collect();
    assert_eq!(scores, [Some(1.0), None, Some(1.0), None, Some(1.0)]);
    assert!(
        reason(&verdicts[1]).contains("no verdict within 2 s"),
        "{:?}",
        verdicts[1]
    );
    assert!(
        reason(&verdicts[3]).contains("exit status: 9"),
        "{:?}",
        verdicts[3]
    );
}

#[test]
fn a_batch_is_one_call_where_that_is_asked_for() {
    let (_dir, path) = script(TRL);
    let set = python(&path, "batch = true").unwrap();
    let verdicts = judge(&set, &["17", "count", "count"]);
    assert_eq!(
        verdicts,
        [Verdict::RIGHT, Verdict::Score(3.0), Verdict::Score(3.0)]
    );
    assert_eq!(judge(&set, &["count"]), [Verdict::RIGHT]);
}

#[test]
fn completions_can_be_messages_and_functions_async() {
    let (_dir, path) = script(
        "async def reward(prompts, completions):\n    return [c[0]['content'] == '17' and p[-1]['role'] == 'user' for p, c in zip(prompts, completions)]\n",
    );
    let set = python(&path, "completion_format = 'messages'").unwrap();
    assert_eq!(judge(&set, &["17", "18"]), [Verdict::RIGHT, Verdict::WRONG]);
}

#[test]
fn functions_of_verls_signatures() {
    let (_dir, path) = script(
        r#"
def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    assert data_source == "geo" and extra_info == {"index": 4}
    if solution_str == "none": return None
    return {"score": solution_str == ground_truth, "acc": 0}
"#,
    );
    let meta = json!({"data_source": "geo", "extra_info": {"index": 4}});
    let set = python(&path, "").unwrap();
    let verdicts = judge_with(&set, &["17", "18", "none"], meta.as_object().unwrap());
    assert_eq!(verdicts[..2], [Verdict::RIGHT, Verdict::WRONG]);
    assert_eq!(verdicts[2].score(), None);

    let (_dir, path) = script(
        "def compute_score(data_sources, solution_strs, ground_truths, extra_infos):\n    return [len(solution_strs) + (s == g) for s, g in zip(solution_strs, ground_truths)]\n",
    );
    let set = python(&path, "batch = true").unwrap();
    assert_eq!(
        judge(&set, &["17", "18"]),
        [Verdict::Score(3.0), Verdict::Score(2.0)]
    );
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_before_training() {
    let (_dir, broken) = script("def reward_func(completions, **kwargs)\n    pass\n");
    let (_dir2, two) = script("def a(completions): pass\ndef b(completions): pass\n");
    let (_dir3, other) = script("def score(text): return 1\n");
    for (path, options, expected) in [
        (broken.as_str(), "", "SyntaxError"),
        (&two, "", "2 reward functions ['a', 'b']: set `function`"),
        (&two, "function = 'c'", "has no function c"),
        (&other, "function = 'score'", "neither TRL's parameter"),
        ("/no/such/file.py", "", "is not a Python file"),
        (&two, "python = '/no/python'", "does not start"),
        (&two, "startup_timeout_s = -1.0", "startup_timeout_s"),
    ] {
        let error = python(path, options).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(python(&two, "function = 'a'").is_ok());
}

#[test]
fn an_import_that_hangs_ends_at_its_deadline() {
    let (_dir, path) = script("import time; time.sleep(60)");
    let clock = Instant::now();
    let error = python(&path, "startup_timeout_s = 1.0")
        .unwrap_err()
        .to_string();
    assert!(error.contains("not ready within 1 s"), "{error}");
    assert!(clock.elapsed() < Duration::from_secs(5));
}

// C10: functions as TRL, verl, ms-swift and EasyR1 have them, without an option.

/// The functions that TRL brings, with what they import left out (trl/rewards/, version 0.24).
const OF_TRL: &str = r#"
import re
def think_format_reward(completions: list[list[dict[str, str]]], **kwargs) -> list[float]:
    pattern = r"^<think>(?!.*<think>)(.*?)</think>.*$"
    completion_contents = [completion[0]["content"] for completion in completions]
    matches = [re.match(pattern, content, re.DOTALL | re.MULTILINE) for content in completion_contents]
    return [1.0 if match else 0.0 for match in matches]

def get_soft_overlong_punishment(max_completion_len, soft_punish_cache):
    def soft_overlong_punishment_reward(completion_ids: list[list[int]], **kwargs) -> list[float]:
        rewards = []
        for ids in completion_ids:
            completion_length = len(ids)
            if completion_length <= max_completion_len - soft_punish_cache:
                rewards.append(0.0)
            elif max_completion_len - soft_punish_cache < completion_length <= max_completion_len:
                rewards.append((max_completion_len - soft_punish_cache - completion_length) / soft_punish_cache)
            else:
                rewards.append(-1.0)
        return rewards
    return soft_overlong_punishment_reward

overlong = get_soft_overlong_punishment(4, 2)

def of_strings(completions, **kwargs):
    return [1.0 if re.search("17", completion) else 0.0 for completion in completions]
"#;

/// An answer to a row whose prompt is a list of messages, or a text.
fn one(set: &RewardSet, completion: &str, messages: Option<&Value>, tokens: &[u32]) -> Verdict {
    let answer = Answer {
        completion,
        ground_truth: Some("17"),
        prompt: "<|user|>What is the sum?",
        n_tokens: tokens.len(),
        token_ids: tokens,
        messages,
        ..Answer::default()
    };
    set.judge(&[answer]).remove(0).parts.remove(0).1
}

#[test]
fn trls_own_functions_work_as_they_are() {
    let (_dir, path) = script(OF_TRL);
    let rows = [Some(json!([{"role": "user", "content": "?"}])), None];
    for row in &rows {
        let set = python(&path, "function = 'think_format_reward'").unwrap();
        let judged = |text| one(&set, text, row.as_ref(), &[]);
        assert_eq!(judged("<think>a</think> 17"), Verdict::RIGHT, "{row:?}");
        assert_eq!(judged("17"), Verdict::WRONG, "{row:?}");
        let set = python(&path, "function = 'of_strings'").unwrap();
        assert_eq!(one(&set, "it is 17", row.as_ref(), &[]), Verdict::RIGHT);
        assert_eq!(one(&set, "it is 18", row.as_ref(), &[]), Verdict::WRONG);
        // The form that it wanted was not the row's: that is said, once.
        let said = set.messages().join("\n");
        assert_eq!(
            row.is_some(),
            said.contains("as strings, not as lists of messages"),
            "{said}"
        );
        assert!(set.messages().is_empty());
    }
    let set = python(&path, "function = 'overlong'").unwrap();
    assert_eq!(one(&set, "17", None, &[1, 2, 3]), Verdict::Score(-0.5));
}

#[test]
fn a_file_that_imports_its_function_needs_no_name() {
    let (dir, _) = script("");
    let of_trl = OF_TRL
        .replace("overlong =", "_overlong =")
        .replace("def of_strings", "def _x(text): pass\ndef _of_strings");
    std::fs::write(dir.path().join("like_trl.py"), of_trl).unwrap();
    let path = dir.path().join("mine.py");
    std::fs::write(&path, "from like_trl import think_format_reward\n").unwrap();
    let set = python(path.to_str().unwrap(), "").unwrap();
    assert_eq!(one(&set, "<think>a</think>", None, &[]), Verdict::RIGHT);
}

#[test]
fn rows_of_messages_reach_the_function_as_messages_and_texts_as_texts() {
    let (_dir, path) = script(
        "def reward(prompts, completions, **kwargs):\n    return [float(isinstance(p, list) and p[0]['content'] == '?' and isinstance(c, list)) for p, c in zip(prompts, completions)]\n",
    );
    let set = python(&path, "").unwrap();
    let row = json!([{"role": "user", "content": "?"}]);
    assert_eq!(one(&set, "17", Some(&row), &[]), Verdict::RIGHT);
    assert_eq!(one(&set, "17", None, &[]), Verdict::WRONG);
}

#[test]
fn easyr1s_functions_and_ms_swifts_classes_work_as_they_are() {
    for text in [
        "def compute_score(reward_inputs):\n    return [{'overall': float(r['response'] == r['ground_truth']), 'format': 0.0} for r in reward_inputs]\n",
        "def compute_score(reward_input):\n    return {'overall': float(reward_input['response'] == reward_input['ground_truth'])}\n",
        "class Exact:\n    def __call__(self, completions, solution, **kwargs):\n        return [float(c == s) for c, s in zip(completions, solution)]\n",
    ] {
        let (_dir, path) = script(text);
        let set = python(&path, "").unwrap();
        assert_eq!(
            judge(&set, &["17", "18"]),
            [Verdict::RIGHT, Verdict::WRONG],
            "{text}"
        );
    }
}

#[test]
fn none_leaves_a_response_to_the_other_functions() {
    let (_dir, path) =
        script("def reward(completions, **kwargs):\n    return [None] * len(completions)\n");
    let both =
        format!("functions = [{{ name = 'python', path = '{path}' }}, {{ name = 'exact' }}]");
    let answer = Answer {
        completion: "17",
        ground_truth: Some("17"),
        ..Answer::default()
    };
    assert_eq!(build(&both).unwrap().judge(&[answer])[0].total, Some(1.0));
    assert_eq!(python(&path, "").unwrap().judge(&[answer])[0].total, None);
}

#[test]
fn what_a_function_says_is_passed_on_once_with_file_and_line() {
    let (_dir, path) = script(
        "import sys\ndef reward(completions, **kwargs):\n    print('call with', len(completions[0]), file=sys.stderr)\n    return helper(completions)\ndef helper(completions):\n    return {}[completions[0]]\n",
    );
    let set = python(&path, "function = 'reward', completion_format = 'text'").unwrap();
    let verdicts = judge(&set, &["a", "a", "a"]);
    assert_eq!(
        reason(&verdicts[0]),
        "KeyError: 'a' (verifier.py:6, in helper)"
    );
    let said = set.messages();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("python: Traceback") && said[0].contains("line 4, in reward"),
        "{said:?}"
    );
    assert!(said[1].contains("call with 1"), "{said:?}");
    judge(&set, &["a", "a"]);
    assert!(set.messages().is_empty());
}

// M3 and "rewards and commands" of the list of attacks.

#[test]
fn a_thousand_failures_leave_no_descriptor_and_no_thread() {
    let (_dir, path) =
        script("import subprocess; subprocess.Popen(['sleep', '100'], start_new_session=True)");
    let count =
        |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).map_or(0, Iterator::count);
    let set = command(&path, "timeout_s = 2, max_restarts = 19");
    judge(&set, &["17"]);
    let before = [count("fd"), count("task")];
    judge(&set, &["17"; 40]);
    drop(set);
    let after = [count("fd"), count("task")];
    // Other tests of this file open some meanwhile.
    assert!(after[0] < before[0] + 40, "{before:?} {after:?}");
    assert!(after[1] < before[1] + 30, "{before:?} {after:?}");
}

#[test]
fn endless_output_on_both_pipes_and_half_a_verdict_end_at_the_deadline() {
    for text in [
        "import sys\nwhile True: sys.stderr.write('x' * 10000); sys.stdout.write('\\n' * 10000)",
        "import sys\nwhile True: print('{\"id\": 0, \"score\": 1.0}')",
        "import sys, time\nsys.stdout.write('{\"id\": 0, \"sco'); sys.stdout.flush(); time.sleep(60)",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n    if os.getppid() == 1 or __import__('time').sleep(0.2): break",
    ] {
        let (_dir, path) = script(text);
        let set = command(&path, "timeout_s = 1, max_restarts = 1");
        let clock = Instant::now();
        let verdicts = judge(&set, &["17"; 4]);
        assert!(
            verdicts[1..]
                .iter()
                .all(|verdict| verdict.score().is_none()),
            "{text}: {verdicts:?}"
        );
        assert!(clock.elapsed() < Duration::from_secs(20), "{text}");
    }
}

/// A pairwise reward in TRL's signature: of the i-th responses to two rows the longer one wins.
const PAIRWISE: &str = r#"
def longer(completions, group_index, rollout_index, side, **kwargs):
    if "raise" in completions: raise ValueError("a bad day")
    if "hang" in completions:
        import time; time.sleep(60)
    at = {(r, s): len(c) for c, r, s in zip(completions, rollout_index, side)}
    assert group_index == sorted(group_index), group_index
    return [float(at[r, s] > at[r, "B" if s == "A" else "A"]) for r, s in zip(rollout_index, side)]
"#;

fn sides(set: &RewardSet, groups: &[(&str, &str, &[&str])]) -> Vec<Vec<Verdict>> {
    let rows: Vec<Map<String, Value>> = groups
        .iter()
        .map(|(pair, side, _)| {
            json!({"pair": pair, "side": side})
                .as_object()
                .cloned()
                .unwrap()
        })
        .collect();
    let answers: Vec<Vec<Answer<'_>>> = groups
        .iter()
        .zip(&rows)
        .map(|((_, _, texts), meta)| {
            let answer = |completion| Answer {
                completion,
                meta,
                ..Answer::default()
            };
            texts.iter().map(|text| answer(*text)).collect()
        })
        .collect();
    let views: Vec<&[Answer<'_>]> = answers.iter().map(Vec::as_slice).collect();
    let judged = set.judge_groups(&views).into_iter();
    let first = |reward: percept_reward::Reward| reward.parts.into_iter().next().unwrap().1;
    judged
        .map(|group| group.into_iter().map(first).collect())
        .collect()
}

#[test]
fn a_function_gets_the_responses_to_all_rows_that_share_a_value() {
    let (_dir, path) = script(PAIRWISE);
    let set = python(&path, "group_by = 'pair'").unwrap();
    assert_eq!(set.group_by(), Some("pair"));
    let found = sides(
        &set,
        &[
            ("p", "A", &["long one", "a"]),
            ("q", "B", &["", ""]),
            ("p", "B", &["b", "longer"]),
            ("q", "A", &["x", "y"]),
        ],
    );
    let (right, wrong) = (Verdict::RIGHT, Verdict::WRONG);
    assert_eq!(found[0], [right.clone(), wrong.clone()]);
    assert_eq!(found[2], [wrong.clone(), right.clone()]);
    assert_eq!(found[1], [wrong.clone(), wrong]);
    assert_eq!(found[3], [right.clone(), right]);
}

#[test]
fn a_failure_costs_a_whole_bundle_its_grades_and_no_other() {
    let (_dir, path) = script(PAIRWISE);
    let set = python(&path, "group_by = 'pair', timeout_s = 2.0").unwrap();
    for bad in ["raise", "hang"] {
        let found = sides(
            &set,
            &[
                ("p", "A", &["one", bad]),
                ("q", "A", &["xx"]),
                ("p", "B", &["b", "longer"]),
                ("q", "B", &["y"]),
            ],
        );
        let ungraded = |group: &[Verdict]| group.iter().all(|verdict| verdict.score().is_none());
        assert!(
            ungraded(&found[0]) && ungraded(&found[2]),
            "{bad}: {found:?}"
        );
        assert_eq!(
            (&found[1][0], &found[3][0]),
            (&Verdict::RIGHT, &Verdict::WRONG),
            "{bad}"
        );
    }
}

#[test]
fn group_by_needs_a_function_that_takes_lists() {
    let single = "def compute_score(solution_str, ground_truth):\n    return 1.0\n";
    let (_dir, path) = script(single);
    let error = python(&path, "group_by = 'pair'").unwrap_err().to_string();
    assert!(
        error.contains("group_by needs a function that takes lists"),
        "{error}"
    );
    let batched = "def compute_score(solution_strs, extra_infos):\n    return [e['rollout_index'] for e in extra_infos]\n";
    let (_dir, path) = script(batched);
    let set = python(&path, "group_by = 'pair'").unwrap();
    let found = sides(&set, &[("p", "A", &["x", "y"])]);
    assert_eq!(found[0], [Verdict::Score(0.0), Verdict::Score(1.0)]);
}
