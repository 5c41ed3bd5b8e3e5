//! From a row of a file to a [`Sample`]: the conventions of verl, TRL and Hugging Face, EasyR1 and
//! ms-swift, told apart by their columns.

use crate::convention::answers::{answers, scalar};
use crate::convention::experts::{self, experts};
use crate::convention::media::{MediaReader, is_nothing};
use crate::convention::media_list::MediaList;
use crate::convention::pair::{OpenPair, PairColumns, unpack_text};
use crate::convention::take::{take, text_or_null};
use crate::convention::template::template_fields;
use crate::convention::unread::note_tags;
use crate::convention::written::is_conversation;
use crate::formats::python_literal;
use crate::formats::row::{Row, Value};
use crate::{ColumnMap, Error, Media, Message, Objects, Role, Sample};

/// Where a row comes from and how its columns are read.
pub(crate) struct Convention<'a> {
    pub columns: &'a ColumnMap,
    /// The row's file and place, and where its media are.
    pub media: MediaReader<'a>,
    /// Whether rows carry null for what they do not have.
    pub padded: bool,
}

/// Whether a row shows a single frame: beside the picture it says of which `video`, a path, and when (`time_s`).
fn frame_of_video(row: &Row) -> bool {
    let has = |name: &str, is: fn(&Value) -> bool| {
        row.iter()
            .any(|(column, value)| column == name && is(value))
    };
    has("time_s", |value| matches!(value, Value::Number(_)))
        && has("video", |value| matches!(value, Value::Text(_)))
}

