//! Finding and running `ffmpeg` and `ffprobe`.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use percept_base::Family;

use crate::Error;

/// The environment variable that names the program.
const VARIABLE: &str = "PERCEPT_FFMPEG";

/// Listing the frames of ten hours of film takes seconds; a listing that takes longer than this hangs.
const PROBE_DEADLINE: Duration = Duration::from_secs(300);

/// What `ffprobe` may say: frames of ten hours.
const MAX_ANSWER: u64 = 256 << 20;

/// Containers that are read. Playlists are not among them: they name other files, which whoever made them may not see.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf,obu,av1,\
                       nut,mxf,dv,rm,m4v,yuv4mpegpipe,apng,avif,wtv,swf,mjpeg";

/// The two programs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) ffmpeg: PathBuf,
    pub(super) ffprobe: PathBuf,
}

impl Programs {
    /// Finds both; `reason` says why they are needed.
    pub(super) fn find(given: Option<&Path>, reason: &str) -> Result<Self, Error> {
        let named = given
            .map(Path::to_owned)
            .or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let missing = |what: String| {
            Error::media(format!("reading {reason} needs the program ffmpeg: {what}")).help(format!(
                "install it (Debian, Ubuntu: apt install ffmpeg), or name it: {VARIABLE}=/path/to/ffmpeg; or convert the \
                 file elsewhere to MP4 with H.264"
            ))
        };
        let ffmpeg = match named {
            Some(path) if path.is_file() => path,
            Some(path) => {
                return Err(missing(format!("{} is no program", path.display())));
            }
            None => in_path("ffmpeg").ok_or_else(|| missing("it is not installed".into()))?,
        };
        let ffprobe = ffmpeg.with_file_name("ffprobe");
        let ffprobe = match ffprobe.is_file() {
            true => ffprobe,
            false => in_path("ffprobe").ok_or_else(|| {
                missing(format!(
                    "ffprobe, which belongs to it, is neither beside {} nor in PATH",
                    ffmpeg.display()
                ))
            })?,
        };
        Ok(Self { ffmpeg, ffprobe })
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Options that belong before the name of the file to be read: no network, no playlists.
pub(super) fn input(path: &Path) -> [OsString; 6] {
    let mut file = OsString::from("file:");
    file.push(path);
    [
        "-protocol_whitelist".into(),
        "file".into(),
        "-format_whitelist".into(),
        FORMATS.into(),
        "-i".into(),
        file,
    ]
}

/// What a program says on its two outputs.
pub(super) struct Said {
    pub(super) out: Vec<u8>,
    pub(super) errors: String,
    pub(super) well: bool,
}

/// Runs a program to its end.
pub(super) fn answer(command: &mut Command) -> Result<Said, Error> {
    let name = Path::new(command.get_program()).display().to_string();
    let mut family = Family::spawn(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
    .map_err(|e| Error::media(format!("{name} cannot be started: {e}")))?;
    let (sender, receiver) = mpsc::channel();
    let out = family.child().stdout.take();
    let errors = family.child().stderr.take();
    let read = |pipe: Option<Box<dyn Read + Send>>, first: bool| {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                // What breaks off here is refused below, as an answer that is none.
                let _ = pipe.take(MAX_ANSWER).read_to_end(&mut bytes);
            }
            let _ = sender.send((first, bytes));
        });
    };
    read(out.map(|pipe| Box::new(pipe) as _), true);
    read(errors.map(|pipe| Box::new(pipe) as _), false);
    let mut said = Said {
        out: Vec::new(),
        errors: String::new(),
        well: false,
    };
    for _ in 0..2 {
        match receiver.recv_timeout(PROBE_DEADLINE) {
            Ok((true, bytes)) => said.out = bytes,
            Ok((false, bytes)) => said.errors = String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => {
                family.kill();
                return Err(Error::media(format!(
                    "{name} did not end within {} s",
                    PROBE_DEADLINE.as_secs()
                )));
            }
        }
    }
    let ended = family.wait(Duration::from_secs(10));
    said.well = ended.is_some_and(|status| status.success());
    Ok(said)
}

/// The line of a program's complaints that says most: the last.
pub(super) fn complaint(errors: &str) -> &str {
    errors
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no message")
        .trim()
}
