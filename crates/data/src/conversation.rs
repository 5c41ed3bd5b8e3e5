//! Turns of a conversation in the forms of the field, and the place of every image in them.

use crate::convention::Convention;
use crate::error::shorten;
use crate::row::Value;
use crate::{Error, Media, Message, Part, Role, Video};

/// Media of a row while its messages are read.
pub(crate) struct MediaList<'a> {
    /// Images of the row's column; after [`MediaList::place`] all, in order of appearance.
    pub images: Vec<Media>,
    /// The same for videos.
    pub videos: Vec<Video>,
    /// Images that messages carry themselves.
    inline_images: Vec<Media>,
    inline_videos: Vec<Video>,
    convention: &'a Convention<'a>,
}

/// Stands for "the next image of the column" until [`MediaList::place`] numbers them.
const NEXT: usize = usize::MAX;

impl<'a> MediaList<'a> {
    pub(crate) fn new(
        images: Vec<Media>,
        videos: Vec<Video>,
        convention: &'a Convention<'a>,
    ) -> Self {
        Self {
            images,
            videos,
            inline_images: Vec::new(),
            inline_videos: Vec::new(),
            convention,
        }
    }

    pub(crate) fn messages(&mut self, column: &str, value: Value) -> Result<Vec<Message>, Error> {
        match value {
            Value::Text(text) => Ok(vec![Message {
                role: Role::User,
                content: self.parts(&text),
                train: None,
            }]),
            Value::List(turns) if !turns.is_empty() => turns
                .into_iter()
                .enumerate()
                .map(|(index, turn)| self.message(&format!("{column}[{index}]"), turn))
                .collect(),
            other => Err(Error::row("not a conversation")
                .field(column)
                .found(other.describe())
                .expected("text, or a list of {\"role\": …, \"content\": …}")),
        }
    }

