//! A program, and everything that it starts.
//!
//! A program that we start may start others, may put them into sessions of their own (`setsid`), and may spin for
//! ever. All of them end when their [`Family`] is dropped or killed, and when we die, also by `kill -9`:
//!
//! * The program leads a process group, which is killed as a whole.
//! * It carries a mark in its environment, which its children inherit. On Linux, processes with the mark are looked up
//!   in `/proc` and killed wherever they went; only one that cleans its environment escapes.
//! * A small shell waits on a pipe that our death closes, in whatever way we die, and then does both.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::mark::{MARK, prefix};

/// A running program with all that it started, killed when dropped.
#[derive(Debug)]
pub struct Family {
    child: Child,
    /// Value of [`MARK`].
    #[cfg(unix)]
    mark: String,
}

impl Family {
    /// Starts the program.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{count}", prefix());
        command.env(MARK, &mark);
        #[cfg(unix)]
        {
            std::os::unix::process::CommandExt::process_group(command, 0);
            crate::guard::ready();
        }
        let child = command.spawn()?;
        #[cfg(unix)]
        crate::guard::add(child.id());
        Ok(Self {
            child,
            #[cfg(unix)]
            mark,
        })
    }

    /// The program itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits at most so long for the program to end.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < end => thread::sleep(pause),
                _ => return None,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Kills the program and what it started.
    pub fn kill(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};
            // The group's number is its leader's, which stays taken until we have waited for it or the group is empty.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            crate::guard::kill_marked(&self.mark);
        }
        let _ = self.child.kill();
        // Reaps it; a process that the kernel cannot end now is left to it.
        self.wait(Duration::from_secs(1));
        #[cfg(unix)]
        crate::guard::remove(self.child.id());
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}
