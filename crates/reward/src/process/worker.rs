//! One running subprocess with its three pipes, none of which can block us.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest reply that is read; a verdict is a hundred bytes.
const MAX_LINE: u64 = 64 * 1024;

/// Lines read ahead; the process blocks in its write when we do not keep up.
const LINES_AHEAD: usize = 64;

/// Bytes kept from the end of standard error.
const STDERR_TAIL: usize = 2000;

/// What the process wrote, or why it wrote nothing.
#[derive(Debug, PartialEq)]
pub(super) enum Output {
    Line(String),
    /// More than [`MAX_LINE`] bytes without an end.
    TooLong,
    Closed,
    Deadline,
}

pub(super) struct Worker {
    child: Child,
    requests: Sender<String>,
    output: Receiver<Output>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
}

/// The program in a folder; a relative path to it starts there too, not at ours.
fn in_folder(program: &OsString, folder: &Path) -> Result<Command, String> {
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    if !folder.is_dir() {
        return Err(format!("cwd: there is no folder {}", folder.display()));
    }
    let mut command = match Path::new(program).components().count() {
        // A bare name is looked up in PATH.
        0 | 1 if !program.to_string_lossy().contains('/') => Command::new(program),
        _ => Command::new(folder.join(program)),
    };
    command.current_dir(folder);
    Ok(command)
}

impl Worker {
    /// Starts `command` in a process group of its own, in the folder `cwd` where one is given.
    pub(super) fn start(command: &[OsString], cwd: Option<&Path>) -> Result<Self, String> {
        let Some((program, arguments)) = command.split_first() else {
            return Err("the command is empty".into());
        };
        let mut command = match cwd {
            None => Command::new(program),
            Some(folder) => in_folder(program, folder)?,
        };
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (requests, to_write) = channel::<String>();
        let (to_us, output) = sync_channel(LINES_AHEAD);
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        // The threads end when their pipe or channel does. They are never joined: a grandchild that
        // left the group may hold a pipe open for ever.
        if let Some(mut stdin) = child.stdin.take() {
            spawn(move || {
                for request in to_write {
                    let sent = stdin.write_all(request.as_bytes());
                    if sent.and_then(|()| stdin.flush()).is_err() {
                        return;
                    }
                }
            })?;
        }
        if let Some(stdout) = child.stdout.take() {
            spawn(move || read_lines(BufReader::new(stdout), &to_us))?;
        }
        if let Some(pipe) = child.stderr.take() {
            let tail = Arc::clone(&stderr);
            spawn(move || keep_tail(pipe, &tail))?;
        }
        Ok(Self {
            child,
            requests,
            output,
            stderr,
        })
    }

    /// Hands over text to be written; never blocks. A process that is gone is noticed by
    /// [`Worker::receive`].
    pub(super) fn send(&self, text: String) {
        let _ = self.requests.send(text);
    }

    /// The next line, not later than `deadline`.
    pub(super) fn receive(&self, deadline: Instant) -> Output {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(left) {
            Ok(output) => output,
            Err(RecvTimeoutError::Timeout) => Output::Deadline,
            Err(RecvTimeoutError::Disconnected) => Output::Closed,
        }
    }

    /// Whether the process runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process and says how it ended and what it last wrote to standard error.
    pub(super) fn post_mortem(mut self) -> String {
        // A process that ends by itself is given a moment to say how.
        let status = self.wait(Duration::from_millis(200));
        self.kill();
        thread::sleep(Duration::from_millis(5));
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        let ended = status.map_or_else(String::new, |status| format!("ended with {status}"));
        match (ended.is_empty(), text.is_empty()) {
            (_, true) => ended,
            (true, false) => format!("standard error: {text}"),
            (false, false) => format!("{ended}; standard error: {text}"),
        }
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    /// Kills the whole group.
    fn kill(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        // Reaps it; a process that the kernel cannot end now is left to it.
        self.wait(Duration::from_secs(1));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new()
        .name("percept-verifier".into())
        .spawn(work)
        .map(|_| ())
        .map_err(|error| format!("no thread: {error}"))
}

fn read_lines(mut pipe: impl BufRead, to_us: &SyncSender<Output>) {
    loop {
        let mut line = Vec::new();
        let read = pipe.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        let output = match read {
            Err(_) | Ok(0) => Output::Closed,
            Ok(_) if line.ends_with(b"\n") => {
                Output::Line(String::from_utf8_lossy(&line).trim().to_owned())
            }
            Ok(read) if read as u64 == MAX_LINE => Output::TooLong,
            Ok(_) => Output::Line(String::from_utf8_lossy(&line).trim().to_owned()),
        };
        let more = matches!(output, Output::Line(_));
        if to_us.send(output).is_err() || !more {
            return;
        }
    }
}

fn keep_tail(mut pipe: impl Read, tail: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(&buffer[..read]);
        let excess = tail.len().saturating_sub(STDERR_TAIL);
        tail.drain(..excess);
    }
}
