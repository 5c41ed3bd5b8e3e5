//! Programs that spin, fork and leave end with their family (M3).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use percept_base::Family;

/// Processes in all but name dead: gone, or waiting for their parent to look.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The numbers that the program wrote, once there are so many.
fn pids(file: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if found.len() >= count && text.ends_with('\n') {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn all_end(pids: &[String]) {
    let start = Instant::now();
    while pids.iter().any(|pid| is_running(pid)) {
        assert!(start.elapsed() < Duration::from_secs(10), "still running");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Spins, with a child in its group, one in a session of its own, and one whose parent is gone.
const BAD: &str = r#"
(while :; do :; done) & echo $! >> pids
setsid sh -c 'echo $$ >> pids; exec sleep 300' &
(setsid sh -c 'echo $$ >> pids; exec sleep 300' &)
echo $$ >> pids
while :; do :; done
"#;

#[test]
fn what_a_program_started_ends_with_it_also_in_sessions_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", BAD]).current_dir(&folder);
    let family = Family::spawn(&mut command).unwrap();
    let found = pids(&folder.path().join("pids"), 4);
    assert!(found.iter().all(|pid| is_running(pid)));
    drop(family);
    all_end(&found);
}

/// Run by the next test as a process of its own, which is killed.
#[test]
#[ignore = "is the victim of the next test"]
fn victim() {
    let mut command = Command::new("sh");
    command.args(["-c", BAD]);
    let _family = Family::spawn(&mut command).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_program_ends_when_we_are_killed_in_any_way() {
    for signal in ["-KILL", "-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["victim", "--exact", "--ignored"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let found = pids(&folder.path().join("pids"), 4);
        let id = victim.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        victim.wait().unwrap();
        all_end(&found);
    }
}

#[test]
fn a_hundred_families_leave_no_descriptor_and_no_thread() {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let run = || {
        let mut command = Command::new("sh");
        command
            .args(["-c", "setsid sleep 300 & exec sleep 300"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        drop(Family::spawn(&mut command).unwrap());
    };
    run();
    let before = count("fd");
    for _ in 0..100 {
        run();
    }
    // Other tests of this file open a few meanwhile.
    assert!(count("fd") < before + 20, "{before}, then {}", count("fd"));
}
