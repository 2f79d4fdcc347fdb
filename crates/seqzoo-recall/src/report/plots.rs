//! The pictures of a report, as SVG.

use crate::results::{RunResult, SliceStanding, Standing};
use crate::task::{Split, Task};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

/// The picture without its legend.
const PLOT: (u32, u32) = (610, 460);

/// The height of a line of the legend, and where its text starts.
const ENTRY: (u32, u32) = (24, 32);

/// Colours that stay apart for most kinds of colour blindness (Wong 2011), then darker repeats.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(140, 60, 20),
    RGBColor(0, 80, 60),
    RGBColor(100, 50, 120),
];

/// A line of points, with the spread over seeds at each.
struct Series {
    name: String,
    /// (x, accuracy, lowest, highest)
    points: Vec<(f64, f64, f64, f64)>,
}

/// The level of guessing, over x.
struct Chance {
    name: String,
    points: Vec<(f64, f64)>,
}

/// How the x axis is divided.
enum Axis {
    Linear,
    /// Ticks at powers of the base, between which a distance is a ratio.
    Powers(f64),
    /// Ticks where there are points, between which a distance is a ratio.
    Points,
}

/// Accuracy against the bytes of state that it takes.
pub(super) fn accuracy_by_state(task: &Task, standings: &[Standing]) -> String {
    let series = by_contestant(standings, |standing| {
        let (least, most) = standing
            .rates
            .iter()
            .find(|rate| rate.learning_rate == standing.learning_rate)
            .map_or((standing.accuracy, standing.accuracy), |rate| (rate.least, rate.most));
        vec![(standing.state.total() as f64, standing.accuracy, least, most)]
    });
    let slices = task.segments(Split::Test);
    let level = |index: usize| {
        slices.iter().map(|(slice, _)| task.chance(*slice)[index].1).sum::<f64>() / slices.len() as f64
    };
    let names = task.chance(slices[0].0).into_iter().map(|(name, _)| name);
    let (low, high) = extent(series.iter().flat_map(|series| series.points.iter().map(|point| point.0)));
    let flat = |index| vec![(low / 2.0, level(index)), (high * 2.0, level(index))];
    let chances =
        names.enumerate().map(|(index, name)| Chance { name: name.into(), points: flat(index) }).collect();
    draw("state of one sequence after the longest test example, bytes", Axis::Powers(2.0), series, chances)
}

/// What makes the slices of a task harder: the number of pairs where it has any, or else the length.
pub(super) fn difficulty(task: &Task) -> &'static str {
    let has_pairs = task.segments(Split::Test).iter().any(|(slice, _)| slice.pairs.is_some());
    if has_pairs { "the number of pairs" } else { "the length" }
}

