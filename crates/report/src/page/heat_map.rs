//! A table of shares from 0 to 1 as coloured cells.

use std::fmt::Write;

use super::escape::escape;

/// Rows and columns of shares.
#[derive(Debug, Clone, Default)]
pub struct HeatMap {
    /// What rows are, and what columns are.
    pub corner: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Head of each row and its shares, one for each column; none where nothing was measured.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
}

impl HeatMap {
    /// As an HTML table. The number stands in the cell, so the colour is not needed to read it.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<table class=\"heat\"><thead><tr><th>{}</th>",
            escape(&self.corner)
        );
        for column in &self.columns {
            let _ = write!(html, "<th>{}</th>", escape(column));
        }
        html.push_str("</tr></thead><tbody>");
        for (head, cells) in &self.rows {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(head));
            for cell in cells {
                match cell {
                    None => html.push_str("<td>–</td>"),
                    Some(share) => {
                        let percent = (share * 100.0).round();
                        let _ = write!(
                            html,
                            "<td style=\"background:{}\">{percent}</td>",
                            colour(*share)
                        );
                    }
                }
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table>");
        html
    }
}

/// From orange (0) over none (a half) to blue (1): told apart by the colour-blind, and faint enough
/// for text in light and in dark.
fn colour(share: f64) -> String {
    let strength = (share - 0.5).abs() * 1.2;
    let rgb = if share < 0.5 {
        "230,120,20"
    } else {
        "40,120,220"
    };
    format!("rgba({rgb},{strength:.2})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_carry_their_number_and_what_was_not_measured_a_dash() {
        let map = HeatMap {
            corner: "depth \\ length".into(),
            columns: vec!["1k".into(), "<2k>".into()],
            rows: vec![("0 %".into(), vec![Some(0.25), None])],
        };
        let html = map.html();
        assert!(html.contains(">25</td><td>–</td>"));
        assert!(html.contains("&lt;2k&gt;"));
        assert_eq!(colour(0.5), "rgba(40,120,220,0.00)");
    }
}
