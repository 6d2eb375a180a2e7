//! Plots, as SVG that stands in the page itself.
//!
//! Owns: axes, lines, bars, their labels.
//! Leaves to others: which figures are shown (`page`), colours (the page's style sheet).
//! Why this way: a plot is as wide as a phone's screen, so that its letters are as large as those
//! around it; on a wide screen several stand side by side. Lines differ in more than their
//! colour, for print and for eyes that do not tell colours apart.

use super::escape;
use crate::compare::markdown::number;
use std::fmt::Write;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 260.0;
/// Room for labels: left, right, top, bottom.
const MARGIN: [f64; 4] = [46.0, 12.0, 10.0, 24.0];
/// Of a bar with its label above it.
const BAR: f64 = 34.0;

/// One line of a plot.
pub struct Line {
    /// What it is.
    pub name: String,
    /// Which colour and mark, and whether it is drawn in dashes.
    pub style: Style,
    /// For each place of the axis a value, if there is one.
    pub values: Vec<Option<f64>>,
}

/// How something looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// One of the page's colours.
    pub colour: usize,
    /// In dashes.
    pub dashed: bool,
}

/// One bar, of one or more parts.
pub struct Bar {
    /// What it is.
    pub name: String,
    /// What stands at its end.
    pub label: String,
    /// The parts' lengths, and the style class of each.
    pub parts: Vec<(f64, String)>,
}

// Writing to a String cannot fail, so the results of `write!` are dropped throughout.

/// Lines over places of equal distance; the values on a logarithmic axis.
pub fn lines(title: &str, places: &[String], unit: &str, lines: &[Line]) -> String {
    let all = lines.iter().flat_map(|line| line.values.iter().flatten());
    let positive: Vec<f64> = all.copied().filter(|value| *value > 0.0).collect();
    let least = positive.iter().copied().fold(f64::INFINITY, f64::min);
    let most = positive.iter().copied().fold(0.0, f64::max);
    if positive.is_empty() {
        return String::new();
    }
    let axis = Axis::new(least, most);
    let [left, right, _, bottom] = MARGIN;
    let mut out = open(title, HEIGHT);
    for tick in axis.ticks() {
        let y = axis.y(tick);
        let _ = write!(
            out,
            "<line class=grid x1={left} x2={:.0} y1={y:.1} y2={y:.1} />\
             <text class=tick x={:.0} y={:.1} text-anchor=end>{}</text>",
            WIDTH - right,
            left - 5.0,
            y + 4.0,
            short(tick)
        );
    }
    let step = (WIDTH - left - right - 24.0) / (places.len().max(2) - 1) as f64;
    let x = |place: usize| left + 12.0 + step * place as f64;
    for (place, name) in places.iter().enumerate() {
        let _ = write!(
            out,
            "<text class=tick x={:.1} y={:.0} text-anchor=middle>{}</text>",
            x(place),
            HEIGHT - bottom + 16.0,
            escape(name)
        );
    }
    for line in lines {
        draw(&mut out, line, places, unit, &x, &axis);
    }
    out.push_str("</svg>");
    out
}

fn draw(
    out: &mut String,
    line: &Line,
    places: &[String],
    unit: &str,
    x: &impl Fn(usize) -> f64,
    axis: &Axis,
) {
    let points = line.values.iter().enumerate();
    let points = points.filter_map(|(place, value)| Some((place, (*value)?)));
    let points: Vec<_> = points.filter(|(_, value)| *value > 0.0).collect();
    let path = points
        .iter()
        .map(|(place, value)| format!("{:.1},{:.1}", x(*place), axis.y(*value)));
    let dashed = if line.style.dashed { " dashed" } else { "" };
    let _ = write!(
        out,
        "<polyline class=\"line c{}{dashed}\" points=\"{}\" />",
        line.style.colour,
        path.collect::<Vec<_>>().join(" ")
    );
    for (place, value) in points {
        let _ = write!(
            out,
            "<g class=\"mark c{}\"><title>{}, {}: {} {}</title>{}</g>",
            line.style.colour,
            escape(&line.name),
            escape(&places[place]),
            number(value),
            escape(unit),
            mark(line.style, x(place), axis.y(value))
        );
    }
}

