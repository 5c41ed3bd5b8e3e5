//! Images and videos as a data set stores them: encoded bytes are kept, pixels are made late.
//!
//! Cloning a [`Media`] copies a reference, never bytes. A `Media` remembers the row it came from,
//! so that a corrupt image found much later is still reported as `train.jsonl:118, images[0]`.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::media::decode;
use crate::media::frame_store::{FrameStore, MediaHash};
use crate::media::limits::MAX_ENCODED_BYTES;
use crate::media::named_file::NamedFile;

/// One image, not decoded yet.
#[derive(Debug, Clone)]
pub struct Media {
    source: Source,
    place: Option<Arc<Place>>,
    /// The file that a row named, where one did.
    pub(crate) named: Option<Arc<NamedFile>>,
}

#[derive(Debug, Clone)]
enum Source {
    Path(Arc<Path>),
    Bytes(Arc<[u8]>),
    Pixels(Arc<RgbImage>),
    Frame(Arc<dyn FrameStore>, usize),
}

#[derive(Debug)]
struct Place {
    file: PathBuf,
    row: usize,
    field: String,
}

impl Media {
    /// An image file, read when it is needed (and not before: it may be missing).
    pub fn from_path(path: impl AsRef<Path>) -> Self {
        Self::new(Source::Path(path.as_ref().into()))
    }

    /// Encoded bytes: PNG, JPEG, WebP, GIF, BMP or TIFF.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::new(Source::Bytes(bytes.into()))
    }

    /// Pixels that exist already, such as a rendered image; [`Media::encoded`] makes a PNG of them.
    pub fn from_image(image: impl Into<Arc<RgbImage>>) -> Self {
        Self::new(Source::Pixels(image.into()))
    }

    /// Base64 text or a `data:` URL.
    ///
    /// # Errors
    /// When the text is not base64.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let payload = match text.strip_prefix("data:") {
            Some(url) => match url.split_once(";base64,") {
                Some((_, payload)) => payload,
                None => {
                    return Err(Error::media("data URL is not base64")
                        .found(format!("\"{text}\""))
                        .expected("data:image/png;base64,…"));
                }
            },
            None => text,
        };
        match crate::media::base64::decode(payload) {
            Ok(bytes) => Ok(Self::from_bytes(bytes)),
            Err(e) => Err(Error::media("text is not base64").found(e)),
        }
    }

    /// Frame `index` of a video that all frames share.
    pub(crate) fn from_store(store: Arc<dyn FrameStore>, index: usize) -> Self {
        Self::new(Source::Frame(store, index))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            place: None,
            named: None,
        }
    }

    /// Remembers where this image came from, for errors.
    #[must_use]
    pub fn placed(mut self, file: impl AsRef<Path>, row: usize, field: impl Into<String>) -> Self {
        self.place = Some(Arc::new(Place {
            file: file.as_ref().to_owned(),
            row,
            field: field.into(),
        }));
        self
    }

    /// The path, when the image is a file of its own.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Source::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The encoded file; shared when it is in memory, read when it is a path, a fresh PNG when
    /// the image is made of pixels.
    ///
    /// # Errors
    /// When the file is missing, unreadable or larger than [`MAX_ENCODED_BYTES`].
    pub fn encoded(&self) -> Result<Arc<[u8]>, Error> {
        match &self.source {
            Source::Path(path) => read_file(path).map_err(|e| self.locate(e)),
            Source::Bytes(bytes) => Ok(bytes.clone()),
            Source::Pixels(image) => encode_png(image).map_err(|e| self.locate(e)),
            Source::Frame(..) => encode_png(&self.decode()?).map_err(|e| self.locate(e)),
        }
    }

    /// The pixels, as `PIL.Image.open(…).convert("RGB")` gives them: palettes are looked up,
    /// grayscale is repeated, 16-bit grayscale is clipped to 255 and 16-bit colour keeps its high
    /// byte, an animation gives its first frame. What is transparent shows white
    /// (`qwen_vl_utils.to_rgb`), and the EXIF orientation is applied (transformers' `load_image`,
    /// `datasets`).
    ///
    /// # Errors
    /// When the image is missing, truncated, corrupt, of another format, 0×0, or larger than
    /// [`MAX_PIXELS`](crate::MAX_PIXELS) (known from its header, before anything is decoded).
    pub fn decode(&self) -> Result<RgbImage, Error> {
        match &self.source {
            Source::Path(path) => read_file(path).and_then(|bytes| decode::rgb(&bytes)),
            Source::Bytes(bytes) => decode::rgb(bytes),
            Source::Pixels(image) => Ok(RgbImage::clone(image)),
            Source::Frame(store, index) => store.frame(*index),
        }
        .map_err(|e| self.locate(e))
    }

    /// Width and height in pixels as [`Media::decode`] gives them, from the header only.
    ///
    /// # Errors
    /// As [`Media::decode`], except that damage behind the header is not seen.
    pub fn dimensions(&self) -> Result<(u32, u32), Error> {
        match &self.source {
            Source::Path(path) => {
                open_file(path).and_then(|file| decode::dimensions(BufReader::new(file)))
            }
            Source::Bytes(bytes) => decode::dimensions(Cursor::new(&bytes[..])),
            Source::Pixels(image) => Ok(image.dimensions()),
            Source::Frame(store, _) => Ok(store.dimensions()),
        }
        .map_err(|e| self.locate(e))
    }

    /// SHA-256 of the content: of the encoded file where there is one, else of the pixels.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn hash(&self) -> Result<MediaHash, Error> {
        let mut hasher = Sha256::new();
        match &self.source {
            Source::Path(_) | Source::Bytes(_) => hasher.update(self.encoded()?),
            Source::Pixels(image) => {
                hasher.update(image.width().to_le_bytes());
                hasher.update(image.height().to_le_bytes());
                hasher.update(image.as_raw());
            }
            Source::Frame(store, index) => {
                return store.hash(*index).map_err(|e| self.locate(e));
            }
        }
        Ok(hasher.finalize().into())
    }

    /// Adds the row to an error about this image; the image's own path moves to `found`.
    pub(crate) fn locate(&self, error: Error) -> Error {
        let error = match (&self.source, &self.place) {
            (Source::Path(path), None) => return error.in_file(path),
            (Source::Path(path), Some(_)) => {
                let what = format!("{}: {}", path.display(), error.report().what);
                error.what(what)
            }
            (Source::Frame(..), Some(_)) => error.file_into_what(),
            _ => error,
        };
        match &self.place {
            Some(place) => error.at(&place.file, place.row).field(place.field.clone()),
            None => error,
        }
    }
}

