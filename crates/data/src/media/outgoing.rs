//! Which files may leave: be sent to a server, or be copied into a data set or benchmark.
//!
//! A row of a data file names its images, and whoever wrote the row chose the names. Reading a file on this machine tells
//! nobody anything; sending it does. So an image that a *row* names leaves only
//!
//! * when it lies in a folder from which images are sent: the data file's own, the given folder of images, and those that
//!   the user allows besides; and
//! * when it is an image: its header is read first.
//!
//! What counts is where the file is, not how it is written: `..`, absolute paths and symbolic links are followed to their
//! end. A file that the *user* names, on the command line, may always leave.

use std::path::PathBuf;
use std::sync::Arc;

use crate::media::named_file::NamedFile;
use crate::{Error, Media, Sample};

impl Media {
    /// Says that a row named this file: it may be sent or copied only from these folders; see [`Media::outgoing`].
    #[must_use]
    pub fn within(mut self, folders: &Arc<[PathBuf]>) -> Self {
        if let Some(path) = self.path() {
            self.named = Some(Arc::new(NamedFile::new(path, folders)));
        }
        self
    }

    /// The same for what was made of the file at `path`, such as the frames of an animation.
    #[must_use]
    pub(crate) fn read_from(mut self, named: Option<Arc<NamedFile>>) -> Self {
        self.named = named;
        self
    }

    /// Whether the image may be sent to a server, or copied into a data set.
    ///
    /// # Errors
    /// When a row named it and it lies outside the folders from which images may leave.
    pub fn may_leave(&self) -> Result<(), Error> {
        match &self.named {
            Some(named) => named.check().map_err(|e| self.locate(e)),
            None => Ok(()),
        }
    }

    /// [`Media::encoded`] for what leaves: refused unless it [may](Media::may_leave), and unless its header is that of an
    /// image.
    ///
    /// # Errors
    /// As said, and those of [`Media::encoded`].
    pub fn outgoing(&self) -> Result<Arc<[u8]>, Error> {
        self.may_leave()?;
        if self.path().is_some() {
            self.dimensions()?;
        }
        self.encoded()
    }
}

impl Sample {
    /// Allows the sample's images and videos to be sent and copied from these folders as well.
    pub fn allow_images(&mut self, folders: &[PathBuf]) {
        let frames = self.videos.iter_mut().flat_map(|video| &mut video.frames);
        for media in self.images.iter_mut().chain(frames) {
            if let Some(named) = &mut media.named {
                Arc::make_mut(named).also(folders);
            }
        }
    }
}
