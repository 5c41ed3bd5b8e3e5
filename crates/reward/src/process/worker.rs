//! One running subprocess with its three pipes, none of which can block us.
//!
//! The pipes are read and written by whoever waits for a reply, so that there is no thread to outlive the process and
//! no descriptor to outlive the [`Worker`].

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use percept_base::Family;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longest reply that is read; a verdict is a hundred bytes, one with a traceback a few thousand.
const MAX_LINE: usize = 64 * 1024;

/// Bytes kept from the end of standard error.
const STDERR_TAIL: usize = 2000;

/// Bytes kept of what it wrote to standard error and nobody has asked for.
const STDERR_NEW: usize = 8000;

/// What the process wrote, or why it wrote nothing.
#[derive(Debug, PartialEq)]
pub(super) enum Output {
    /// A line that is not blank.
    Line(String),
    /// More than [`MAX_LINE`] bytes without an end.
    TooLong,
    Closed,
    Deadline,
}

pub(super) struct Worker {
    family: Family,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// Requests that the process has not taken yet.
    to_write: VecDeque<u8>,
    /// What it wrote and we have not read as lines yet.
    read: VecDeque<u8>,
    log: VecDeque<u8>,
    new_log: VecDeque<u8>,
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
    /// Starts `command` in the folder `cwd` where one is given; what it starts ends with it.
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
        let mut family = Family::spawn(&mut command).map_err(|error| error.to_string())?;
        let child = family.child();
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let worker = Self {
            family,
            stdin,
            stdout,
            stderr,
            to_write: VecDeque::new(),
            read: VecDeque::new(),
            log: VecDeque::new(),
            new_log: VecDeque::new(),
        };
        worker.unblock().map_err(|error| error.to_string())?;
        Ok(worker)
    }

    fn unblock(&self) -> std::io::Result<()> {
        if let Some(pipe) = &self.stdin {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &self.stdout {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &self.stderr {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(())
    }

    /// Hands over text to be written; never blocks. A process that is gone is noticed by
    /// [`Worker::receive`].
    pub(super) fn send(&mut self, text: &str) {
        self.to_write.extend(text.as_bytes());
    }

    /// The next line that is not blank, not later than `deadline`.
    pub(super) fn receive(&mut self, deadline: Instant) -> Output {
        loop {
            while let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line = self.take(end + 1);
                if !line.is_empty() {
                    return Output::Line(line);
                }
            }
            if self.read.len() >= MAX_LINE {
                return Output::TooLong;
            }
            if self.stdout.is_none() {
                let rest = self.take(self.read.len());
                return match rest.is_empty() {
                    true => Output::Closed,
                    false => Output::Line(rest),
                };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Output::Deadline;
            }
            self.pump(left);
        }
    }

    /// So many bytes of what was read, as text.
    fn take(&mut self, bytes: usize) -> String {
        let line: Vec<u8> = self.read.drain(..bytes).collect();
        String::from_utf8_lossy(&line).trim().to_owned()
    }

    /// Waits until a pipe is ready, and moves what can be moved.
    fn pump(&mut self, limit: Duration) {
        let mut waiting = Vec::with_capacity(3);
        if let Some(pipe) = &self.stdout {
            waiting.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = &self.stderr {
            waiting.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = self.stdin.as_ref().filter(|_| !self.to_write.is_empty()) {
            waiting.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT));
        }
        let limit = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        // An interrupted wait is one that was short.
        let _ = poll(&mut waiting, Some(&limit));
        drop(waiting);
        self.write();
        fill(&mut self.stdout, &mut self.read, MAX_LINE);
        let mut log = VecDeque::new();
        fill(&mut self.stderr, &mut log, STDERR_NEW);
        for (kept, most) in [
            (&mut self.log, STDERR_TAIL),
            (&mut self.new_log, STDERR_NEW),
        ] {
            kept.extend(&log);
            kept.drain(..kept.len().saturating_sub(most));
        }
    }

    fn write(&mut self) {
        while !self.to_write.is_empty() {
            let Some(pipe) = &mut self.stdin else {
                return;
            };
            match pipe.write(self.to_write.as_slices().0) {
                Ok(written) => drop(self.to_write.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It reads no more; its output says why.
                Err(_) => {
                    self.stdin = None;
                    self.to_write.clear();
                }
            }
        }
    }

    /// Whether the process runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.family.child().try_wait(), Ok(None))
    }

    /// What it has written to standard error since the last call; its end, where that was much.
    pub(super) fn new_log(&mut self) -> String {
        self.pump(Duration::ZERO);
        let bytes: Vec<u8> = self.new_log.drain(..).collect();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    /// Ends the process and says how it ended and what it last wrote to standard error.
    pub(super) fn post_mortem(mut self) -> String {
        // A process that ends by itself is given a moment to say how.
        let end = Instant::now() + Duration::from_millis(200);
        let mut status = None;
        while status.is_none() && Instant::now() < end {
            self.pump(Duration::from_millis(2));
            status = self.family.wait(Duration::from_millis(2));
        }
        self.family.kill();
        // Ends: what the pipe holds is all there is, and no more is kept than its end.
        for _ in 0..64 {
            self.pump(Duration::ZERO);
        }
        let bytes: Vec<u8> = self.log.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        let ended = status.map_or_else(String::new, |status| format!("ended with {status}"));
        match (ended.is_empty(), text.is_empty()) {
            (_, true) => ended,
            (true, false) => format!("standard error: {text}"),
            (false, false) => format!("{ended}; standard error: {text}"),
        }
    }
}

/// Reads what a pipe holds, up to about `most` bytes; a pipe without a writer is closed.
fn fill(pipe: &mut Option<impl Read>, into: &mut VecDeque<u8>, most: usize) {
    let mut buffer = [0; 4096];
    while into.len() < most {
        let Some(open) = pipe else {
            return;
        };
        match open.read(&mut buffer) {
            Ok(0) => *pipe = None,
            Ok(read) => into.extend(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => *pipe = None,
        }
    }
}
