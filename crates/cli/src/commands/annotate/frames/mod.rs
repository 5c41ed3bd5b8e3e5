//! `percept annotate frames`.

mod args;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_annotate::{ClipSource, Project, Server, Store, Times};

use crate::shared::output::{note, say};
use crate::shared::progress::Counter;
use crate::shared::{Done, Failure, Global};
pub use args::AnnotateFrames;

pub fn run(args: &AnnotateFrames, global: &Global) -> Result<Done, Failure> {
    let overlap = args.overlap.overlap()?;
    let address = args.serve.as_deref().map(address).transpose()?;
    let project = project(args, global)?;
    let (pairs, out) = (project.pairs().len(), args.out.display());
    let Some(address) = address else {
        say!(
            "{}",
            serde_json::json!({"out": out.to_string(), "pairs": pairs})
        );
        return Ok(Done::Well);
    };
    let server = Server::bind(Store::open(project, overlap)?, address)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
    if !address.ip().is_loopback() {
        note!(
            "whoever can reach {address} can read the frames and annotate: this is no place for the open internet"
        );
    }
    note!(
        "{pairs} frame pairs of {out} at {} (Ctrl-C ends it)",
        server.url()
    );
    server.run(&stop)?;
    Ok(Done::Well)
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        Failure::new(format!(
            "--serve {text}: expected an address and a port, for example 127.0.0.1:7861"
        ))
    })
}

fn project(args: &AnnotateFrames, global: &Global) -> Result<Project, Failure> {
    let Some(videos) = &args.videos else {
        return Ok(Project::open(&args.out)?);
    };
    if args.frames == 0 {
        return Err(Failure::new("--frames is 0; expected 1 or more"));
    }
    let source = ClipSource {
        path: videos.clone(),
        every_two: args.every_two,
        skip_missing: args.skip_missing,
        seed: args.seed,
    };
    let clips = source.find()?;
    if !global.quiet {
        for left_out in &clips.skipped {
            note!("left out: {left_out}");
        }
    }
    let times = match args.at.is_empty() {
        true => Times::Even(args.frames),
        false => Times::At(args.at.clone()),
    };
    let mut counter = Counter::new("", global.quiet || global.json);
    let mut tell = |done, total| counter.tell(done, total, "pairs of clips cut");
    Ok(Project::cut(&args.out, &clips.pairs, &times, &mut tell)?)
}
