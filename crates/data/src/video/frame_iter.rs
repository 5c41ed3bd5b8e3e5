//! Frames one after the other, decoded ahead by a thread that waits for whoever takes them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::Error;
use crate::video::info::Frame;
use crate::video::source::{Source, in_clip};

/// Frames that are decoded and not taken yet: enough that decoder and user do not wait for each other at every frame.
const AHEAD: usize = 3;

/// The frames of a clip in order of time; see [`Clip::frames`](crate::Clip::frames).
#[derive(Debug)]
pub struct Frames {
    receiver: Receiver<Result<Frame, Error>>,
}

impl Frames {
    pub(crate) fn start(path: PathBuf, source: Arc<dyn Source>, wanted: Vec<usize>) -> Self {
        let (sender, receiver) = sync_channel(AHEAD);
        let failed = sender.clone();
        let work = move || {
            // Dropping the iterator ends the work at the next frame.
            let mut sink =
                |_: usize, time_s, image| sender.send(Ok(Frame { time_s, image })).is_ok();
            if let Err(error) = source.decode(&wanted, &mut sink) {
                let _ = sender.send(Err(in_clip(&path, error)));
            }
        };
        if let Err(error) = thread::Builder::new().name("frames".into()).spawn(work) {
            let error = Error::media(format!("no thread for decoding: {error}"));
            let _ = failed.send(Err(error));
        }
        Self { receiver }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.receiver.recv().ok()
    }
}
