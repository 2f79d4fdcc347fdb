//! Drawing: lines, points, their spread, the levels of guessing and a legend.

use super::axis::{Axis, Horizontal};
use super::frame::{Area, Drawn, failing, picture};
use plotters::prelude::*;

/// The picture without its legend.
const PLOT: (u32, u32) = (610, 460);

/// The height of a line of the legend, and where its text starts.
const ENTRY: (u32, u32) = (24, 32);

/// Colours that stay apart for most kinds of colour blindness (Wong 2011), then darker repeats.
pub(super) const COLOURS: [RGBColor; 10] = [
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
pub(super) struct Series {
    pub name: String,
    /// (x, accuracy, lowest, highest)
    pub points: Vec<(f64, f64, f64, f64)>,
}

/// The level of guessing, over x.
pub(super) struct Chance {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// The picture as SVG; nothing without points.
pub(super) fn draw(label: &str, axis: Axis, series: &[Series], chances: &[Chance]) -> String {
    let values: Vec<f64> =
        series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
    if values.is_empty() {
        return String::new();
    }
    let horizontal = Horizontal::new(&axis, &values);
    let names = series.iter().map(|series| &series.name).chain(chances.iter().map(|chance| &chance.name));
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0) as u32;
    let entries = (series.len() + chances.len()) as u32;
    let size = (PLOT.0 + ENTRY.1 + 8 * longest.max(27), PLOT.1.max(60 + ENTRY.0 * entries));
    picture(size, |sheet| paint(sheet, label, horizontal, series, chances))
}

fn paint(sheet: &Area, label: &str, horizontal: Horizontal, series: &[Series], chances: &[Chance]) -> Drawn {
    let (picture, legend) = sheet.split_horizontally(PLOT.0);
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
    Ok(())
}

/// The legend beside a picture, filled from the top.
struct Legend<'a, 'b> {
    area: &'a Area<'b>,
    y: i32,
}

impl Legend<'_, '_> {
    /// A sample of a line, dashed where there is a gap, and its name.
    fn entry(&mut self, name: &str, colour: RGBColor, dash: i32, gap: i32, dot: bool) -> Drawn {
        let (mut x, y) = (4, self.y);
        while x < 24 {
            let line = vec![(x, y), ((x + dash).min(24), y)];
            failing(self.area.draw(&PathElement::new(line, colour.stroke_width(2))))?;
            x += dash + gap;
        }
        if dot {
            failing(self.area.draw(&Circle::new((14, y), 5, colour.filled())))?;
        }
        let text = Text::new(name.to_string(), (ENTRY.1 as i32, y - 7), ("sans-serif", 14));
        failing(self.area.draw(&text))?;
        self.y += ENTRY.0 as i32;
        Ok(())
    }
}
