//! The sample table of a track (`stbl`): where each coded picture lies, and when it is shown.

use super::boxes::Boxes;
use crate::Error;
use crate::video::bytes::Bytes;

/// A video may have this many coded pictures: nine and a half hours at 30 a second.
pub(super) const MAX_SAMPLES: usize = 1 << 20;

/// A coded picture of this size is a damaged one: an intra picture of 36 864 macroblocks without any compression has 14 MB.
pub(super) const MAX_SAMPLE_BYTES: u32 = 32 << 20;

/// One coded picture. Times count the track's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) offset: u64,
    pub(super) size: u32,
    /// When it is shown.
    pub(super) shown: i64,
    pub(super) duration: u32,
    /// Whether decoding may begin here.
    pub(super) sync: bool,
}

pub(super) fn too_many(count: impl std::fmt::Display) -> Error {
    Error::media("video has too many frames")
        .found(count)
        .expected(format!("at most {MAX_SAMPLES}"))
        .help("cut it into shorter clips")
}

fn cut_short(name: &str) -> Error {
    Error::media(format!(
        "the index of the video is damaged: its {name} table ends too early"
    ))
    .help("fetch or export the file again")
}

/// The samples of a `stbl` box, in the order of decoding; none where a fragmented file keeps them elsewhere.
pub(super) fn read(stbl: &[u8]) -> Result<Vec<Sample>, Error> {
    let sizes = sizes(stbl)?;
    let offsets = offsets(stbl, &sizes)?;
    let durations = durations(stbl, sizes.len())?;
    let shifts = shifts(stbl, sizes.len())?;
    let sync = sync(stbl, sizes.len())?;
    let mut samples = Vec::with_capacity(offsets.len());
    let mut decoded: i64 = 0;
    for (at, &offset) in offsets.iter().enumerate() {
        let shift = shifts.get(at).copied().unwrap_or(0);
        samples.push(Sample {
            offset,
            size: sizes[at],
            shown: decoded.saturating_add(shift),
            duration: durations[at],
            sync: sync.as_ref().is_none_or(|sync| sync[at]),
        });
        decoded = decoded.saturating_add(i64::from(durations[at]));
    }
    Ok(samples)
}

/// A full box behind its version and flags, and the version.
fn table<'a>(stbl: &'a [u8], kind: &[u8; 4]) -> Option<(u8, Bytes<'a>)> {
    let mut bytes = Bytes::new(Boxes::first(stbl, kind)?);
    let version = bytes.u8()?;
    bytes.take(3)?;
    Some((version, bytes))
}

fn sizes(stbl: &[u8]) -> Result<Vec<u32>, Error> {
    let Some((_, mut bytes)) = table(stbl, b"stsz") else {
        return compact_sizes(stbl);
    };
    let cut = || cut_short("stsz");
    let common = bytes.u32().ok_or_else(cut)?;
    let count = bytes.u32().ok_or_else(cut)? as usize;
    if count > MAX_SAMPLES {
        return Err(too_many(count));
    }
    if common > 0 {
        return Ok(vec![common; count]);
    }
    (0..count).map(|_| bytes.u32().ok_or_else(cut)).collect()
}

/// `stz2`: sizes of 4, 8 or 16 bits.
fn compact_sizes(stbl: &[u8]) -> Result<Vec<u32>, Error> {
    let Some((_, mut bytes)) = table(stbl, b"stz2") else {
        return Ok(Vec::new());
    };
    let cut = || cut_short("stz2");
    let bits = bytes.u32().ok_or_else(cut)? & 0xff;
    let count = bytes.u32().ok_or_else(cut)? as usize;
    if count > MAX_SAMPLES {
        return Err(too_many(count));
    }
    let mut sizes = Vec::with_capacity(count);
    while sizes.len() < count {
        match bits {
            16 => sizes.push(bytes.u16().ok_or_else(cut)?.into()),
            8 => sizes.push(bytes.u8().ok_or_else(cut)?.into()),
            4 => {
                let two = bytes.u8().ok_or_else(cut)?;
                sizes.extend([u32::from(two >> 4), u32::from(two & 15)]);
            }
            _ => return Err(cut()),
        }
    }
    sizes.truncate(count);
    Ok(sizes)
}