/// A mark of its own for each colour; empty for what is dashed.
pub fn mark(style: Style, x: f64, y: f64) -> String {
    let class = if style.dashed { " class=hollow" } else { "" };
    match style.colour % 4 {
        0 => format!("<circle{class} cx={x:.1} cy={y:.1} r=3.5 />"),
        1 => format!(
            "<rect{class} x={:.1} y={:.1} width=6 height=6 />",
            x - 3.0,
            y - 3.0
        ),
        2 => format!("<path{class} d=\"M{x:.1} {:.1}l4 7h-8z\" />", y - 4.0),
        _ => format!(
            "<path{class} d=\"M{x:.1} {:.1}l4 4l-4 4l-4 -4z\" />",
            y - 4.0
        ),
    }
}

/// Bars below each other, from the left; their names above them.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let length = |bar: &Bar| bar.parts.iter().map(|(part, _)| part.max(0.0)).sum::<f64>();
    let most = bars.iter().map(length).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut out = open(title, BAR * bars.len() as f64 + 6.0);
    // Room for the label behind the longest.
    let scale = (WIDTH - 90.0) / most;
    for (place, bar) in bars.iter().enumerate() {
        let y = BAR * place as f64;
        let _ = write!(
            out,
            "<text class=name x=0 y={:.0}>{}</text>",
            y + 13.0,
            escape(&bar.name)
        );
        let mut x = 0.0;
        for (part, class) in &bar.parts {
            let width = part.max(0.0) * scale;
            let _ = write!(
                out,
                "<rect class=\"bar {class}\" x={x:.1} y={:.0} width={width:.1} height=12 />",
                y + 18.0
            );
            x += width;
        }
        let _ = write!(
            out,
            "<text class=tick x={:.1} y={:.0}>{}</text>",
            x + 5.0,
            y + 28.0,
            escape(&bar.label)
        );
    }
    out.push_str("</svg>");
    out
}

fn open(title: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=img aria-label=\"{}\">",
        escape(title)
    )
}

/// A logarithmic axis, upwards.
struct Axis {
    least: f64,
    most: f64,
}

impl Axis {
    fn new(least: f64, most: f64) -> Self {
        let (least, most) = (least.log10() - 0.05, most.log10() + 0.05);
        Self { least, most }
    }

    fn y(&self, value: f64) -> f64 {
        let [_, _, top, bottom] = MARGIN;
        let part = (value.log10() - self.least) / (self.most - self.least);
        HEIGHT - bottom - part * (HEIGHT - top - bottom)
    }

    /// 1, 2 and 5 of each power of ten in reach; only powers where these would be too many.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.most - self.least > 2.5 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let powers = self.least.floor() as i32..=self.most.ceil() as i32;
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        let within = |tick: &f64| (self.least..=self.most).contains(&tick.log10());
        all.filter(within).collect()
    }
}

/// As a label of an axis.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{}", (v * 1000.0).round() / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_all_values_within_it_and_some_ticks() {
        for (least, most) in [(80.0, 300.0), (0.5, 40_000.0), (7.0, 7.0)] {
            let axis = Axis::new(least, most);
            let [_, _, top, bottom] = MARGIN;
            for value in [least, most] {
                assert!((top..=HEIGHT - bottom).contains(&axis.y(value)), "{value}");
            }
            assert!(axis.ticks().len() <= 9);
        }
        assert!(Axis::new(80.0, 300.0).ticks().len() >= 2);
    }

    #[test]
    fn nothing_to_show_is_no_plot() {
        let style = Style {
            colour: 0,
            dashed: false,
        };
        let line = Line {
            name: "x".into(),
            style,
            values: vec![None, Some(0.0)],
        };
        assert_eq!(lines("t", &["a".into(), "b".into()], "us", &[line]), "");
        assert_eq!(bars("t", &[]), "");
    }
}
