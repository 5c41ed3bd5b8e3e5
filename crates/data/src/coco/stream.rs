//! Reading an annotation file in one pass: the lists that are wanted element by element, the rest
//! skipped, so that 500 MB of JSON never lie in memory at once.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Error;

/// What wants the elements of an annotation file.
pub(super) trait Sink {
    /// The lists that are wanted; each must be there.
    const LISTS: &'static [&'static str];

    /// Takes the next element of one of them, or leaves it.
    fn take<'de, A: SeqAccess<'de>>(
        &mut self,
        list: &'static str,
        seq: &mut A,
    ) -> Result<bool, A::Error>;
}

/// Opens a file and reads it.
pub(super) fn read_file<S: Sink>(path: &Path, sink: &mut S) -> Result<(), Error> {
    let file = crate::formats::random_file::open(path)?;
    read(file, sink).map_err(|e| e.in_file(path))
}

/// Reads a file's text.
pub(super) fn read<S: Sink>(text: impl Read, sink: &mut S) -> Result<(), Error> {
    let place = RefCell::new(String::new());
    let mut found = Vec::new();
    let whole = Whole {
        sink,
        place: &place,
        found: &mut found,
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 18, text));
    let read = whole.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|e| {
        let error = Error::row(format!("cannot be read: {e}"))
            .help("the file must be COCO JSON: images, annotations and categories as lists");
        match place.borrow().as_str() {
            "" => error,
            place => error.field(place),
        }
    })?;
    match S::LISTS.iter().find(|list| !found.contains(*list)) {
        None => Ok(()),
        Some(list) => Err(Error::file(format!("no list `{list}`"))
            .expected(S::LISTS.join(", "))
            .help("instances and captions are different files of COCO")),
    }
}

/// The next element of a list, appended to `to`; false at the end.
pub(super) fn push<'de, T: DeserializeOwned, A: SeqAccess<'de>>(
    to: &mut Vec<T>,
    seq: &mut A,
) -> Result<bool, A::Error> {
    let element = seq.next_element()?;
    let more = element.is_some();
    to.extend(element);
    Ok(more)
}

struct Whole<'a, S> {
    sink: &'a mut S,
    /// The element that is being read, for messages.
    place: &'a RefCell<String>,
    found: &'a mut Vec<&'static str>,
}

impl<'de, S: Sink> DeserializeSeed<'de> for Whole<'_, S> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for Whole<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", S::LISTS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let Some(list) = S::LISTS.iter().find(|list| **list == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *self.place.borrow_mut() = key;
            map.next_value_seed(List {
                sink: &mut *self.sink,
                list,
                place: self.place,
            })?;
            self.place.borrow_mut().clear();
            self.found.push(list);
        }
        Ok(())
    }
}

struct List<'a, S> {
    sink: &'a mut S,
    list: &'static str,
    place: &'a RefCell<String>,
}

impl<'de, S: Sink> DeserializeSeed<'de> for List<'_, S> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for List<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for at in 0_usize.. {
            *self.place.borrow_mut() = format!("{}[{at}]", self.list);
            if !self.sink.take(self.list, &mut seq)? {
                break;
            }
        }
        Ok(())
    }
}
