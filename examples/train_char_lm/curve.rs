//! The loss curve as a picture.

use plotters::prelude::*;
use seqzoo::files;
use std::path::Path;

/// Draws the held-out loss over the steps, and the unigram entropy as a level.
pub fn draw(path: &Path, points: &[(usize, f64)], unigram: f64) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let picture = picture(points, unigram).map_err(|error| failed(&error))?;
    files::write(path, picture).map_err(|error| failed(&error))
}

fn picture(
    points: &[(usize, f64)],
    unigram: f64,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut picture = String::new();
    let steps = points.last().map_or(1, |point| point.0);
    let most = points.iter().map(|point| point.1).fold(unigram, f64::max) * 1.05;
    let root = SVGBackend::with_string(&mut picture, (720, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(54)
        .build_cartesian_2d(0..steps, 0f64..most)?;
    chart
        .configure_mesh()
        .x_desc("training steps")
        .y_desc("bits per held-out byte")
        .light_line_style(TRANSPARENT)
        .draw()?;
    let grey = RGBColor(110, 110, 110);
    chart
        .draw_series(DashedLineSeries::new([(0, unigram), (steps, unigram)], 6, 4, grey.stroke_width(2)))?
        .label("unigram entropy")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], grey.stroke_width(2)));
    let blue = RGBColor(0, 114, 178);
    chart
        .draw_series(LineSeries::new(points.iter().copied(), blue.stroke_width(2)).point_size(3))?
        .label("model")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], blue.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .border_style(TRANSPARENT)
        .draw()?;
    root.present()?;
    drop((chart, root));
    Ok(picture)
}
