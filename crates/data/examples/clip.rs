//! Decodes a clip and says how long that took: `clip FILE [--raw OUT] [--at SECONDS]…`.
//!
//! A line of JSON for each frame, the last one for the whole: frames, seconds, the most memory that was used, the error that
//! ended it. `--raw` writes the pixels of the frames one behind the other. `tools/video_reference.py` compares them with
//! PyAV's.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

use percept_data::{Clip, Error, Frame};

struct Args {
    file: String,
    raw: Option<String>,
    at: Vec<f64>,
}

fn args() -> Option<Args> {
    let mut given = std::env::args().skip(1);
    let mut args = Args {
        file: given.next()?,
        raw: None,
        at: Vec::new(),
    };
    while let Some(option) = given.next() {
        match option.as_str() {
            "--raw" => args.raw = Some(given.next()?),
            "--at" => args.at.push(given.next()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(args)
}

/// The most memory that this process held, in MiB.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

fn decode(args: &Args, take: &mut dyn FnMut(Frame) -> std::io::Result<()>) -> Result<(), Error> {
    let clip = Clip::open(&args.file)?;
    let info = clip.info();
    println!(
        "{}",
        serde_json::json!({
            "width": info.width, "height": info.height, "duration_s": info.duration_s, "codec": info.codec,
            "frames": info.frame_times.len(), "pixel_aspect": [info.pixel_aspect.0, info.pixel_aspect.1],
            "rotation": info.rotation, "decoder": info.decoder,
        })
    );
    let unwritten = |e: std::io::Error| Error::media(format!("frames cannot be written: {e}"));
    if args.at.is_empty() {
        for frame in clip.frames() {
            take(frame?).map_err(unwritten)?;
        }
    } else {
        for frame in clip.frames_at(&args.at)? {
            take(frame).map_err(unwritten)?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(args) = args() else {
        eprintln!("usage: clip FILE [--raw OUT] [--at SECONDS]…");
        return ExitCode::from(2);
    };
    let mut raw = match &args.raw {
        Some(path) => match File::create(path) {
            Ok(file) => Some(BufWriter::new(file)),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::from(2);
            }
        },
        None => None,
    };
    let start = Instant::now();
    let mut count = 0;
    let result = decode(&args, &mut |frame| {
        count += 1;
        if let Some(raw) = &mut raw {
            let (width, height) = frame.image.dimensions();
            println!(
                "{}",
                serde_json::json!({"time_s": frame.time_s, "size": [width, height]})
            );
            raw.write_all(frame.image.as_raw())?;
        }
        Ok(())
    });
    let error = result.err().map(|e| e.to_string());
    let flushed = raw.map_or(Ok(()), |mut raw| raw.flush());
    println!(
        "{}",
        serde_json::json!({
            "decoded": count, "seconds": start.elapsed().as_secs_f64(), "peak_mib": peak_mib(), "error": error,
            "written": flushed.is_ok(),
        })
    );
    ExitCode::SUCCESS
}
