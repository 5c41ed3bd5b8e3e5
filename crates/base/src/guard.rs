//! Killing by mark, and the shell that does it when we can no longer.

use std::fs;
use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::mark::{MARK, prefix};

/// Rounds of looking for marked processes: one that forks while we look is found in the next.
const ROUNDS: u64 = 30;

/// Reads `+ GROUP` and `- GROUP` until our death closes its input, then kills the groups that are left, and on
/// Linux every process with our mark. `$1` is what the marks of this process begin with.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
all=' '
while read -r sign group; do
  case $sign in
    +) all="$all$group " ;;
    -) case $all in *" $group "*) all="${all%% $group *} ${all#* $group }" ;; esac ;;
  esac
done
for group in $all; do kill -s KILL -- "-$group"; done
for round in 1 2 3 4 5; do
  found=
  for file in /proc/[0-9]*/environ; do
    if grep -q "PERCEPT_FAMILY=$1-" "$file"; then
      id=${file#/proc/}
      kill -s KILL "${id%/environ}"
      found=1
    fi
  done
  [ "$found" ] || exit 0
done
"#;

/// The shell's input; none where there is no shell, and then only a kill that we live to do is done.
fn guard() -> Option<&'static Mutex<ChildStdin>> {
    static GUARD: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();
    GUARD
        .get_or_init(|| {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", SCRIPT, "percept-guard", prefix()])
                .env_remove(MARK)
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // Ctrl-C goes to the group of the terminal, to which the shell must not belong.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut child = command.spawn().ok()?;
            child.stdin.take().map(Mutex::new)
        })
        .as_ref()
}

/// Starts the shell before the first program.
pub(crate) fn ready() {
    guard();
}

pub(crate) fn add(group: u32) {
    tell('+', group);
}

pub(crate) fn remove(group: u32) {
    tell('-', group);
}

fn tell(sign: char, group: u32) {
    if let Some(guard) = guard() {
        let mut input = guard.lock().unwrap_or_else(PoisonError::into_inner);
        // A shell that is gone guards nothing; nothing can be done about it.
        let _ = input.write_all(format!("{sign} {group}\n").as_bytes());
    }
}

/// Kills every process whose environment carries this mark.
pub(crate) fn kill_marked(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    for round in 0..ROUNDS {
        let found = marked(&wanted);
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(round.min(10)));
    }
}

/// Processes of ours with this variable in their environment; none where there is no `/proc`. The environment of a
/// process that has ended is empty.
fn marked(wanted: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let marked = environment
                .split(|&byte| byte == 0)
                .any(|variable| variable == wanted.as_bytes());
            if marked { Pid::from_raw(pid) } else { None }
        })
        .collect()
}
