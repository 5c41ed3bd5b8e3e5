//! Samples of fragments (`moof`), as streaming servers and browsers' recorders write them.

use super::boxes::Boxes;
use super::movie::{Defaults, Track};
use super::samples::{MAX_SAMPLES, Sample, too_many};
use crate::Error;
use crate::video::bytes::Bytes;

/// Flag of a sample that needs others to be decoded.
const NOT_SYNC: u32 = 0x1_0000;

/// Appends the samples that a `moof` box which begins at `start` has of the track. What is cut off or damaged is left out.
pub(super) fn read(moof: &[u8], start: u64, track: &mut Track) -> Result<(), Error> {
    for (kind, traf) in Boxes::new(moof) {
        if &kind == b"traf" {
            track_fragment(traf, start, track)?;
        }
    }
    Ok(())
}

fn track_fragment(traf: &[u8], start: u64, track: &mut Track) -> Result<(), Error> {
    let header = Boxes::first(traf, b"tfhd").and_then(|body| header(body, start, track));
    let Some((base, defaults)) = header else {
        return Ok(());
    };
    let begun = Boxes::first(traf, b"tfdt").and_then(|body| {
        let mut bytes = Bytes::new(body);
        let version = bytes.u8()?;
        bytes.take(3)?;
        match version {
            1 => i64::try_from(bytes.u64()?).ok(),
            _ => bytes.u32().map(i64::from),
        }
    });
    // Without a time of its own a fragment goes on where the last one ended.
    let last = track.samples.last();
    let mut clock = Clock {
        decoded: begun.unwrap_or_else(|| last.map_or(0, |s| s.shown + i64::from(s.duration))),
        place: base,
    };
    for (kind, body) in Boxes::new(traf) {
        if &kind == b"trun" {
            run(body, base, &defaults, &mut clock, &mut track.samples)?;
        }
    }
    Ok(())
}

/// When the next sample is decoded, and where it lies.
struct Clock {
    decoded: i64,
    place: u64,
}

/// Where the fragment's data are counted from, and what its samples have by default; none when it is of another track.
fn header(body: &[u8], start: u64, track: &Track) -> Option<(u64, Defaults)> {
    let mut bytes = Bytes::new(body);
    let flags = bytes.u32()? & 0xff_ffff;
    if bytes.u32()? != track.id {
        return None;
    }
    let base = match flags & 1 {
        1 => bytes.u64()?,
        _ => start,
    };
    if flags & 2 != 0 {
        bytes.u32()?;
    }
    let mut defaults = track.defaults;
    for (flag, value) in [
        (8, &mut defaults.duration),
        (0x10, &mut defaults.size),
        (0x20, &mut defaults.flags),
    ] {
        if flags & flag != 0 {
            *value = bytes.u32()?;
        }
    }
    Some((base, defaults))
}

fn run(
    body: &[u8],
    base: u64,
    defaults: &Defaults,
    clock: &mut Clock,
    samples: &mut Vec<Sample>,
) -> Result<(), Error> {
    let mut bytes = Bytes::new(body);
    let (Some(flags), Some(count)) = (bytes.u32(), bytes.u32()) else {
        return Ok(());
    };
    let mut first_flags = None;
    let mut starts = || {
        if flags & 1 != 0 {
            clock.place = base.checked_add_signed(bytes.i32()?.into())?;
        }
        if flags & 4 != 0 {
            first_flags = Some(bytes.u32()?);
        }
        Some(())
    };
    if starts().is_none() {
        return Ok(());
    }
    for _ in 0..count {
        if samples.len() >= MAX_SAMPLES {
            return Err(too_many(format!("more than {MAX_SAMPLES}")));
        }
        let mut own = |flag: u32, default: u32| match flags & flag {
            0 => Some(default),
            _ => bytes.u32(),
        };
        let mut read = || {
            let duration = own(0x100, defaults.duration)?;
            let size = own(0x200, defaults.size)?;
            let marks = own(0x400, first_flags.take().unwrap_or(defaults.flags))?;
            // Negative in version 1; version 0 has none so large that reading it so would matter.
            let shift = own(0x800, 0)? as i32;
            Some((duration, size, marks, shift))
        };
        let Some((duration, size, marks, shift)) = read() else {
            return Ok(());
        };
        samples.push(Sample {
            offset: clock.place,
            size,
            shown: clock.decoded.saturating_add(shift.into()),
            duration,
            sync: marks & NOT_SYNC == 0,
        });
        let Some(place) = clock.place.checked_add(size.into()) else {
            return Ok(());
        };
        clock.place = place;
        clock.decoded = clock.decoded.saturating_add(duration.into());
    }
    Ok(())
}
