//! The x axis of a picture.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// How the x axis is divided.
pub(super) enum Axis {
    Linear,
    /// Ticks at powers of the base, between which a distance is a ratio.
    Powers(f64),
    /// Ticks where there are points, between which a distance is a ratio.
    Points,
}

/// The x axis: linear, or with ratios as distances, and ticks at places that mean something.
#[derive(Clone)]
pub(super) struct Horizontal {
    range: Range<f64>,
    ticks: Vec<f64>,
    ratios: bool,
}

impl Horizontal {
    pub fn new(axis: &Axis, values: &[f64]) -> Self {
        let (low, high) = extent(values.iter().copied());
        match axis {
            Axis::Linear => {
                let step = nice(high / 5.0);
                let ticks =
                    (0..=5).map(|index| step * f64::from(index)).filter(|tick| *tick <= high).collect();
                Self { range: 0.0..high * 1.03, ticks, ratios: false }
            }
            Axis::Powers(base) => {
                let (from, to) = ((low.ln() / base.ln()).floor(), (high.ln() / base.ln()).ceil());
                let ticks = (from as i32 - 1..=to as i32 + 1).map(|power| base.powi(power)).collect();
                Self { range: low / 1.6..high * 1.6, ticks, ratios: true }
            }
            Axis::Points => {
                let mut ticks = values.to_vec();
                ticks.sort_by(f64::total_cmp);
                ticks.dedup();
                Self { range: low / 1.3..high * 1.3, ticks, ratios: true }
            }
        }
    }

    fn place(&self, value: f64) -> f64 {
        if self.ratios { value.ln() } else { value }
    }
}

/// The nearest of 1, 2, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let ratio = value / power;
    power
        * if ratio < 1.5 {
            1.0
        } else if ratio < 3.5 {
            2.0
        } else {
            5.0
        }
}

impl Ranged for Horizontal {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (low, high) = (self.place(self.range.start), self.place(self.range.end));
        let share = (self.place(*value) - low) / (high - low);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().copied().filter(|tick| self.range.contains(tick)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Horizontal {
    fn format_ext(&self, value: &f64) -> String {
        match *value {
            extreme if (extreme < 0.1 && extreme > 0.0) || extreme >= 1e12 => format!("{extreme:e}"),
            large if large >= 1024.0 && large % 1024.0 == 0.0 && self.ratios => {
                format!("{}k", large / 1024.0)
            }
            other => format!("{other}"),
        }
    }
}

/// The smallest and the largest of positive values.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| (low.min(value), high.max(value)))
}
