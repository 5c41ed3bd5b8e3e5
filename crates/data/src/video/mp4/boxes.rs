//! Boxes of an ISO base media file (ISO/IEC 14496-12): a size, a type, a body.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::Error;
use crate::video::bytes::Bytes;

/// The type of a box.
pub(super) type Kind = [u8; 4];

/// An index (`moov`, and each `moof`) may have this many bytes; that of ten hours of film has about 10 MB.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// A file may have this many boxes at its top: fragments of half a second for a week.
const MAX_TOP_BOXES: usize = 1 << 21;

/// The boxes of a body, one after the other; ends at the first that does not fit, as ffmpeg does.
#[derive(Clone)]
pub(super) struct Boxes<'a> {
    bytes: Bytes<'a>,
}

impl<'a> Boxes<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            bytes: Bytes::new(body),
        }
    }

    /// The first box of a kind.
    pub(super) fn first(body: &'a [u8], kind: &Kind) -> Option<&'a [u8]> {
        Self::new(body)
            .find(|(found, _)| found == kind)
            .map(|(_, body)| body)
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.bytes.u32()?;
        let kind = self.bytes.array()?;
        let body = match size {
            0 => self.bytes.rest().len(),
            1 => usize::try_from(self.bytes.u64()?.checked_sub(16)?).ok()?,
            size => (size as usize).checked_sub(8)?,
        };
        Some((kind, self.bytes.take(body)?))
    }
}

/// A box at the top of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopBox {
    pub(super) kind: Kind,
    /// Where its header begins.
    pub(super) start: u64,
    pub(super) body: u64,
    pub(super) end: u64,
}

/// The boxes at the top of a file of `length` bytes, and whether the last of them is cut off.
pub(super) fn top_boxes(file: &mut File, length: u64) -> Result<(Vec<TopBox>, bool), Error> {
    let mut boxes = Vec::new();
    let mut start = 0;
    while start + 8 <= length && boxes.len() < MAX_TOP_BOXES {
        let mut header = [0; 16];
        let available = (length - start).min(16) as usize;
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut header[..available]))
            .map_err(unread)?;
        let mut bytes = Bytes::new(&header[..available]);
        let (Some(size), Some(kind)) = (bytes.u32(), bytes.array()) else {
            break;
        };
        let (body, size) = match size {
            0 => (start + 8, length - start),
            1 => match bytes.u64() {
                Some(size) => (start + 16, size),
                None => return Ok((boxes, true)),
            },
            size => (start + 8, u64::from(size)),
        };
        let end = start.saturating_add(size);
        if end < body {
            // Nothing behind a box of no size can be found.
            return Ok((boxes, true));
        }
        boxes.push(TopBox {
            kind,
            start,
            body: body.min(length),
            end: end.min(length),
        });
        if end > length {
            return Ok((boxes, true));
        }
        start = end;
    }
    Ok((boxes, start < length))
}

/// The body of a box of the index.
pub(super) fn read_body(file: &mut File, one: &TopBox) -> Result<Vec<u8>, Error> {
    let size = one.end - one.body;
    if size > MAX_INDEX_BYTES {
        return Err(Error::media("the index of the video is too large")
            .found(format!("{size} bytes"))
            .expected(format!("at most {MAX_INDEX_BYTES}")));
    }
    let mut body = vec![0; size as usize];
    file.seek(SeekFrom::Start(one.body))
        .and_then(|_| file.read_exact(&mut body))
        .map_err(unread)?;
    Ok(body)
}

pub(super) fn unread(error: std::io::Error) -> Error {
    Error::media(format!("video file cannot be read: {error}"))
}
