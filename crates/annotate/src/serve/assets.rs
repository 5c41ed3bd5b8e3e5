//! The page: plain HTML, CSS and JavaScript, and nothing from anywhere else.

/// Path, type and content.
pub(super) const ASSETS: [(&str, &str, &str); 7] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../../assets/page.html"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("../../assets/page.css"),
    ),
    (
        "/queue.js",
        JAVASCRIPT,
        include_str!("../../assets/queue.js"),
    ),
    ("/work.js", JAVASCRIPT, include_str!("../../assets/work.js")),
    (
        "/frame.js",
        JAVASCRIPT,
        include_str!("../../assets/frame.js"),
    ),
    (
        "/status.js",
        JAVASCRIPT,
        include_str!("../../assets/status.js"),
    ),
    ("/page.js", JAVASCRIPT, include_str!("../../assets/page.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
