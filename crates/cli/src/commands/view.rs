//! `percept view`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use percept_report::{RunDir, Server};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global};

/// Write or serve the report of a run.
#[derive(Debug, Args)]
pub struct View {
    /// Run folder.
    pub run: PathBuf,
    /// Serve the report with all rollouts at this address instead of writing report.html.
    #[arg(long, num_args = 0..=1, default_missing_value = "127.0.0.1:7860", value_name = "ADDRESS")]
    pub serve: Option<String>,
}

pub fn run(args: &View, _: &Global) -> Result<Done, Failure> {
    let dir = RunDir::open(&args.run)?;
    let Some(address) = &args.serve else {
        say!("{}", percept_report::write_report(&dir)?.display());
        return Ok(Done::Well);
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        Failure::new(format!(
            "--serve {address}: expected an address and a port, for example 127.0.0.1:7860"
        ))
    })?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
    let shown = dir.path().display().to_string();
    let server = Server::bind(dir, address)?;
    note!("serving {shown} at {} (Ctrl-C ends it)", server.url());
    server.run(&stop)?;
    Ok(Done::Well)
}
