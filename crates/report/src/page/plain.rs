//! A plain page of tables, charts and text: what analyses and comparisons write. One HTML file that
//! loads nothing; a small script lets tables be sorted, and all can be read without it.

use std::fmt::Write;

use super::chart::Chart;
use super::escape::escape;

const CSS: &str = include_str!("../../assets/report.css");
const SORT: &str = include_str!("../../assets/sort.js");

/// What a page has besides the report's own style.
const MORE: &str = "
.card { padding: 16px 20px; margin: 12px 0; overflow-x: auto; }
.card p { margin: 6px 0; max-width: 80em; }
.page table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.page th, .page td { padding: 4px 14px 4px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
.page th:first-child, .page td:first-child { text-align: left; }
.page th { color: var(--muted); font-weight: 600; }
.page svg { max-width: 100%; height: auto; font: 12px var(--sans); }
.page th button { all: unset; cursor: pointer; }
.page th button:hover, .page th button:focus-visible { text-decoration: underline; color: var(--text); }
.page th button:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
.page th[aria-sort=\"descending\"] button::after { content: \" ↓\"; }
.page th[aria-sort=\"ascending\"] button::after { content: \" ↑\"; }
.page .heat td { text-align: center; min-width: 3em; padding: 4px 8px; }
.page .tok { font-family: var(--mono); }
";

/// A page under construction: sections in the order in which they are added.
#[derive(Debug, Clone, Default)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            body: String::new(),
        }
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) -> &mut Self {
        let _ = writeln!(self.body, "<section><h2>{}</h2></section>", escape(heading));
        self
    }

    /// A paragraph of plain text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(
            self.body,
            "<div class=\"card\"><p>{}</p></div>",
            escape(text)
        );
        self
    }

    /// A table of plain text; the first column is left-aligned.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> &mut Self {
        self.body.push_str("<div class=\"card\"><table><thead><tr>");
        for cell in head {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body.push_str("</tr></thead><tbody>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</tbody></table></div>\n");
        self
    }

    /// A chart.
    pub fn chart(&mut self, chart: &Chart) -> &mut Self {
        let _ = writeln!(self.body, "<div class=\"card\">{}</div>", chart.svg());
        self
    }

    /// HTML that the caller has escaped.
    pub fn html(&mut self, html: &str) -> &mut Self {
        let _ = writeln!(self.body, "<div class=\"card\">{html}</div>");
        self
    }

    /// The whole page.
    pub fn render(&self) -> String {
        let title = escape(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}</title><style>{CSS}{MORE}</style></head>\n\
             <body><div class=\"wrap page\"><h1 class=\"title\">{title}</h1>\n{}</div><script>{SORT}</script></body></html>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut page = Page::new("<b>");
        page.section("a & b")
            .text("<script>")
            .table(&["x"], &[vec!["\"'".into()]]);
        let html = page.render();
        assert!(html.contains("<title>&lt;b&gt;</title>"));
        assert!(html.contains("a &amp; b") && html.contains("&lt;script&gt;"));
        // The page's own script is the only one.
        assert!(html.contains("<td>&quot;&#39;</td>"));
        assert_eq!(html.matches("<script").count(), 1);
    }
}
