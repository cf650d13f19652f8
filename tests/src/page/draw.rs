//! Charts over time, as SVG of our own: one axis of seconds for all of them, so that they can be read below each other.
//! Colours are classes of the page's style, so that a chart is light or dark with the page.

use std::fmt::Write as _;

use super::escape;

/// Units of a drawing from edge to edge; the browser scales it to the page.
pub(crate) const WIDTH: f64 = 1200.0;
pub(crate) const LEFT: f64 = 72.0;
pub(crate) const RIGHT: f64 = 16.0;
const TOP: f64 = 10.0;
/// Room for the seconds below a chart.
const BOTTOM: f64 = 24.0;
/// Dots are put on a grid of this many units, so that a drawing's size is bounded by its area and not by the run's length.
const GRID: f64 = 1.5;

/// Seconds from left to right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeAxis {
    /// Where it ends.
    pub(crate) end: f64,
}

impl TimeAxis {
    pub(crate) fn x(self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.end.max(1e-9)).clamp(0.0, 1.0)
    }
}

/// From small to large, upwards.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// From zero.
    Linear { max: f64 },
    /// From one power of ten to another.
    Log { low: i32, high: i32 },
}

impl Scale {
    /// A scale from zero that has room for `max`.
    pub(crate) fn linear(max: f64) -> Scale {
        // Where nothing is above zero, one is as good as any.
        let max = if max > 0.0 { max } else { 1.0 };
        let step = step(max, 4.0);
        Scale::Linear { max: (max / step).ceil().max(1.0) * step }
    }

    /// A logarithmic one that has room for all of these; what is not above zero has no place on it.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values
            .filter(|value| *value > 0.0 && value.is_finite())
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Scale::Log { low: 0, high: 1 };
        }
        let low = low.log10().floor().clamp(-12.0, 12.0) as i32;
        let high = high.log10().ceil().clamp(-12.0, 12.0) as i32;
        Scale::Log { low, high: high.max(low + 1) }
    }

    /// The place of a value: 0 below, 1 above.
    fn place(self, value: f64) -> f64 {
        match self {
            Scale::Linear { max } => (value / max.max(1e-12)).clamp(0.0, 1.0),
            Scale::Log { low, high } => {
                ((value.max(1e-300).log10() - f64::from(low)) / f64::from(high - low)).clamp(0.0, 1.0)
            }
        }
    }

    /// Values with a line, and whether they are written down.
    fn ticks(self) -> Vec<(f64, bool)> {
        match self {
            Scale::Linear { max } => {
                let step = step(max, 4.0);
                (0..=(max / step).round() as u32).map(|at| (f64::from(at) * step, true)).collect()
            }
            Scale::Log { low, high } => {
                let decade = |power: i32| {
                    let one = 10_f64.powi(power);
                    [(one, true), (2.0 * one, false), (5.0 * one, false)]
                };
                let mut ticks: Vec<(f64, bool)> = (low..high).flat_map(decade).collect();
                ticks.push((10_f64.powi(high), true));
                ticks
            }
        }
    }
}

/// A round step that divides `range` into about `parts`.
pub(crate) fn step(range: f64, parts: f64) -> f64 {
    let rough = (range / parts).max(1e-12);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999);
    factor.unwrap_or(10.0) * power
}

/// A number for people: no more digits than it needs.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A stretch of time that stands behind every chart.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The class that colours it.
    pub(crate) class: String,
    /// Said when one points at it.
    pub(crate) title: String,
}

/// A drawing in the making.
#[derive(Debug)]
pub(crate) struct Chart {
    axis: TimeAxis,
    scale: Scale,
    height: f64,
    svg: String,
}

impl Chart {
    /// A frame with a scale on the left, bands behind it, and the seconds below.
    pub(crate) fn new(
        name: &str,
        unit: &str,
        axis: TimeAxis,
        scale: Scale,
        height: f64,
        bands: &[Band],
    ) -> Chart {
        let mut chart = Chart::bare(name, axis, scale, height);
        chart.bands(bands);
        chart.scale(unit);
        chart.seconds();
        chart
    }

