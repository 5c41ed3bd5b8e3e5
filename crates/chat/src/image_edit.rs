//! A server that edits images: `POST …/images/edits` of the OpenAI API (a form with the image and a
//! mask, transparent where it may change), which gateways before diffusion models speak as well.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use percept_http::{AttemptError, Client, HttpError, method_url};
use percept_vision::{Edit, Edited, Editor, Error, transparent_mask};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::form::Form;
use crate::{ChatError, EndpointConfig};

/// Edits images by a server. Failures that may pass are tried again as [`Client`] does; the key
/// is the environment's and appears nowhere.
///
/// The server gets no seed unless it is asked for one in
/// [`extra_body`](EndpointConfig::extra_body), whose fields are sent as further fields of the form:
/// `{"size": "1024x1024", "seed": "24"}`. An edit that was once received is a file and is not asked
/// for again.
#[derive(Debug)]
pub struct ImageEndpoint {
    client: Client,
    model: String,
    /// Further fields of the form.
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    b64_json: Option<String>,
}

impl ImageEndpoint {
    /// Checks the settings; sends nothing. Of them, prices are not used.
    ///
    /// # Errors
    /// [`ChatError::Http`], for settings that cannot be.
    pub fn new(config: EndpointConfig) -> Result<Self, ChatError> {
        let url = method_url(&config.url, "images/edits")?;
        Ok(Self {
            client: Client::new(url, config.client)?,
            model: config.model,
            fields: config.extra_body,
        })
    }

    fn form(&self, edit: &Edit<'_>) -> Result<Form, Error> {
        let mut form = Form::default();
        form.text("model", &self.model);
        form.text("prompt", edit.prompt);
        form.text("n", "1");
        for (name, value) in &self.fields {
            match value {
                Value::String(text) => form.text(name, text),
                other => form.text(name, &other.to_string()),
            }
        }
        form.png(
            "image",
            png(|to| edit.image.write_to(to, ImageFormat::Png))?,
        );
        let mask = transparent_mask(edit.image, edit.mask)?;
        form.png("mask", png(|to| mask.write_to(to, ImageFormat::Png))?);
        Ok(form)
    }

    fn attempt(&self, kind: &str, body: &[u8]) -> Result<image::RgbImage, AttemptError> {
        let (_, bytes) = self.client.post(kind, body)?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| {
            AttemptError::of_body(format!("the answer is not that of images/edits: {e}"))
        })?;
        let Some(text) = answer.data.into_iter().find_map(|image| image.b64_json) else {
            // Asking again would bring the same: the server sends addresses of images.
            return Err(AttemptError::Fatal(HttpError::Config {
                field: "images",
                found: "an answer without `b64_json`".into(),
                expected: "images in the answer; add {\"response_format\": \"b64_json\"} to the form's fields",
            }));
        };
        let broken =
            |what: String| AttemptError::of_body(format!("the image cannot be read: {what}"));
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|e| broken(e.to_string()))?;
        percept_data::Media::from_bytes(bytes)
            .decode()
            .map_err(|e| broken(e.to_string()))
    }
}

impl Editor for ImageEndpoint {
    fn identity(&self) -> Value {
        // Not the address: a server that moved is the same model.
        json!({"editor": "endpoint", "model": self.model, "fields": self.fields})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        let (kind, body) = self.form(edit)?.finish();
        let once = || self.attempt(&kind, &body);
        let image = self.client.retried(edit.class, edit.seed, once);
        Ok(Edited {
            image: image.map_err(|e| Error::Service(e.to_string()))?,
            placement: None,
        })
    }

    fn at_once(&self) -> usize {
        self.client.config().max_concurrency
    }
}

fn png(
    write: impl FnOnce(&mut Cursor<Vec<u8>>) -> Result<(), image::ImageError>,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Cursor::new(Vec::new());
    write(&mut bytes).map_err(|source| Error::Picture {
        what: "encoding".into(),
        source,
    })?;
    Ok(bytes.into_inner())
}