/// Where each sample begins: chunks lie anywhere, the samples of a chunk one behind the other.
fn offsets(stbl: &[u8], sizes: &[u32]) -> Result<Vec<u64>, Error> {
    let mut offsets = Vec::with_capacity(sizes.len());
    if sizes.is_empty() {
        return Ok(offsets);
    }
    let cut = || cut_short("chunk");
    let (wide, mut chunks) = match table(stbl, b"co64") {
        Some((_, bytes)) => (true, bytes),
        None => (false, table(stbl, b"stco").ok_or_else(cut)?.1),
    };
    let chunk_count = chunks.u32().ok_or_else(cut)?;
    let (_, mut runs) = table(stbl, b"stsc").ok_or_else(cut)?;
    let run_count = runs.u32().ok_or_else(cut)?;
    // Of a run: its first chunk (from 1) and how many samples each of its chunks has.
    let mut run = || {
        let first = runs.u32()?;
        let samples = runs.u32()?;
        runs.u32()?;
        Some((first, samples))
    };
    let mut samples_per_chunk = 0;
    let mut left = run_count;
    let mut next = None;
    for chunk in 1..=chunk_count {
        loop {
            if next.is_none() && left > 0 {
                next = Some(run().ok_or_else(cut)?);
                left -= 1;
            }
            match next {
                Some((first, samples)) if first <= chunk => {
                    samples_per_chunk = samples;
                    next = None;
                }
                _ => break,
            }
        }
        let mut at = match wide {
            true => chunks.u64(),
            false => chunks.u32().map(u64::from),
        }
        .ok_or_else(cut)?;
        for _ in 0..samples_per_chunk {
            let Some(&size) = sizes.get(offsets.len()) else {
                return Ok(offsets);
            };
            offsets.push(at);
            at = at.checked_add(size.into()).ok_or_else(cut)?;
        }
    }
    match offsets.len() == sizes.len() {
        true => Ok(offsets),
        false => Err(cut()),
    }
}

/// Values of a table of runs (`count`, `value`), one for each sample.
fn expand<T: Copy>(
    mut bytes: Bytes<'_>,
    name: &str,
    count: usize,
    value: impl Fn(&mut Bytes<'_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let cut = || cut_short(name);
    let runs = bytes.u32().ok_or_else(cut)?;
    let mut values = Vec::with_capacity(count);
    for _ in 0..runs {
        if values.len() == count {
            break;
        }
        let length = bytes.u32().ok_or_else(cut)? as usize;
        let one = value(&mut bytes).ok_or_else(cut)?;
        let length = length.min(count - values.len());
        values.extend(std::iter::repeat_n(one, length));
    }
    Ok(values)
}

fn durations(stbl: &[u8], count: usize) -> Result<Vec<u32>, Error> {
    let Some((_, bytes)) = table(stbl, b"stts") else {
        return match count {
            0 => Ok(Vec::new()),
            _ => Err(cut_short("stts")),
        };
    };
    let mut durations = expand(bytes, "stts", count, |b| b.u32())?;
    // Some writers leave the last ones out: they last as long as the one before.
    let last = durations.last().copied().unwrap_or(0);
    durations.resize(count, last);
    Ok(durations)
}

/// How much later than it is decoded each sample is shown; QuickTime writes negative ones in version 0 too.
fn shifts(stbl: &[u8], count: usize) -> Result<Vec<i64>, Error> {
    match table(stbl, b"ctts") {
        Some((_, bytes)) => expand(bytes, "ctts", count, |b| b.i32().map(i64::from)),
        None => Ok(Vec::new()),
    }
}

/// Where decoding may begin; none where it may everywhere.
fn sync(stbl: &[u8], count: usize) -> Result<Option<Vec<bool>>, Error> {
    let Some((_, mut bytes)) = table(stbl, b"stss") else {
        return Ok(None);
    };
    let cut = || cut_short("stss");
    let mut sync = vec![false; count];
    for _ in 0..bytes.u32().ok_or_else(cut)? {
        let number = bytes.u32().ok_or_else(cut)? as usize;
        if let Some(one) = number.checked_sub(1).and_then(|at| sync.get_mut(at)) {
            *one = true;
        }
    }
    Ok(Some(sync))
}
