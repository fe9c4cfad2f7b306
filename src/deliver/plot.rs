//! Small plots of how a fact went: a picture for mail programs, a line of blocks for text.
//!
//! PNG, since most mail programs show a PNG that comes with the mail, and few an SVG. Twice as fine as it is shown, which
//! stands for smoothing. There is no text in the picture: names, limit and last value stand beside it as text, where
//! they can be read aloud, copied and searched, and no font is needed. Pure: the same trend makes the same bytes.

use super::Trend;

/// Pixels of a picture; it is shown half as large.
pub const SIZE: (usize, usize) = (1040, 240);
/// Most blocks of a sparkline.
const BLOCKS: usize = 32;

/// What a pixel is, with its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Paper,
    Axis,
    Limit,
    Line,
    Last,
}

impl Ink {
    /// Red, green and blue, in the order of the variants.
    const PALETTE: [[u8; 3]; 5] = [[0xff, 0xff, 0xff], [0xd0, 0xd5, 0xdd], [0xd9, 0x2d, 0x20], [0x17, 0x5c, 0xd3], [0x10, 0x18, 0x28]];
}

/// A picture: the line, its last value as a dot, the limit as a dashed line, and a time axis with a tick at each full
/// hour (UTC). `None` when there is nothing to draw.
#[must_use]
pub fn png(trend: &Trend) -> Option<Vec<u8>> {
    let canvas = Canvas::of(trend, SIZE)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(SIZE.0).ok()?, u32::try_from(SIZE.1).ok()?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(Ink::PALETTE.concat());
    encoder.set_compression(png::Compression::Balanced);
    let pixels: Vec<u8> = canvas.pixels.iter().map(|ink| *ink as u8).collect();
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

/// One block a reading, from the lowest to the highest value.
#[must_use]
pub fn sparkline(trend: &Trend) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values: Vec<f64> = known(trend).map(|(_, value)| value).collect();
    let Some(range) = Range::of(values.iter().copied()) else { return String::new() };
    let shown = values.iter().skip(values.len().saturating_sub(BLOCKS));
    shown.filter_map(|value| STEPS.get((range.share(*value) * 7.0).round() as usize)).collect()
}

/// Values that can be drawn, with their times in seconds.
fn known(trend: &Trend) -> impl Iterator<Item = (f64, f64)> {
    let finite = trend.points.iter().filter(|(_, value)| value.is_finite() && value.abs() < 1e300);
    finite.map(|(at, value)| (at.timestamp() as f64, *value))
}

