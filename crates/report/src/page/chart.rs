//! Line charts and histograms as SVG.

use std::fmt::Write;

use super::escape::escape;

/// Colours of the series, told apart by people who see few colours (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a8a8a", "#b8a800",
];

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;

/// A line of a [`Chart`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points by ascending x; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end at each point, drawn as a band; may be empty.
    pub band: Vec<(f64, f64)>,
    /// Draw steps (a histogram) instead of straight lines.
    pub steps: bool,
}

/// A chart with one pair of linear axes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Label of the horizontal axis, unit included.
    pub x: String,
    /// Label of the vertical axis, unit included.
    pub y: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// The range of values that an axis shows, and its tick marks.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Covers `values` between round numbers.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                (l.min(v), h.max(v))
            });
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let width = if high > low {
            high - low
        } else {
            high.abs().max(1.0)
        };
        let rough = width / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        Self {
            low: (low / step).floor() * step,
            high: ((high / step).ceil() * step).max((low / step).floor() * step + step),
            step,
        }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count).map(|i| self.low + i as f64 * self.step)
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn label(&self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).clamp(0.0, 8.0) as usize;
        if self.high.abs().max(self.low.abs()) >= 1e6 {
            return format!("{value:.1e}");
        }
        format!("{value:.digits$}")
    }
}

impl Chart {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let bands = || self.series.iter().flat_map(|s| &s.band);
        let x = Axis::of(points().map(|p| p.0));
        let y = Axis::of(
            points()
                .map(|p| p.1)
                .chain(bands().flat_map(|b| [b.0, b.1])),
        );
        let at = |px: f64, py: f64| {
            (
                LEFT + x.share(px) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y.share(py) * (HEIGHT - TOP - BOTTOM),
            )
        };
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" fill=\"currentColor\">\
             <title>{0}</title><text x=\"{LEFT}\" y=\"18\" font-weight=\"600\">{0}</text>",
            escape(&self.title)
        );
        self.axes(&mut out, &x, &y, &at);
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            line(&mut out, series, colour, &at);
            let legend = TOP + 8.0 + 18.0 * index as f64;
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                WIDTH - RIGHT + 14.0,
                legend - 5.0,
                WIDTH - RIGHT + 34.0,
                legend,
                escape(&series.name)
            );
        }
        out.push_str("</svg>");
        out
    }

    fn axes(&self, out: &mut String, x: &Axis, y: &Axis, at: &impl Fn(f64, f64) -> (f64, f64)) {
        let grid = "stroke=\"currentColor\" stroke-opacity=\"0.15\"";
        for tick in x.ticks() {
            let (px, _) = at(tick, y.low);
            let _ = write!(
                out,
                "<line x1=\"{px:.1}\" x2=\"{px:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" {grid}/>\
                 <text x=\"{px:.1}\" y=\"{label}\" text-anchor=\"middle\">{}</text>",
                x.label(tick),
                bottom = HEIGHT - BOTTOM,
                label = HEIGHT - BOTTOM + 16.0,
            );
        }
        for tick in y.ticks() {
            let (_, py) = at(x.low, tick);
            let _ = write!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{py:.1}\" y2=\"{py:.1}\" {grid}/>\
                 <text x=\"{label}\" y=\"{text:.1}\" text-anchor=\"end\">{}</text>",
                y.label(tick),
                right = WIDTH - RIGHT,
                label = LEFT - 6.0,
                text = py + 4.0,
            );
        }
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        let height = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        let _ = write!(
            out,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(14 {height}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 10.0,
            escape(&self.x),
            escape(&self.y)
        );
    }
}

fn line(out: &mut String, series: &Series, colour: &str, at: &impl Fn(f64, f64) -> (f64, f64)) {
    let finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    if series.band.len() == series.points.len() && !series.band.is_empty() {
        let edge = |which: fn(&(f64, f64)) -> f64| {
            let pairs = series.points.iter().zip(&series.band);
            pairs
                .map(move |(point, band)| at(point.0, which(band)))
                .collect::<Vec<_>>()
        };
        let (low, high) = (edge(|b| b.0), edge(|b| b.1));
        let outline = low.iter().chain(high.iter().rev());
        let corners: Vec<String> = outline
            .filter(|p| finite(p))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = write!(
            out,
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.14\"/>",
            corners.join(" ")
        );
    }
    let mut path = String::new();
    let mut before: Option<f64> = None;
    for point in series.points.iter().filter(|p| finite(p)) {
        let (x, y) = at(point.0, point.1);
        match before {
            None => {
                let _ = write!(path, "M{x:.1} {y:.1}");
            }
            Some(last) if series.steps => {
                let _ = write!(path, "L{x:.1} {last:.1}L{x:.1} {y:.1}");
            }
            Some(_) => {
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
        }
        before = Some(y);
    }
    let _ = write!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_around_the_values() {
        let axis = Axis::of([0.13, 0.87].into_iter());
        assert_eq!((axis.low, axis.high), (0.0, 1.0));
        assert_eq!(axis.label(0.4), "0.4");
        let flat = Axis::of([5.0].into_iter());
        assert!(flat.low <= 5.0 && flat.high >= 5.0 && flat.high > flat.low);
        let nothing = Axis::of(std::iter::empty());
        assert!(nothing.high > nothing.low);
    }

    #[test]
    fn a_chart_has_its_lines_and_names() {
        let chart = Chart {
            title: "a < b".into(),
            x: "steps".into(),
            y: "%".into(),
            series: vec![Series {
                name: "grpo".into(),
                points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)],
                band: vec![(0.5, 1.5), (1.0, 1.0), (2.0, 4.0)],
                steps: false,
            }],
        };
        let svg = chart.svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">grpo<"));
        assert_eq!(svg.matches("<path").count(), 1);
        assert!(!svg.contains("NaN"));
    }
}