    /// A frame whose places from left to right have names instead of seconds: value `n` stands at `n + 0.5`.
    pub(crate) fn named(name: &str, unit: &str, names: &[String], scale: Scale, height: f64) -> Chart {
        let axis = TimeAxis { end: names.len().max(1) as f64 };
        let mut chart = Chart::bare(name, axis, scale, height);
        chart.scale(unit);
        for (at, name) in names.iter().enumerate() {
            chart.text(axis.x(at as f64 + 0.5), TOP + height + 18.0, "tick mid", name);
        }
        chart
    }

    /// Without a scale: for lanes.
    pub(crate) fn lanes(name: &str, axis: TimeAxis, height: f64, bands: &[Band]) -> Chart {
        let mut chart = Chart::bare(name, axis, Scale::Linear { max: 1.0 }, height);
        chart.bands(bands);
        chart.seconds();
        chart
    }

    fn bare(name: &str, axis: TimeAxis, scale: Scale, height: f64) -> Chart {
        let whole = TOP + height + BOTTOM;
        let svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {whole}\" data-end=\"{}\" role=\"img\" aria-label=\"{}\">\
             <rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{height}\"/>",
            axis.end,
            escape(name),
            WIDTH - LEFT - RIGHT,
        );
        Chart { axis, scale, height, svg }
    }

    /// Lines and numbers of the scale.
    fn scale(&mut self, unit: &str) {
        for (value, written) in self.scale.ticks() {
            let y = self.y(value);
            let class = if written { "grid" } else { "grid minor" };
            // Writing into a String cannot fail.
            let _ = write!(
                self.svg,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                WIDTH - RIGHT
            );
            if written {
                self.text(LEFT - 8.0, y + 4.0, "tick end", &number(value));
            }
        }
        let middle = TOP + self.height / 2.0;
        let _ = write!(
            self.svg,
            "<text class=\"tick mid\" transform=\"translate(14 {middle:.1}) rotate(-90)\">{}</text>",
            escape(unit)
        );
    }

    fn bands(&mut self, bands: &[Band]) {
        for band in bands {
            let (from, to) = (self.axis.x(band.from), self.axis.x(band.to));
            let _ = write!(
                self.svg,
                "<rect class=\"band {}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
                band.class,
                (to - from).max(1.0),
                self.height,
                escape(&band.title)
            );
        }
    }

    fn seconds(&mut self) {
        let step = step(self.axis.end, 12.0);
        let mut at = 0.0;
        while at <= self.axis.end * 1.0001 {
            let x = self.axis.x(at);
            let bottom = TOP + self.height;
            let _ = write!(
                self.svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
                bottom + 4.0
            );
            self.text(x, bottom + 18.0, "tick mid", &format!("{} s", number(at)));
            at += step;
        }
    }

    fn y(&self, value: f64) -> f64 {
        TOP + self.height * (1.0 - self.scale.place(value))
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = write!(self.svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
    }

    /// A line through the values; where there is none, it is broken.
    pub(crate) fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, Option<f64>)>) {
        let mut path = String::new();
        let mut pen_down = false;
        for (at, value) in points {
            let Some(value) = value else {
                pen_down = false;
                continue;
            };
            let (x, y) = (self.axis.x(at), self.y(value));
            // A point alone is a line of no length, which its round ends make visible.
            let _ = if pen_down { write!(path, "L{x:.1} {y:.1}") } else { write!(path, "M{x:.1} {y:.1}h0") };
            pen_down = true;
        }
        if !path.is_empty() {
            let _ = write!(self.svg, "<path class=\"curve {class}\" d=\"{path}\"/>");
        }
    }

    /// A filled area from below up to the values.
    pub(crate) fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return };
        let bottom = TOP + self.height;
        let mut path = format!("M{:.1} {bottom:.1}", self.axis.x(*first));
        for (at, value) in points {
            let _ = write!(path, "L{:.1} {:.1}", self.axis.x(*at), self.y(*value));
        }
        let _ = write!(path, "L{:.1} {bottom:.1}Z", self.axis.x(*last));
        let _ = write!(self.svg, "<path class=\"area {class}\" d=\"{path}\"/>");
    }

    /// A dot for each value; those on the same spot are drawn once.
    pub(crate) fn dots(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let on_grid = |value: f64| (value / GRID).round() as i32;
        let spots = points.map(|(at, value)| (on_grid(self.axis.x(at)), on_grid(self.y(value))));
        let mut spots: Vec<(i32, i32)> = spots.collect();
        spots.sort_unstable();
        spots.dedup();
        if spots.is_empty() {
            return;
        }
        let _ = write!(self.svg, "<path class=\"dots {class}\" d=\"");
        for (x, y) in spots {
            let _ = write!(self.svg, "M{} {}h0", number(f64::from(x) * GRID), number(f64::from(y) * GRID));
        }
        self.svg.push_str("\"/>");
    }

    /// A block in lane `lane` of `lanes`, with a text where there is room for it.
    pub(crate) fn block(
        &mut self,
        lane: (usize, usize),
        span: (f64, f64),
        class: &str,
        text: &str,
        title: &str,
    ) {
        let (at, lanes) = lane;
        let room = self.height / lanes.max(1) as f64;
        let (y, height) = (TOP + room * at as f64 + 2.0, (room - 4.0).max(2.0));
        let (x, end) = (self.axis.x(span.0), self.axis.x(span.1));
        let width = (end - x).max(1.5);
        let _ = write!(
            self.svg,
            "<g><rect class=\"block {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\"/>\
             <title>{}</title>",
            escape(title)
        );
        if text.chars().count() as f64 * 7.0 + 6.0 < width {
            self.text(x + 5.0, y + height / 2.0 + 4.0, "inside", text);
        }
        self.svg.push_str("</g>");
    }

    /// The name of a lane.
    pub(crate) fn lane_name(&mut self, lane: (usize, usize), text: &str) {
        let room = self.height / lane.1.max(1) as f64;
        self.text(LEFT - 8.0, TOP + room * (lane.0 as f64 + 0.5) + 4.0, "tick end", text);
    }

    pub(crate) fn finish(mut self) -> String {
        let bottom = TOP + self.height;
        let _ = writeln!(
            self.svg,
            "<line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"{TOP}\" y2=\"{bottom}\"/></svg>"
        );
        self.svg
    }
}

