//! Strips: every seed of every contestant as a dot, because a mean hides that some seeds learn and others do not.

use super::chart::COLOURS;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The height of a row, and the width of the dots' field.
const ROW: i32 = 26;
const FIELD: i32 = 480;
const MARGIN: i32 = 16;
const BELOW: i32 = 48;

/// One contestant and the accuracies of its seeds.
pub(super) struct Row {
    pub name: String,
    pub values: Vec<f64>,
}

/// The picture as SVG.
pub(super) fn draw(rows: &[Row]) -> String {
    let mut text = String::new();
    // Drawing into a string cannot fail for want of a file; an empty picture is the honest rest.
    if try_draw(&mut text, rows).is_err() {
        text.clear();
    }
    text
}

fn try_draw(text: &mut String, rows: &[Row]) -> Result<(), Box<dyn std::error::Error>> {
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0) as i32;
    let left = MARGIN + 8 * longest + 12;
    let bottom = MARGIN + ROW * rows.len() as i32;
    let size = ((left + FIELD + 2 * MARGIN) as u32, (bottom + BELOW) as u32);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let x = |accuracy: f64| left + (accuracy * f64::from(FIELD)).round() as i32;
    let style = |size: i32, across: HPos| {
        ("sans-serif", size).into_text_style(&root).pos(Pos::new(across, VPos::Center))
    };
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        let line = vec![(x(tick), MARGIN), (x(tick), bottom)];
        root.draw(&PathElement::new(line, RGBColor(225, 225, 225)))?;
        let at = (x(tick), bottom + 12);
        root.draw(&Text::new(format!("{tick:.1}"), at, style(13, HPos::Center)))?;
    }
    root.draw(&Text::new("accuracy".to_string(), (x(0.5), bottom + 32), style(15, HPos::Center)))?;
    for (index, row) in rows.iter().enumerate() {
        let y = MARGIN + ROW * index as i32 + ROW / 2;
        root.draw(&Text::new(row.name.clone(), (left - 12, y), style(14, HPos::Right)))?;
        let colour = COLOURS[index % COLOURS.len()];
        for value in &row.values {
            root.draw(&Circle::new((x(*value), y), 6, colour.mix(0.65).filled()))?;
        }
    }
    root.present()?;
    Ok(())
}
