//! How a process knows what it started: a variable of the environment, which children inherit.

/// The environment variable that carries the mark.
pub(crate) const MARK: &str = "PERCEPT_FAMILY";

/// What the marks of this process begin with; a number of a process can come again, a moment cannot.
pub(crate) fn prefix() -> &'static str {
    use std::sync::OnceLock;
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        format!("{}-{nanos}", std::process::id())
    })
}