    fn message(&mut self, field: &str, value: Value) -> Result<Message, Error> {
        let Value::Struct(fields) = value else {
            return Err(Error::row("turn is not an object")
                .field(field)
                .found(value.describe())
                .expected("{\"role\": …, \"content\": …}"));
        };
        let (mut role, mut content, mut train) = (None, None, None);
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("role" | "from", value) => role = Some(self.role(field, value)?),
                ("content" | "value", value) => content = Some(value),
                ("train" | "loss", Value::Bool(bit)) => train = Some(bit),
                _ => {}
            }
        }
        let Some(role) = role else {
            return Err(Error::row("turn has no role")
                .field(field)
                .expected("a field `role`"));
        };
        let content = match content {
            Some(Value::Text(text)) => self.parts(&text),
            Some(Value::List(items)) => {
                let mut parts = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    self.part(&format!("{field}.content[{index}]"), item, &mut parts)?;
                }
                parts
            }
            other => {
                return Err(Error::row("turn has no content")
                    .field(format!("{field}.content"))
                    .found(other.unwrap_or(Value::Null).describe())
                    .expected("text or a list of parts"));
            }
        };
        Ok(Message {
            role,
            content,
            train,
        })
    }

    fn role(&self, field: &str, value: Value) -> Result<Role, Error> {
        match &value {
            Value::Text(text) => match text.as_str() {
                "system" => Ok(Role::System),
                "user" | "human" => Ok(Role::User),
                "assistant" | "gpt" => Ok(Role::Assistant),
                "tool" | "function" => Ok(Role::Tool),
                _ => Err(()),
            },
            _ => Err(()),
        }
        .map_err(|()| {
            Error::row("unknown role")
                .field(format!("{field}.role"))
                .found(value.describe())
                .expected("system, user, assistant or tool")
        })
    }

    /// Text with `<image>` and `<video>` tags.
    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let image = rest
                .find("<image>")
                .map(|at| (at, "<image>", Part::Image(NEXT)));
            let video = rest
                .find("<video>")
                .map(|at| (at, "<video>", Part::Video(NEXT)));
            let first = [image, video]
                .into_iter()
                .flatten()
                .min_by_key(|(at, _, _)| *at);
            let Some((at, tag, part)) = first else { break };
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            parts.push(part);
            rest = &rest[at + tag.len()..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        parts
    }

    /// One element of a content list.
    fn part(&mut self, field: &str, value: Value, out: &mut Vec<Part>) -> Result<(), Error> {
        let fields = match value {
            Value::Text(text) => {
                out.extend(self.parts(&text));
                return Ok(());
            }
            Value::Struct(fields) => fields,
            other => {
                return Err(Error::row("not a part of a turn")
                    .field(field)
                    .found(other.describe())
                    .expected("text or {\"type\": …}"));
            }
        };
        let get = |key: &str| {
            let found = fields
                .iter()
                .find(|(name, value)| name == key && !value.is_null());
            found.map(|(_, value)| value.clone())
        };
        let kind = match get("type") {
            Some(Value::Text(kind)) => kind,
            _ => {
                return Err(Error::row("part has no type")
                    .field(field)
                    .expected("type = text, image or video"));
            }
        };
        match kind.as_str() {
            "text" => match get("text") {
                Some(Value::Text(text)) => out.push(Part::Text(text)),
                other => {
                    return Err(Error::row("part has no text")
                        .field(format!("{field}.text"))
                        .found(other.unwrap_or(Value::Null).describe()));
                }
            },
            "image" | "image_url" => {
                let own = ["image", "image_url", "url", "path", "base64", "bytes"];
                match own.iter().find_map(|key| get(key)) {
                    Some(value) => {
                        self.inline_images
                            .push(self.convention.image(field, value)?);
                        out.push(Part::Image(self.inline_images.len() - 1));
                    }
                    None => out.push(Part::Image(NEXT)),
                }
            }
            "video" => match ["video", "frames", "path", "url"]
                .iter()
                .find_map(|key| get(key))
            {
                Some(value) => {
                    let mut video = self.convention.video(field, value)?;
                    if let Some(fps) = get("fps") {
                        video.fps = frame_rate(field, &fps)?;
                    }
                    self.inline_videos.push(video);
                    out.push(Part::Video(self.inline_videos.len() - 1));
                }
                None => out.push(Part::Video(NEXT)),
            },
            other => {
                return Err(Error::row("unknown type of part")
                    .field(format!("{field}.type"))
                    .found(format!("\"{}\"", shorten(other, 40)))
                    .expected("text, image, image_url or video"));
            }
        }
        Ok(())
    }

    /// Gives every image and video of the columns its place in the conversation.
    pub(crate) fn place(&mut self, column: &str, messages: &mut [Message]) -> Result<(), Error> {
        let marks = |messages: &[Message], video: bool| {
            let part = if video {
                Part::Video(NEXT)
            } else {
                Part::Image(NEXT)
            };
            messages
                .iter()
                .flat_map(|m| &m.content)
                .filter(|p| **p == part)
                .count()
        };
        let (images, videos) = (marks(messages, false), marks(messages, true));
        // TRL: images without a mark stand before the first turn of the user.
        if let Some(user) = messages.iter_mut().find(|m| m.role == Role::User) {
            if videos == 0 {
                let parts = self.videos.iter().map(|_| Part::Video(NEXT));
                user.content.splice(0..0, parts);
            }
            if images == 0 {
                let parts = self.images.iter().map(|_| Part::Image(NEXT));
                user.content.splice(0..0, parts);
            }
        }
        for (video, what, found) in [
            (false, "images", self.images.len()),
            (true, "videos", self.videos.len()),
        ] {
            let expected = marks(messages, video);
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

/// The `fps` of a video.
pub(crate) fn frame_rate(field: &str, value: &Value) -> Result<f32, Error> {
    let rate = match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN) as f32,
        _ => f32::NAN,
    };
    if rate > 0.0 && rate.is_finite() {
        return Ok(rate);
    }
    Err(Error::row("frame rate must be above 0")
        .field(format!("{field}.fps"))
        .found(value.describe())
        .expected("a number above 0"))
}
