//! Addresses of servers.

use crate::HttpError;
use crate::secrets::{is_address, shown};

/// The address of a method (`chat/completions`), from that of the server, of the API or of the method itself.
///
/// # Errors
/// [`HttpError::Config`] for what no client can ask.
pub fn method_url(url: &str, method: &str) -> Result<String, HttpError> {
    let wrong = |found: &str, expected| {
        Err(HttpError::Config {
            field: "address",
            found: found.to_owned(),
            expected,
        })
    };
    let form = "http://HOST[:PORT][/v1] or https://…";
    let (address, query) = match url.trim().split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url.trim(), String::new()),
    };
    let Some((scheme, rest)) = address.split_once("://") else {
        return wrong(address, form);
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(scheme, "http" | "https") || host.is_empty() {
        return wrong(address, form);
    }
    if host.contains('@') {
        return wrong(
            "an address with a password in it",
            "the key in the environment: PERCEPT_API_KEY",
        );
    }
    let path = path.trim_end_matches('/');
    let path = match path {
        "" => format!("v1/{method}"),
        path if path.ends_with(method) => path.to_owned(),
        path => format!("{path}/{method}"),
    };
    let whole = format!("{scheme}://{host}/{path}{query}");
    // Asking would fail every time, after all attempts.
    match is_address(&whole) {
        true => Ok(whole),
        false => wrong(&shown(url.trim()), form),
    }
}

/// A proxy has no business between two programs on one machine.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|local| host.starts_with(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_server_api_and_method_are_one() {
        for (given, made) in [
            (
                "http://localhost:8000",
                "http://localhost:8000/v1/chat/completions",
            ),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("https://h/api/v1", "https://h/api/v1/chat/completions"),
            (
                "https://h/v1/chat/completions",
                "https://h/v1/chat/completions",
            ),
            (
                "https://h/x?api-version=2",
                "https://h/x/chat/completions?api-version=2",
            ),
        ] {
            assert_eq!(method_url(given, "chat/completions").unwrap(), made);
        }
        for bad in [
            "localhost:8000",
            "ftp://h/v1",
            "http://",
            "",
            "http://h:99999",
            "http://a b/v1",
        ] {
            assert!(method_url(bad, "chat/completions").is_err(), "{bad}");
        }
        let error = method_url("https://u:secret@h/v1", "chat/completions").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