impl Convention<'_> {
    /// The sample of a row. Errors carry file and row.
    pub(crate) fn sample(&self, row: Row) -> Result<Sample, Error> {
        self.read(row).map_err(|error| match error.report().row {
            Some(_) => error,
            None => error.at(self.media.file, self.media.row),
        })
    }

    fn read(&self, mut row: Row) -> Result<Sample, Error> {
        let map = self.columns;
        unpack_text(&mut row);
        let pair = PairColumns::take(&mut row, map)?;
        let images = match take(&mut row, &map.images, &["images", "image"])? {
            Some((name, value)) => self.media.images(&name, value)?,
            None => Vec::new(),
        };
        let numbered = self.numbered_images(&mut row)?;
        let frame = !images.is_empty() && map.videos.is_none() && frame_of_video(&row);
        let videos = match frame {
            // The clip is where the picture comes from, and not shown.
            true => Vec::new(),
            false => match take(&mut row, &map.videos, &["videos", "video"])? {
                Some((name, value)) => self.media.videos(&name, value)?,
                None => Vec::new(),
            },
        };
        let (name, value, pair) = self.prompt(&mut row, pair)?;
        let mut media = MediaList::new(images, videos, &self.media, self.padded);
        media.number_images(numbered);
        let mut messages = match take(&mut row, &None, &["history"])? {
            Some((name, value)) => media.history(&name, value)?,
            None => Vec::new(),
        };
        let conversational = is_conversation(&value);
        let turns = media.messages(&name, value)?;
        // The system turn stays the first one.
        let behind = turns
            .iter()
            .take_while(|turn| turn.role == Role::System)
            .count();
        let earlier = std::mem::take(&mut messages);
        messages.extend(turns);
        messages.splice(behind..behind, earlier);
        let system = match take(&mut row, &None, &["system"])? {
            Some((name, value)) => text_or_null(&name, value)?,
            None => None,
        };
        if let Some(text) = system.filter(|text| !text.is_empty()) {
            messages.insert(0, Message::text(Role::System, text));
        }
        media.place(&name, &mut messages)?;
        let template = template_fields(&mut row, self.padded)?;
        let objects = match take(&mut row, &None, &["objects"])? {
            Some((name, value)) => Objects::read(&name, value)?,
            None => None,
        };
        let mut answers = answers(self.answer(&mut row)?).into_iter();
        let (answer, alternatives) = (answers.next(), answers.collect());
        let learns_chosen = pair
            .as_ref()
            .is_some_and(|pair| pair.is_expert(&map.expert, &row));
        let (experts, trajectory) = match learns_chosen {
            true => (Vec::new(), Vec::new()),
            false => match take(&mut row, &map.expert, &experts::COLUMNS)? {
                Some((name, value)) => experts(&mut media, &name, value)?,
                None => (Vec::new(), Vec::new()),
            },
        };
        let mut experts = experts.into_iter();
        let expert = experts.next();
        let id = match take(&mut row, &map.id, &["id"])? {
            Some((_, value)) => scalar(value),
            None => None,
        };
        let file = self
            .media
            .file
            .file_name()
            .map_or_else(Default::default, |n| n.to_string_lossy());
        let id = id.unwrap_or_else(|| format!("{file}:{}", self.media.row));
        let meta = row
            .into_iter()
            .map(|(name, value)| (name, value.into_json()))
            .collect();
        let mut sample = Sample {
            images: media.images,
            videos: media.videos,
            answer,
            alternatives,
            expert,
            trajectory,
            template,
            objects,
            unread: media.unread,
            more_experts: experts.collect(),
            meta,
            conversational,
            ..Sample::new(id, messages)
        };
        if let Some(pair) = pair {
            pair.fill(&mut sample, learns_chosen, &self.media, self.padded)?;
        }
        note_tags(&mut sample);
        Ok(sample)
    }

    /// The column of the prompt; a pair may have it in its answers.
    fn prompt(
        &self,
        row: &mut Row,
        pair: Option<PairColumns>,
    ) -> Result<(String, Value, Option<OpenPair>), Error> {
        let known = [
            "messages",
            "prompt",
            "problem",
            "question",
            "query",
            "conversations",
            "conversation",
        ];
        let given = take(row, &self.columns.prompt, &known)?;
        if let Some(pair) = pair {
            let (name, value, pair) = pair.settle(given, row, self.columns, self.padded)?;
            return Ok((name, value, Some(pair)));
        }
        let Some((name, value)) = given else {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("row has no prompt")
                .found(format!("columns {}", names.join(", ")))
                .expected("messages, prompt, problem, question, query or conversations")
                .help("name the column in data.columns.prompt"));
        };
        Ok((name, value, None))
    }

    /// MMMU's columns `image_1`, `image_2`, …, which the question names by number.
    fn numbered_images(&self, row: &mut Row) -> Result<Vec<(usize, Media)>, Error> {
        let number = |name: &str| name.strip_prefix("image_")?.parse::<usize>().ok();
        let mapped = |name: &str| {
            let map = self.columns;
            let given = [&map.prompt, &map.videos, &map.answer, &map.expert, &map.id];
            given.into_iter().flatten().any(|column| column == name)
        };
        let (found, others): (Row, Row) = std::mem::take(row)
            .into_iter()
            .partition(|(name, _)| number(name).is_some() && !mapped(name));
        *row = others;
        let mut images = Vec::new();
        for (name, value) in found {
            let Some(number) = number(&name).filter(|_| !is_nothing(&value)) else {
                continue;
            };
            images.push((number, self.media.image(&name, value)?));
        }
        images.sort_by_key(|(number, _)| *number);
        Ok(images)
    }

    fn answer(&self, row: &mut Row) -> Result<Value, Error> {
        let known = ["answer", "solution", "ground_truth"];
        if let Some((_, value)) = take(row, &self.columns.answer, &known)? {
            return Ok(value);
        }
        // verl keeps it inside a struct, which stays in `meta` as well.
        let inside = row
            .iter()
            .find(|(name, _)| name == "reward_model")
            .and_then(|(_, value)| match value {
                // A struct that was written into a text column.
                Value::Text(text) => python_literal::parse(text)?.get("ground_truth").cloned(),
                value => value.get("ground_truth").cloned(),
            });
        Ok(inside.unwrap_or(Value::Null))
    }
}
