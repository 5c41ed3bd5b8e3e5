//! A server that edits images: `POST …/images/edits` of the OpenAI API (a form with the image and a
//! mask, transparent where it may change), which gateways before diffusion models speak as well.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageFormat;
use percept_vision::{Edit, Edited, Editor, Error, transparent_mask};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::method_url;
use super::setback::Setback;
use super::{ChatError, Endpoint, EndpointConfig, hex};

/// Edits images by a server. Failures that may pass are tried again as [`Endpoint`] does; the key
/// is the environment's and appears nowhere.
///
/// The server gets no seed unless it is asked for one in
/// [`extra_body`](EndpointConfig::extra_body), whose fields are sent as further fields of the form:
/// `{"size": "1024x1024", "seed": "24"}`. An edit that was once received is a file and is not asked
/// for again.
#[derive(Debug)]
pub struct ImageEndpoint {
    endpoint: Endpoint,
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
    /// [`ChatError::Config`].
    pub fn new(config: EndpointConfig) -> Result<Self, ChatError> {
        let url = method_url(&config.url, "images/edits")?;
        let endpoint = Endpoint::at(url, config)?;
        Ok(Self { endpoint })
    }

    fn form(&self, edit: &Edit<'_>) -> Result<Form, Error> {
        let config = self.endpoint.config();
        let mut form = Form::default();
        form.text("model", &config.model);
        form.text("prompt", edit.prompt);
        form.text("n", "1");
        for (name, value) in &config.extra_body {
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

    fn attempt(&self, kind: &str, body: &[u8]) -> Result<image::RgbImage, Setback> {
        let (_, bytes) = self.endpoint.post(kind, body)?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| {
            Setback::of_body(format!("the answer is not that of images/edits: {e}"))
        })?;
        let Some(text) = answer.data.into_iter().find_map(|image| image.b64_json) else {
            // Asking again would bring the same: the server sends addresses of images.
            return Err(Setback::Never(ChatError::Config {
                field: "images",
                found: "an answer without `b64_json`".into(),
                expected: "images in the answer; add {\"response_format\": \"b64_json\"} to the form's fields",
            }));
        };
        let broken = |what: String| Setback::of_body(format!("the image cannot be read: {what}"));
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
        let config = self.endpoint.config();
        json!({"editor": "endpoint", "model": config.model, "fields": config.extra_body})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        let (kind, body) = self.form(edit)?.finish();
        let once = || self.attempt(&kind, &body);
        let image = self.endpoint.retried(edit.class, edit.seed, once);
        Ok(Edited {
            image: image.map_err(|e| Error::Service(e.to_string()))?,
            placement: None,
        })
    }

    fn at_once(&self) -> usize {
        self.endpoint.config().max_concurrency
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

/// A form of `multipart/form-data` (RFC 7578).
#[derive(Default)]
struct Form {
    parts: Vec<(String, Vec<u8>)>,
}

impl Form {
    fn text(&mut self, name: &str, value: &str) {
        let head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
        self.parts.push((head, value.as_bytes().to_vec()));
    }

    fn png(&mut self, name: &str, bytes: Vec<u8>) {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}.png\"\r\nContent-Type: image/png"
        );
        self.parts.push((head, bytes));
    }

    /// Content type and body. The border between the parts is a hash of them, so that they do not
    /// hold it, and the same form is the same bytes.
    fn finish(self) -> (String, Vec<u8>) {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for (head, value) in &self.parts {
            hasher.update(head);
            hasher.update(value);
        }
        let border = format!("percept-{}", &hex(&hasher.finalize())[..32]);
        let mut body = Vec::new();
        for (head, value) in &self.parts {
            body.extend_from_slice(format!("--{border}\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{border}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={border}"), body)
    }
}

/// A name inside quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_what_rfc_7578_says() {
        let mut form = Form::default();
        form.text("a\"b", "1\r\n2");
        form.png("mask", vec![0, 255]);
        let (kind, body) = form.finish();
        let border = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = [
            format!("--{border}\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n1\r\n2\r\n").into_bytes(),
            format!("--{border}\r\nContent-Disposition: form-data; name=\"mask\"; filename=\"mask.png\"\r\nContent-Type: image/png\r\n\r\n").into_bytes(),
            vec![0, 255],
            format!("\r\n--{border}--\r\n").into_bytes(),
        ];
        assert_eq!(body, expected.concat());
    }
}
