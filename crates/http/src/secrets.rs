//! What must not be shown or kept: the key, and what an address carries behind its question mark.

use ureq::http::Uri;

use crate::key::ApiKey;

/// Parameters of an address that say which API is spoken; all others may be keys (`api-key`, `key`, `sig`, `token`).
const PLAIN: [&str; 2] = ["api-version", "version"];

/// Shorter values stand in every text.
const SHORTEST: usize = 6;

/// Stands in the place of a secret.
const HIDDEN: &str = "***";

/// The secrets of one endpoint.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// Those of an address and of a key.
    pub(crate) fn of(url: &str, key: Option<&ApiKey>) -> Self {
        let mut values: Vec<String> = key.map(|key| key.secret().to_owned()).into_iter().collect();
        for (name, value) in parameters(url) {
            if value.len() >= SHORTEST && !PLAIN.contains(&name) {
                values.push(value.to_owned());
            }
        }
        // A longer one may hold a shorter one.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// `text` without them: servers repeat what they were sent.
    pub fn hidden(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret, HIDDEN);
        self.values.iter().fold(text.to_owned(), hide)
    }
}

/// An address as it may be shown: values of its parameters are hidden, but for those that name a version.
pub(crate) fn shown(url: &str) -> String {
    let Some((address, _)) = url.split_once('?') else {
        return url.to_owned();
    };
    let pairs = parameters(url).map(|(name, value)| match PLAIN.contains(&name) {
        true => format!("{name}={value}"),
        false => format!("{name}={HIDDEN}"),
    });
    format!("{address}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split(['&', ';', '#']);
    let pairs = pairs.filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or(("", pair)))
}

/// Whether a client can do something with an address at all.
pub(crate) fn is_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let port = uri.authority().map(|a| &a.as_str()[a.host().len()..]);
    // `http` takes any digits for a port, and none.
    let good_port = |port: &str| port.is_empty() || port[1..].parse::<u16>().is_ok_and(|p| p > 0);
    let host = uri.host().unwrap_or_default();
    let plain = host.starts_with('[')
        || host.split('.').all(|part| {
            (1..64).contains(&part.len())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    plain && port.is_some_and(good_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_key() {
        let url = "https://h/v1/chat/completions?api-version=2024-10-21&api-key=sk-123456&sig=abc";
        let shown = shown(url);
        assert_eq!(
            shown,
            "https://h/v1/chat/completions?api-version=2024-10-21&api-key=***&sig=***"
        );
        let secrets = Secrets::of(url, None);
        assert_eq!(
            secrets.hidden("no sk-123456 in 2024-10-21"),
            "no *** in 2024-10-21"
        );
        assert_eq!(super::shown("http://h/v1"), "http://h/v1");
        assert_eq!(super::shown("http://h/?sk-123456"), "http://h/?=***");
    }

    #[test]
    fn addresses_that_no_client_can_use_are_known() {
        for good in [
            "http://localhost:8000/v1",
            "https://a-b.c_d.example/x?y=z",
            "http://127.0.0.1",
            "http://[::1]:80/",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "http://h:99999/v1",
            "http://h:port/v1",
            "http://h:/v1",
            "http://h:0/v1",
            "http://a b/v1",
            "http://a..b/v1",
            "http://[::1/v1",
            "http://h/v 1",
            "http://\u{1b}[2J/v1",
            "http://-\0/v1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
