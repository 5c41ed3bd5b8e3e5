//! The place of every image and video of a row in its turns.
//!
//! A mark is an image part without an image of its own, or a tag `<image>` in a turn that is one text. A tag
//! inside a text *part* is a mark as well where the column has a picture for it; beside as many image parts it
//! repeats them and is left out; else it stays text. An image of the column that a turn carries itself is
//! shown once, where the turn has it. Images without any mark stand before the first turn of the user (TRL).

use crate::convention::media_list::{MediaList, NEXT, TAG};
use crate::{Error, Media, Message, Part, Role, Video};

/// Which of the two kinds of media.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Video,
}

impl Kind {
    fn part(self, index: usize) -> Part {
        match self {
            Self::Image => Part::Image(index),
            Self::Video => Part::Video(index),
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Image => "<image>",
            Self::Video => "<video>",
        }
    }

    fn count(self, messages: &[Message], index: usize) -> usize {
        let parts = messages.iter().flat_map(|m| &m.content);
        parts.filter(|&part| *part == self.part(index)).count()
    }

    /// Parts of this kind that have their media with them.
    fn own(self, messages: &[Message]) -> usize {
        let parts = messages.iter().flat_map(|m| &m.content);
        let own = parts.filter(|part| match (self, part) {
            (Self::Image, Part::Image(index)) | (Self::Video, Part::Video(index)) => *index < TAG,
            _ => false,
        });
        own.count()
    }
}

impl MediaList<'_> {
    /// Gives every image and video of the columns its place in the conversation.
    pub(crate) fn place(&mut self, column: &str, messages: &mut [Message]) -> Result<(), Error> {
        if Kind::Image.count(messages, NEXT) != self.images.len() {
            let inline = std::mem::take(&mut self.inline_images);
            self.images
                .retain(|image| !inline.iter().any(|own| same_image(own, image)));
            self.inline_images = inline;
        }
        if Kind::Video.count(messages, NEXT) != self.videos.len() {
            let inline = std::mem::take(&mut self.inline_videos);
            self.videos
                .retain(|video| !inline.iter().any(|own| same_video(own, video)));
            self.inline_videos = inline;
        }
        for (kind, there) in [
            (Kind::Image, self.images.len()),
            (Kind::Video, self.videos.len()),
        ] {
            self.settle_tags(kind, there, messages);
        }
        self.put_first(messages);
        for (kind, what, found) in [
            (Kind::Image, "images", self.images.len()),
            (Kind::Video, "videos", self.videos.len()),
        ] {
            let expected = kind.count(messages, NEXT);
            if expected != found {
                return Err(
                    Error::row(format!("number of {what} and of their marks differ"))
                        .field(column)
                        .found(format!("{expected} marks, {found} {what}"))
                        .help(format!(
                            "each of the {what} needs one <{0}> tag or part, and each tag one of the {what}",
                            what.trim_end_matches('s')
                        )),
                );
            }
        }
        self.number(messages);
        Ok(())
    }

    /// Decides what the tags inside text parts are.
    fn settle_tags(&mut self, kind: Kind, there: usize, messages: &mut [Message]) {
        let tags = kind.count(messages, TAG);
        if tags == 0 {
            return;
        }
        let marks = kind.count(messages, NEXT);
        let replacement = if marks + tags == there {
            kind.part(NEXT)
        } else if marks == there && marks + kind.own(messages) == tags {
            self.unread.push(format!(
                "tag {} that repeats an {} part",
                kind.tag(),
                kind.tag().trim_matches(['<', '>'])
            ));
            Part::Text(String::new())
        } else if marks == there && there + kind.own(messages) > 0 {
            self.unread.push(format!(
                "tag {} inside a text part, without a picture",
                kind.tag()
            ));
            Part::Text(kind.tag().to_owned())
        } else {
            kind.part(NEXT)
        };
        for turn in messages {
            if !turn.content.contains(&kind.part(TAG)) {
                continue;
            }
            let mut content: Vec<Part> = Vec::with_capacity(turn.content.len());
            for part in std::mem::take(&mut turn.content) {
                let part = if part == kind.part(TAG) {
                    replacement.clone()
                } else {
                    part
                };
                match (content.last_mut(), part) {
                    (Some(Part::Text(before)), Part::Text(text))
                        if matches!(replacement, Part::Text(_)) =>
                    {
                        before.push_str(&text);
                    }
                    (_, part) => content.push(part),
                }
            }
            turn.content = content;
        }
    }

    /// TRL: images without a mark stand before the first turn of the user; so do those of columns `image_N`
    /// that no turn names.
    fn put_first(&mut self, messages: &mut [Message]) {
        let marks = [Kind::Image, Kind::Video].map(|kind| kind.count(messages, NEXT));
        let Some(user) = messages.iter_mut().find(|m| m.role == Role::User) else {
            return;
        };
        let mut first: Vec<Part> = Vec::new();
        if marks[0] == 0 {
            first.extend(self.images.iter().map(|_| Part::Image(NEXT)));
        }
        for image in self.numbered.iter_mut().filter(|image| !image.shown) {
            image.shown = true;
            first.push(Part::Image(image.inline));
        }
        if marks[1] == 0 {
            first.extend(self.videos.iter().map(|_| Part::Video(NEXT)));
        }
        user.content.splice(0..0, first);
    }

    /// Puts the media of the columns and those that messages carry into the order of appearance.
    fn number(&mut self, messages: &mut [Message]) {
        let mut column_images = std::mem::take(&mut self.images).into_iter();
        let mut column_videos = std::mem::take(&mut self.videos).into_iter();
        for part in messages.iter_mut().flat_map(|m| &mut m.content) {
            match part {
                Part::Image(index) => {
                    let image = match *index {
                        NEXT => column_images.next(),
                        own => self.inline_images.get(own).cloned(),
                    };
                    *index = self.images.len();
                    self.images.extend(image);
                }
                Part::Video(index) => {
                    let video = match *index {
                        NEXT => column_videos.next(),
                        own => self.inline_videos.get(own).cloned(),
                    };
                    *index = self.videos.len();
                    self.videos.extend(video);
                }
                Part::Text(_) => {}
            }
        }
    }
}

/// Whether two images are one: the same file, or the same content.
pub(super) fn same_image(a: &Media, b: &Media) -> bool {
    if let (Some(a), Some(b)) = (a.path(), b.path())
        && a == b
    {
        return true;
    }
    match (a.hash(), b.hash()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn same_video(a: &Video, b: &Video) -> bool {
    let mut frames = a.frames.iter().zip(&b.frames);
    a.frames.len() == b.frames.len() && frames.all(|(a, b)| same_image(a, b))
}
