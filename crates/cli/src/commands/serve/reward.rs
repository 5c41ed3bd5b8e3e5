//! `percept serve reward`

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use percept_http::service::Limits;
use percept_react::serve::{Config, RewardService};

use crate::shared::endpoint_args::seconds;
use crate::shared::judging::JudgingArgs;
use crate::shared::memory_args::size;
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// Judge clips over HTTP, for best-of-N and for trainers that ask a reward server: /score, verl's /reward, OpenRLHF's /get_reward
/// and /v1/chat/completions as UnifiedReward's clients ask it (docs/react.md has an example of each).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept serve reward --model runs/react --port 8000
  percept serve reward --model runs/react --port 8000 --videos /data/generated
  percept serve reward --endpoint URL --api-model NAME --port 8000")]
pub struct RewardArgs {
    /// Address to listen on. Who can reach it can ask; on a loopback address, pages of other machines are refused.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port; 0 takes a free one, which is said.
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Folder below which clients may name video files; without it, clips are sent in the request.
    #[arg(long, value_name = "DIR")]
    pub videos: Option<PathBuf>,
    /// Clips that wait or are being judged; further ones are answered 429 with Retry-After.
    #[arg(long, default_value = "256")]
    pub max_queue: NonZeroUsize,
    /// Largest request.
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub max_body_bytes: usize,
    /// All requests that wait together; what is more is answered 429.
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = size)]
    pub max_pending_bytes: usize,
    /// Connections at once; further ones wait to be accepted.
    #[arg(long, default_value = "256")]
    pub max_connections: NonZeroUsize,
    /// Seconds until a request must have arrived.
    #[arg(long, default_value_t = 60.0)]
    pub body_timeout: f64,
    /// Seconds until a client must have taken its answer; an idle connection is kept so long.
    #[arg(long, default_value_t = 30.0)]
    pub answer_timeout: f64,
    /// Score of a clip that cannot be judged, where the client's form has no place for errors (default: the request fails).
    #[arg(long, value_name = "SCORE")]
    pub fallback_score: Option<f64>,
    /// How clips are judged.
    #[command(flatten)]
    pub judging: JudgingArgs,
}

pub fn run(args: &RewardArgs, global: &Global) -> Result<Done, Failure> {
    if let Some(folder) = args.videos.as_ref().filter(|folder| !folder.is_dir()) {
        let folder = folder.display();
        return Err(Failure::new(format!("--videos {folder}: no such folder")));
    }
    let config = Config {
        limits: Limits {
            connections: args.max_connections.get(),
            body_bytes: args.max_body_bytes,
            pending_bytes: args.max_pending_bytes.max(args.max_body_bytes),
            body_timeout: seconds("--body-timeout", args.body_timeout)?,
            answer_timeout: seconds("--answer-timeout", args.answer_timeout)?,
            ..Limits::default()
        },
        max_queue: args.max_queue.get(),
        batch: args.judging.batch_clips.max(1),
        videos: args.videos.clone(),
        fallback: args.fallback_score,
    };
    let address = SocketAddr::new(args.host, args.port);
    args.judging.with_model(|model, options| {
        let service = RewardService::bind(address, config)
            .map_err(|e| Failure::new(format!("cannot listen at {address}: {e}")))?;
        let stop = stop_on_signal()?;
        if !global.quiet {
            note!(
                "serving at http://{} (Ctrl-C ends it, after what was accepted is answered)",
                service.address()
            );
        }
        service.run(model, options, &stop)?;
        Ok(Done::Well)
    })
}

/// Set by Ctrl-C, SIGTERM and SIGHUP; a second one ends the process at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        note!("stopping: what was accepted is answered first");
    })?;
    Ok(stop)
}