/// What the colours mean.
pub(crate) fn legend(items: &[(String, String)]) -> String {
    let mut html = String::from("<ul class=\"legend\">");
    for (class, text) in items {
        let _ = write!(html, "<li><i class=\"swatch {class}\"></i>{}</li>", escape(text));
    }
    html.push_str("</ul>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_room_for_what_they_show_and_round_numbers() {
        let Scale::Linear { max } = Scale::linear(730.0) else { panic!("linear") };
        assert_eq!(max, 800.0);
        assert!(matches!(Scale::linear(0.0), Scale::Linear { max: 1.0 }));
        let Scale::Log { low, high } = Scale::log([0.0, 0.3, 4.0, 2_100.0].into_iter()) else {
            panic!("log")
        };
        assert_eq!((low, high), (-1, 4), "0.1 to 10000");
        assert!(matches!(Scale::log(std::iter::empty()), Scale::Log { low: 0, high: 1 }));
        assert!(matches!(Scale::log([5.0].into_iter()), Scale::Log { low: 0, high: 1 }));
        assert_eq!(Scale::log([1.0, 100.0].into_iter()).place(10.0), 0.5);
        assert_eq!([step(60.0, 12.0), step(1.0, 4.0), step(0.0, 4.0)].map(|step| step > 0.0), [true; 3]);
        assert_eq!(
            ["0", "0.5", "12.3", "4500"],
            [0.0, 0.5, 12.3, 4_500.2].map(number).map(|text| text).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn a_drawing_is_bounded_by_its_area() {
        let draw = |count: u32| {
            let mut chart = Chart::new(
                "latency",
                "ms",
                TimeAxis { end: 60.0 },
                Scale::Log { low: -1, high: 4 },
                200.0,
                &[],
            );
            let points = (0..count).map(|at| (f64::from(at % 60_007) / 1_000.0, 1.0 + f64::from(at % 5_003)));
            chart.dots("c0", points);
            chart.finish().len()
        };
        assert!(draw(2_000_000) < 2_500_000, "{}", draw(2_000_000));
    }

    #[test]
    fn names_are_only_ever_text() {
        let bands = [Band { from: 0.0, to: 1.0, class: "f0".to_owned(), title: "<script>\"&".to_owned() }];
        let chart = Chart::new("a<b", "m<s", TimeAxis { end: 2.0 }, Scale::linear(1.0), 50.0, &bands);
        let svg = chart.finish();
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;&quot;&amp;"), "{svg}");
    }
}
