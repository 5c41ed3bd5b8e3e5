//! The media of a row while its turns are read.

use crate::convention::media::MediaReader;
use crate::{Media, Video};

/// Stands for "the next image of the column" until [`MediaList::place`] numbers them.
pub(crate) const NEXT: usize = usize::MAX;

/// The same for a tag inside a text part, which may be more text than tag.
pub(crate) const TAG: usize = usize::MAX - 1;

/// Media of a row while its messages are read.
pub(crate) struct MediaList<'a> {
    /// Images of the row's column; after [`MediaList::place`] all, in order of appearance.
    pub images: Vec<Media>,
    /// The same for videos.
    pub videos: Vec<Video>,
    /// What turns say and nothing reads, by kind.
    pub unread: Vec<String>,
    /// Images that messages carry themselves.
    pub(crate) inline_images: Vec<Media>,
    pub(crate) inline_videos: Vec<Video>,
    /// Images of columns `image_1`, `image_2`, …: their numbers and places among `inline_images`, and whether
    /// a turn shows them.
    pub(crate) numbered: Vec<Numbered>,
    pub(super) reader: &'a MediaReader<'a>,
    /// Whether rows carry null for what they do not have.
    pub(super) padded: bool,
}

/// An image that turns name by its number: `<image 2>`.
pub(crate) struct Numbered {
    pub(crate) number: usize,
    pub(crate) inline: usize,
    pub(crate) shown: bool,
}

impl<'a> MediaList<'a> {
    pub(crate) fn new(
        images: Vec<Media>,
        videos: Vec<Video>,
        reader: &'a MediaReader<'a>,
        padded: bool,
    ) -> Self {
        Self {
            images,
            videos,
            unread: Vec::new(),
            inline_images: Vec::new(),
            inline_videos: Vec::new(),
            numbered: Vec::new(),
            reader,
            padded,
        }
    }

    /// Images that the turns read from now on may name by number.
    pub(crate) fn number_images(&mut self, images: Vec<(usize, Media)>) {
        for (number, image) in images {
            self.inline_images.push(image);
            self.numbered.push(Numbered {
                number,
                inline: self.inline_images.len() - 1,
                shown: false,
            });
        }
    }
}