/// Accuracy against what makes the slices harder.
pub(super) fn accuracy_by_difficulty(task: &Task, standings: &[Standing]) -> String {
    let series = widest(standings).iter().flat_map(by_length).collect();
    let mut chances: Vec<Chance> = Vec::new();
    for (slice, _) in task.segments(Split::Test) {
        for (name, level) in task.chance(slice) {
            let point = (slice.difficulty() as f64, level);
            match chances.iter_mut().find(|chance| chance.name == name) {
                Some(chance) if chance.points.contains(&point) => {}
                Some(chance) => chance.points.push(point),
                None => chances.push(Chance { name: name.into(), points: vec![point] }),
            }
        }
    }
    for chance in &mut chances {
        chance.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    draw(difficulty(task).trim_start_matches("the "), Axis::Points, series, chances)
}

/// Accuracy against the learning rate.
pub(super) fn accuracy_by_rate(standings: &[Standing]) -> String {
    let series = by_contestant(&widest(standings), |standing| {
        standing.rates.iter().map(|rate| (rate.learning_rate, rate.mean, rate.least, rate.most)).collect()
    });
    draw("learning rate", Axis::Points, series, Vec::new())
}

/// Mean accuracy against training steps, of the runs at the best rate with the first seed.
pub(super) fn accuracy_by_step(standings: &[Standing], results: &[RunResult]) -> String {
    let series = by_contestant(&widest(standings), |standing| {
        let run = results.iter().find(|result| {
            (&result.contestant, result.width, result.learning_rate)
                == (&standing.contestant, standing.width, standing.learning_rate)
        });
        let Some(run) = run else { return Vec::new() };
        run.curve
            .iter()
            .map(|point| {
                let mean =
                    point.slices.iter().map(|slice| slice.accuracy).sum::<f64>() / point.slices.len() as f64;
                (point.step as f64, mean, mean, mean)
            })
            .collect()
    });
    draw("training steps", Axis::Linear, series, Vec::new())
}

/// Accuracy over the difficulty: one line, or one per length where several lengths have the same
/// number of pairs.
fn by_length(standing: &Standing) -> Vec<Series> {
    let line = |name: String, slices: &[SliceStanding]| {
        let mut points: Vec<_> = slices
            .iter()
            .map(|entry| (entry.slice.difficulty() as f64, entry.median, entry.least, entry.most))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series { name, points }
    };
    let mut slices = standing.slices.clone();
    slices.sort_by_key(|entry| entry.slice.difficulty());
    if slices.windows(2).all(|two| two[0].slice.difficulty() < two[1].slice.difficulty()) {
        return vec![line(standing.contestant.clone(), &slices)];
    }
    slices.sort_by_key(|entry| entry.slice.length);
    slices
        .chunk_by(|a, b| a.slice.length == b.slice.length)
        .map(|group| line(format!("{}, {} tokens", standing.contestant, group[0].slice.length), group))
        .collect()
}

/// One series per contestant; several widths follow each other in it.
fn by_contestant(
    standings: &[Standing],
    points: impl Fn(&Standing) -> Vec<(f64, f64, f64, f64)>,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for standing in standings {
        let new = points(standing);
        match all.iter_mut().find(|series| series.name == standing.contestant) {
            Some(series) => series.points.extend(new),
            None => all.push(Series { name: standing.contestant.clone(), points: new }),
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    all
}

/// The standing of every contestant at its largest width.
fn widest(standings: &[Standing]) -> Vec<Standing> {
    let beaten = |standing: &Standing| {
        standings.iter().any(|other| other.contestant == standing.contestant && other.width > standing.width)
    };
    standings.iter().filter(|standing| !beaten(standing)).cloned().collect()
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| (low.min(value), high.max(value)))
}

fn draw(label: &str, axis: Axis, series: Vec<Series>, chances: Vec<Chance>) -> String {
    let mut text = String::new();
    // Drawing into a string cannot fail for want of a file; an empty picture is the honest rest.
    if try_draw(&mut text, label, axis, &series, &chances).is_err() {
        text.clear();
    }
    text
}

fn try_draw(
    text: &mut String,
    label: &str,
    axis: Axis,
    series: &[Series],
    chances: &[Chance],
) -> Result<(), Box<dyn std::error::Error>> {
    let values: Vec<f64> =
        series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
    if values.is_empty() {
        return Ok(());
    }
    let horizontal = Horizontal::new(&axis, &values);
    let names = series.iter().map(|series| &series.name).chain(chances.iter().map(|chance| &chance.name));
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0) as u32;
    let entries = (series.len() + chances.len()) as u32;
    let size = (PLOT.0 + ENTRY.1 + 8 * longest.max(27), PLOT.1.max(60 + ENTRY.0 * entries));
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    let (picture, legend) = root.split_horizontally(PLOT.0);
    let (plot, _) = picture.split_vertically(PLOT.1);
    let mut chart = ChartBuilder::on(&plot)
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(horizontal, -0.02f64..1.02f64)?;
    chart
        .configure_mesh()
        .x_desc(label)
        .y_desc("accuracy")
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .y_labels(6)
        .y_label_formatter(&|value| format!("{value:.1}"))
        .draw()?;

    let grey = RGBColor(120, 120, 120);
    let mut row = Legend { area: &legend, y: 40 };
    for (index, line) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path = line.points.iter().map(|point| (point.0, point.1));
        chart.draw_series(LineSeries::new(path, colour.stroke_width(2)))?;
        chart.draw_series(
            line.points.iter().map(|point| Circle::new((point.0, point.1), 5, colour.filled())),
        )?;
        let spreads = line.points.iter().filter(|point| point.2 < point.3);
        chart.draw_series(spreads.map(|point| {
            PathElement::new(vec![(point.0, point.2), (point.0, point.3)], colour.stroke_width(1))
        }))?;
        row.entry(&line.name, colour, 20, 0, true)?;
    }
    // On top, so that a contestant that only guesses does not hide the level of guessing.
    for (chance, (dash, gap)) in chances.iter().zip([(6, 4), (2, 3)].into_iter().cycle()) {
        let points = chance.points.iter().copied();
        chart.draw_series(DashedLineSeries::new(points, dash, gap, grey.stroke_width(2)))?;
        row.entry(&chance.name, grey, dash, gap, false)?;
    }
    root.present()?;
    Ok(())
}

/// The legend beside a picture, filled from the top.
struct Legend<'a, 'b> {
    area: &'a DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    y: i32,
}

impl Legend<'_, '_> {
    /// A sample of a line, dashed where there is a gap, and its name.
    fn entry(
        &mut self,
        name: &str,
        colour: RGBColor,
        dash: i32,
        gap: i32,
        dot: bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (mut x, y) = (4, self.y);
        while x < 24 {
            let line = vec![(x, y), ((x + dash).min(24), y)];
            self.area
                .draw(&PathElement::new(line, colour.stroke_width(2)))
                .map_err(|error| error.to_string())?;
            x += dash + gap;
        }
        if dot {
            self.area.draw(&Circle::new((14, y), 5, colour.filled())).map_err(|error| error.to_string())?;
        }
        let text = Text::new(name.to_string(), (ENTRY.1 as i32, y - 7), ("sans-serif", 14));
        self.area.draw(&text).map_err(|error| error.to_string())?;
        self.y += ENTRY.0 as i32;
        Ok(())
    }
}

/// The x axis: linear, or with ratios as distances, and ticks at places that mean something.
#[derive(Clone)]
struct Horizontal {
    range: Range<f64>,
    ticks: Vec<f64>,
    ratios: bool,
}

impl Horizontal {
    fn new(axis: &Axis, values: &[f64]) -> Self {
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