/// The lowest and the highest of some values.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        values.fold(None, |range: Option<Self>, value| {
            Some(range.map_or(Self { low: value, high: value }, |r| Self { low: r.low.min(value), high: r.high.max(value) }))
        })
    }

    /// How far up a value is, 0 to 1; in the middle when all are the same.
    fn share(self, value: f64) -> f64 {
        let span = self.high - self.low;
        if span > 0.0 { ((value - self.low) / span).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// Pixels, row by row.
struct Canvas {
    width: usize,
    pixels: Vec<Ink>,
    /// Half the thickness of the line.
    pen: f64,
    times: Range,
    values: Range,
    height: usize,
}

impl Canvas {
    fn of(trend: &Trend, (width, height): (usize, usize)) -> Option<Self> {
        let points: Vec<(f64, f64)> = known(trend).collect();
        let limit = trend.fact.threshold.filter(|limit| limit.is_finite() && limit.abs() < 1e300);
        let times = Range::of(points.iter().map(|(at, _)| *at))?;
        let values = Range::of(points.iter().map(|(_, value)| *value).chain(limit))?;
        let pen = (height as f64 / 100.0).max(0.5);
        let mut canvas = Self { width, pixels: vec![Ink::Paper; width * height], pen, times, values, height };
        canvas.axis();
        if let Some(limit) = limit {
            canvas.limit(limit);
        }
        for (from, to) in points.iter().zip(points.iter().skip(1)) {
            canvas.line(canvas.place(*from), canvas.place(*to));
        }
        let last = canvas.place(*points.last()?);
        canvas.dot(last, canvas.pen * 2.5, Ink::Last);
        Some(canvas)
    }

    /// Where a point lies. There is a margin, so that the line and its last dot are whole.
    fn place(&self, (at, value): (f64, f64)) -> (f64, f64) {
        let margin = self.pen * 3.0;
        let (wide, high) = (self.width as f64 - 1.0 - 2.0 * margin, self.height as f64 - 1.0 - 3.0 * margin);
        (margin + self.times.share(at) * wide, margin + (1.0 - self.values.share(value)) * high)
    }

    fn axis(&mut self) {
        let base = self.height.saturating_sub(1);
        (0..self.width).for_each(|x| self.put(x, base, Ink::Axis));
        let tick = (self.pen * 4.0) as usize;
        let (first, last) = ((self.times.low / 3600.0).ceil() as i64, (self.times.high / 3600.0).floor() as i64);
        // A span is 6 h; a strange one gets no more ticks than can be told apart.
        for hour in (first..=last).take(48) {
            let (x, _) = self.place((hour as f64 * 3600.0, self.values.low));
            (base.saturating_sub(tick)..base).for_each(|y| self.put(x as usize, y, Ink::Axis));
        }
    }

    fn limit(&mut self, limit: f64) {
        let (_, y) = self.place((self.times.low, limit));
        let dash = (self.pen * 6.0).max(2.0) as usize;
        for x in (0..self.width).filter(|x| (x / dash).is_multiple_of(2)) {
            self.put(x, y.round() as usize, Ink::Limit);
            if self.pen > 1.0 {
                self.put(x, y.round() as usize + 1, Ink::Limit);
            }
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let share = step as f64 / steps;
            self.dot((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share), self.pen, Ink::Line);
        }
    }

    fn dot(&mut self, (x, y): (f64, f64), radius: f64, ink: Ink) {
        let span = |middle: f64| (middle - radius).round().max(0.0) as usize..=(middle + radius).round().max(0.0) as usize;
        for row in span(y) {
            for column in span(x) {
                if (column as f64 - x).hypot(row as f64 - y) <= radius + 0.3 {
                    self.put(column, row, ink);
                }
            }
        }
    }

    fn put(&mut self, x: usize, y: usize, ink: Ink) {
        if x < self.width
            && let Some(pixel) = self.pixels.get_mut(y * self.width + x)
        {
            *pixel = ink;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::super::testing::at;
    use super::*;
    use crate::model::{Evidence, Unit};

    fn trend(values: &[f64], threshold: Option<f64>) -> Trend {
        let points = values.iter().enumerate().map(|(n, value)| (at(0) + TimeDelta::minutes(n as i64 * 20), *value)).collect();
        let fact = Evidence { metric: "tables.dead".into(), value: values.last().copied(), threshold, unit: Unit::Rows };
        Trend { notice: "k".into(), fact, points }
    }

    fn drawn(trend: &Trend) -> String {
        let canvas = Canvas::of(trend, (72, 16)).unwrap();
        let shown = |ink: &Ink| match ink {
            Ink::Paper => ' ',
            Ink::Axis => '.',
            Ink::Limit => '-',
            Ink::Line => '*',
            Ink::Last => '@',
        };
        canvas.pixels.chunks(72).map(|row| format!("|{}|\n", row.iter().map(shown).collect::<String>())).collect()
    }

    #[test]
    fn a_fact_that_crosses_its_limit() {
        insta::assert_snapshot!(drawn(&trend(&[1.0, 1.0, 2.0, 2.0, 3.0, 5.0, 8.0, 9.0, 9.0, 12.0], Some(6.0))));
    }

    #[test]
    fn what_stands_still_is_a_line_in_the_middle() {
        insta::assert_snapshot!(drawn(&trend(&[4.0; 9], None)));
    }

    #[test]
    fn a_picture_is_a_png_of_its_size_and_always_the_same() {
        let bytes = png(&trend(&[1.0, 5.0, 2.0], Some(4.0))).unwrap();
        assert_eq!(Some(bytes.clone()), png(&trend(&[1.0, 5.0, 2.0], Some(4.0))));
        assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (1040, 240));
        assert!(Ink::PALETTE.len() == 5 && pixels.contains(&(Ink::Limit as u8)) && pixels.contains(&(Ink::Last as u8)));
    }

    #[test]
    fn a_sparkline_is_one_block_a_reading() {
        assert_eq!(sparkline(&trend(&[0.0, 1.0, 2.0, 7.0, 3.5], None)), "▁▂▃█▅");
        assert_eq!(sparkline(&trend(&[f64::NAN], None)), "");
        assert_eq!(png(&trend(&[f64::NAN, f64::INFINITY], None)), None);
    }

    proptest! {
        #[test]
        fn whatever_was_measured_can_be_drawn(values in proptest::collection::vec(any::<f64>(), 0..50), limit in any::<Option<f64>>()) {
            let trend = trend(&values, limit);
            let lit = Canvas::of(&trend, (72, 16)).map(|canvas| canvas.pixels.contains(&Ink::Last));
            prop_assert_eq!(lit, known(&trend).next().map(|_| true));
            prop_assert!(sparkline(&trend).chars().count() <= values.len());
        }
    }
}
