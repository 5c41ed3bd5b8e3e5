//! Typed reading of one JSON object's fields, with errors that name the field's path.

use serde_json::{Map, Value};

use crate::Error;

pub(crate) fn config_error(file: &str, field: &str, message: impl Into<String>) -> Error {
    Error::Config {
        file: file.to_string(),
        field: field.to_string(),
        message: message.into(),
    }
}

/// The largest value of a size: many times that of any published model, and small enough that no product of two or
/// three of them overflows or asks for more memory than there is before the weights are looked at.
fn limit(name: &str) -> usize {
    match name {
        "num_hidden_layers" | "depth" => 4096,
        "vocab_size" | "intermediate_size" => 1 << 24,
        "max_position_embeddings" | "sliding_window" | "max_window_layers" => 1 << 40,
        "patch_size" | "temporal_patch_size" | "spatial_merge_size" => 512,
        "in_channels" | "in_chans" | "num_channels" => 64,
        "image_size" => 1 << 13,
        _ => 1 << 20,
    }
}

/// The fields of one object, and where it stands.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    pub(crate) map: &'a Map<String, Value>,
    pub(crate) path: String,
    pub(crate) file: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn error(&self, name: &str, message: impl Into<String>) -> Error {
        config_error(self.file, &format!("{}{name}", self.path), message)
    }

    fn get<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.error(name, format!("found {value}, expected {expected}"))),
            },
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Error> {
        let path = format!("{}{name}.", self.path);
        let map = self.get(name, "an object", Value::as_object)?;
        Ok(map.map(|map| Fields {
            map,
            path,
            file: self.file,
        }))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.get(name, "a string", Value::as_str)
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.get(name, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        self.get(name, "a number", Value::as_f64)
    }

    /// A size that no model exceeds: see [`limit`].
    pub(crate) fn opt_size(&self, name: &str) -> Result<Option<usize>, Error> {
        let limit = limit(name);
        let found = self.get(name, "a positive integer", |value| {
            value.as_u64().filter(|n| *n > 0).map(|n| n as usize)
        })?;
        match found {
            Some(n) if n > limit => {
                let message = format!("found {n}, expected at most {limit}");
                Err(self.error(name, message))
            }
            found => Ok(found),
        }
    }

    pub(crate) fn size(&self, name: &str) -> Result<usize, Error> {
        self.opt_size(name)?
            .ok_or_else(|| self.error(name, "missing; expected a positive integer"))
    }

    pub(crate) fn ids(&self, name: &str) -> Result<Option<Vec<u32>>, Error> {
        let id = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        self.get(name, "a token id or a list of them", |value| match value {
            Value::Array(items) => items.iter().map(id).collect(),
            value => id(value).map(|id| vec![id]),
        })
    }

    /// One token id below `vocab_size`.
    pub(crate) fn token_id(
        &self,
        name: &str,
        default: u32,
        vocab_size: usize,
    ) -> Result<u32, Error> {
        let id = match self.ids(name)? {
            Some(ids) if ids.len() == 1 => ids[0],
            Some(_) => return Err(self.error(name, "expected one token id")),
            None => default,
        };
        match (id as usize) < vocab_size {
            true => Ok(id),
            false => Err(self.error(name, format!("{id} is not below vocab_size = {vocab_size}"))),
        }
    }
}
