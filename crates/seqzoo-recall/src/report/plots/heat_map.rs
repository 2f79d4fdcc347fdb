//! Heat maps: accuracy over length and depth, a panel for every contestant.

use super::frame::{Area, Drawn, Ink, failing, picture};
use crate::results::wilson;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The size of a cell, and the room around the cells of a panel.
const CELL: (i32, i32) = (64, 34);
const LEFT: i32 = 66;
const TOP: i32 = 34;
const BELOW: i32 = 62;
const RIGHT: i32 = 18;

/// How many panels stand side by side.
const COLUMNS: usize = 3;

/// A cell: the accuracy there and on how many examples.
pub(super) struct HeatCell {
    pub length: usize,
    pub depth: usize,
    pub accuracy: f64,
    pub examples: usize,
}

/// The map of one contestant.
pub(super) struct Panel {
    pub name: String,
    pub cells: Vec<HeatCell>,
}

/// The maps of all contestants as one SVG, the longest training length marked; nothing without cells.
pub(super) fn draw(panels: &[Panel], trained: usize) -> String {
    let Some(first) = panels.iter().find(|panel| !panel.cells.is_empty()) else { return String::new() };
    let grid = Grid::of(&first.cells);
    let (width, height) = grid.panel();
    let columns = panels.len().min(COLUMNS);
    let rows = panels.len().div_ceil(columns);
    let size = ((width as usize * columns) as u32, (height as usize * rows) as u32);
    picture(size, |sheet| {
        let areas = sheet.split_evenly((rows, columns));
        areas.iter().zip(panels).try_for_each(|(area, panel)| grid.draw(area, panel, trained))
    })
}

/// The lengths from left to right, and the depths from top to bottom.
struct Grid {
    lengths: Vec<usize>,
    depths: Vec<usize>,
}

impl Grid {
    fn of(cells: &[HeatCell]) -> Self {
        let sorted = |mut values: Vec<usize>| {
            values.sort_unstable();
            values.dedup();
            values
        };
        Self {
            lengths: sorted(cells.iter().map(|cell| cell.length).collect()),
            depths: sorted(cells.iter().map(|cell| cell.depth).collect()),
        }
    }

    /// The size of the cells together.
    fn size(&self) -> (i32, i32) {
        (self.lengths.len() as i32 * CELL.0, self.depths.len() as i32 * CELL.1)
    }

    /// The size of a panel.
    fn panel(&self) -> (i32, i32) {
        let (width, height) = self.size();
        (LEFT + width + RIGHT, TOP + height + BELOW)
    }

    fn draw(&self, area: &Area, panel: &Panel, trained: usize) -> Drawn {
        let (width, height) = self.size();
        let middle = LEFT + width / 2;
        Ink::black(16).write(area, &panel.name, (middle, TOP / 2))?;
        for cell in &panel.cells {
            let column = self.lengths.iter().position(|length| *length == cell.length);
            let row = self.depths.iter().position(|depth| *depth == cell.depth);
            if let (Some(column), Some(row)) = (column, row) {
                draw_cell(area, cell, (LEFT + column as i32 * CELL.0, TOP + row as i32 * CELL.1))?;
            }
        }
        let small = Ink::black(12);
        for (row, depth) in self.depths.iter().enumerate() {
            let at = (LEFT - 20, TOP + row as i32 * CELL.1 + CELL.1 / 2);
            small.write(area, &depth.to_string(), at)?;
        }
        for (column, length) in self.lengths.iter().enumerate() {
            let at = (LEFT + column as i32 * CELL.0 + CELL.0 / 2, TOP + height + 12);
            small.write(area, &length.to_string(), at)?;
        }
        let turned = ("sans-serif", 12).into_text_style(area).transform(FontTransform::Rotate270);
        let turned = turned.pos(Pos::new(HPos::Center, VPos::Center));
        failing(area.draw(&Text::new("depth, %".to_string(), (16, TOP + height / 2), turned)))?;
        small.write(area, "tokens", (middle, TOP + height + 28))?;
        self.mark_training(area, trained)
    }

    /// A line after the longest length that was trained on.
    fn mark_training(&self, area: &Area, trained: usize) -> Drawn {
        let columns = self.lengths.iter().filter(|length| **length <= trained).count() as i32;
        let (x, bottom) = (LEFT + columns * CELL.0, TOP + self.size().1);
        let red = RGBColor(200, 0, 0);
        let line = vec![(x, TOP - 4), (x, bottom + 36)];
        failing(area.draw(&PathElement::new(line, red.stroke_width(3))))?;
        let at = (x.max(LEFT + 40), bottom + 46);
        Ink { colour: red, ..Ink::black(12) }.write(area, &format!("trained to {trained}"), at)
    }
}

/// A coloured cell with its accuracy, and below it the interval.
fn draw_cell(area: &Area, cell: &HeatCell, (x, y): (i32, i32)) -> Drawn {
    let colour = ViridisRGB.get_color(cell.accuracy as f32);
    failing(area.draw(&Rectangle::new([(x, y), (x + CELL.0 - 1, y + CELL.1 - 1)], colour.filled())))?;
    let ink = |size| Ink { colour: if cell.accuracy < 0.6 { WHITE } else { BLACK }, ..Ink::black(size) };
    let (low, high) = wilson(cell.accuracy, cell.examples);
    ink(13).write(area, &format!("{:.2}", cell.accuracy), (x + CELL.0 / 2, y + 11))?;
    ink(10).write(area, &format!("{low:.2} – {high:.2}"), (x + CELL.0 / 2, y + 25))
}
