//! Forms with files.

use percept_base::hex;
use sha2::{Digest, Sha256};

/// A form of `multipart/form-data` (RFC 7578).
#[derive(Default)]
pub(crate) struct Form {
    parts: Vec<(String, Vec<u8>)>,
}

impl Form {
    /// A field of text.
    pub fn text(&mut self, name: &str, value: &str) {
        let head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
        self.parts.push((head, value.as_bytes().to_vec()));
    }

    /// A PNG file.
    pub fn png(&mut self, name: &str, bytes: Vec<u8>) {
        let head = format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}.png\"\r\nContent-Type: image/png"
        );
        self.parts.push((head, bytes));
    }

    /// Content type and body. The border between the parts is a hash of them, so that they do not
    /// hold it, and the same form is the same bytes.
    pub fn finish(self) -> (String, Vec<u8>) {
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