fn open_file(path: &Path) -> Result<File, Error> {
    let unopened = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::media("image file does not exist")
            .help("image paths are relative to the data file; set data.image_dir if they are not"),
        _ => Error::media(format!("image file cannot be opened: {e}")),
    };
    // Before it is opened: opening a named pipe waits for somebody to write to it.
    let kind = path.metadata().map_err(unopened)?.file_type();
    if !kind.is_file() {
        return Err(
            Error::media("image file cannot be read: it is no regular file")
                .found(crate::error::kind_of_file(kind))
                .expected("a file"),
        );
    }
    let file = File::open(path).map_err(unopened)?;
    let size = file.metadata().map_or(0, |m| m.len());
    if size > MAX_ENCODED_BYTES {
        return Err(Error::media("image file is too large")
            .found(format!("{size} bytes"))
            .expected(format!("at most {MAX_ENCODED_BYTES}")));
    }
    Ok(file)
}

/// The whole of an image file, within the size limit.
pub(crate) fn read_file(path: &Path) -> Result<Arc<[u8]>, Error> {
    let mut bytes = Vec::new();
    open_file(path)?
        .take(MAX_ENCODED_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::media(format!("image file cannot be read: {e}")))?;
    Ok(bytes.into())
}

fn encode_png(image: &RgbImage) -> Result<Arc<[u8]>, Error> {
    let mut png = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut png), image::ImageFormat::Png)
        .map_err(|e| Error::media(format!("image cannot be encoded as PNG: {e}")))?;
    Ok(png.into())
}
