//! Run folders that are made, locked, killed and gone on with.

use super::*;
use percept_base::files::write_atomic;

fn checkpoint(run: &RunDir, step: u64) {
    write_atomic(&run.checkpoint_of(step).join("percept/state.json"), b"{}").unwrap();
}

fn steps(run: &RunDir) -> Vec<u64> {
    run.checkpoints().unwrap().iter().map(|c| c.step).collect()
}

/// M6: `.lock` emptied its target, `rollouts/` removed files outside, `recipe.toml` was shown in the report.
#[cfg(unix)]
#[test]
fn links_in_a_run_folder_are_refused_and_what_they_point_to_stays() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let (secret, rollout) = (outside.join("secret"), outside.join("step-000009.parquet"));
    fs::write(&secret, "secret").unwrap();
    fs::write(&rollout, "rollout").unwrap();
    for name in [
        ".lock",
        "recipe.toml",
        "metrics.jsonl",
        "summary.json",
        "eval/rl.jsonl",
    ] {
        let path = folder
            .path()
            .join(format!("run-{}", name.replace('/', "-")));
        fs::create_dir_all(path.join("eval")).unwrap();
        write_atomic(&path.join("recipe.toml"), b"").unwrap();
        let _ = fs::remove_file(path.join(name));
        symlink(&secret, path.join(name)).unwrap();
        for opened in [
            RunDir::open(&path),
            RunDir::resume(&path),
            RunDir::create(&path),
            RunDir::replace(&path),
        ] {
            let message = opened.unwrap_err().to_string();
            assert!(message.contains("symbolic link"), "{name}: {message}");
        }
    }
    let path = folder.path().join("rollouts");
    fs::create_dir(&path).unwrap();
    write_atomic(&path.join("recipe.toml"), b"").unwrap();
    symlink(&outside, path.join("rollouts")).unwrap();
    assert!(matches!(RunDir::resume(&path), Err(Error::Link { .. })));
    assert!(rollout.exists());
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    // The folder itself may be one.
    let run = folder.path().join("real");
    write_atomic(&run.join("recipe.toml"), b"").unwrap();
    symlink(&run, folder.path().join("latest")).unwrap();
    assert!(RunDir::resume(&folder.path().join("latest")).is_ok());
}

#[test]
fn an_existing_run_is_not_overwritten_but_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/a");
    let run = RunDir::create(&path).unwrap();
    write_atomic(&run.recipe(), b"").unwrap();
    assert!(matches!(RunDir::resume(&path), Err(Error::Locked { .. })));
    drop(run);
    let message = RunDir::create(&path).unwrap_err().to_string();
    assert!(
        message.contains("already holds a run") && message.contains("--resume"),
        "{message}"
    );
    assert_eq!(RunDir::resume(&path).unwrap().name(), "a");
}

#[test]
fn a_run_is_replaced_as_a_whole_unless_it_is_none_or_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let run = RunDir::replace(&path).unwrap();
    write_atomic(&run.recipe(), b"").unwrap();
    checkpoint(&run, 3);
    assert!(matches!(RunDir::replace(&path), Err(Error::Locked { .. })));
    drop(run);
    let run = RunDir::replace(&path).unwrap();
    assert_eq!((steps(&run), run.recipe().exists()), (vec![], false));
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    assert!(RunDir::replace(folder.path()).is_err());
    assert!(folder.path().join("thesis.tex").exists());
}

#[test]
fn a_run_killed_before_its_first_file_can_be_made_again_but_foreign_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    drop(RunDir::create(folder.path()).unwrap());
    drop(RunDir::create(folder.path()).unwrap());
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let message = RunDir::create(folder.path()).unwrap_err().to_string();
    assert!(message.contains("thesis.tex"), "{message}");
    let message = RunDir::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("not a run folder"), "{message}");
}

#[test]
fn only_complete_checkpoints_count_and_they_sort_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    assert_eq!(run.latest_checkpoint().unwrap(), None);
    for step in [1_000_000, 20, 3] {
        checkpoint(&run, step);
    }
    fs::create_dir_all(run.checkpoint_of(2_000_000)).unwrap();
    checkpoint(
        &RunDir {
            path: folder.path().join("checkpoints/.step-000009.tmp-1-1"),
            _lock: None,
        },
        9,
    );
    assert_eq!(steps(&run), [3, 20, 1_000_000]);
    run.prune(2).unwrap();
    assert_eq!(steps(&run), [20, 1_000_000]);
    run.prune(0).unwrap();
    assert_eq!(steps(&run), [1_000_000]);
}

#[test]
fn resuming_cleans_what_a_kill_left_and_discards_later_steps() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    write_atomic(&run.recipe(), b"").unwrap();
    for step in [10, 20] {
        checkpoint(&run, step);
        write_atomic(&run.rollouts_of(step), b"").unwrap();
        write_atomic(&run.pairs_of(step), b"").unwrap();
    }
    let left = files::temporary_path(&run.checkpoint_of(30));
    fs::create_dir(&left).unwrap();
    fs::write(files::temporary_path(&run.report()), "<html").unwrap();
    fs::write(files::temporary_path(&run.pairs_of(30)), "PAR1").unwrap();
    let state = run.checkpoint_of(20).join("percept/state.json");
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(files::temporary_path(&state), "{").unwrap();
    fs::write(
        files::temporary_path(&run.evaluations().join("rl.jsonl")),
        "{",
    )
    .unwrap();
    assert_eq!(run.rollout_steps().unwrap(), [10, 20]);
    drop(run);
    let run = RunDir::resume(folder.path()).unwrap();
    assert!(!left.exists());
    assert!(files::list_dir(&run.evaluations()).unwrap().is_empty());
    let state = files::list_dir(state.parent().unwrap()).unwrap();
    assert!(!state.iter().any(|name| name.contains("tmp")));
    assert!(
        !files::list_dir(folder.path())
            .unwrap()
            .iter()
            .any(|name| name.contains("tmp"))
    );
    assert!(files::list_dir(&run.pairs()).unwrap().len() == 2);
    run.discard_after(10).unwrap();
    assert_eq!(run.pair_steps().unwrap(), [10]);
    assert_eq!(
        (run.rollout_steps().unwrap(), steps(&run)),
        (vec![10], vec![10])
    );
}
