//! Strips: every seed of every contestant as a dot, because a mean hides that some seeds learn and others do not.

use super::chart::COLOURS;
use super::frame::{Area, Drawn, Ink, failing, picture};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

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
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0) as i32;
    let left = MARGIN + 8 * longest + 12;
    let bottom = MARGIN + ROW * rows.len() as i32;
    let size = ((left + FIELD + 2 * MARGIN) as u32, (bottom + BELOW) as u32);
    picture(size, |sheet| paint(sheet, rows, left, bottom))
}

/// The dots in their field, which begins at `left` and ends at `bottom`.
fn paint(sheet: &Area, rows: &[Row], left: i32, bottom: i32) -> Drawn {
    let x = |accuracy: f64| left + (accuracy * f64::from(FIELD)).round() as i32;
    for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        let line = vec![(x(tick), MARGIN), (x(tick), bottom)];
        failing(sheet.draw(&PathElement::new(line, RGBColor(225, 225, 225))))?;
        Ink::black(13).write(sheet, &format!("{tick:.1}"), (x(tick), bottom + 12))?;
    }
    Ink::black(15).write(sheet, "accuracy", (x(0.5), bottom + 32))?;
    for (index, row) in rows.iter().enumerate() {
        let y = MARGIN + ROW * index as i32 + ROW / 2;
        Ink { held: HPos::Right, ..Ink::black(14) }.write(sheet, &row.name, (left - 12, y))?;
        let colour = COLOURS[index % COLOURS.len()];
        for value in &row.values {
            failing(sheet.draw(&Circle::new((x(*value), y), 6, colour.mix(0.65).filled())))?;
        }
    }
    Ok(())
}
