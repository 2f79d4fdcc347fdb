//! What every picture is drawn in: a white sheet that becomes SVG, and words on it.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::fmt::Display;

/// Whether something was drawn.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

/// A part of the sheet.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture of `size` that `paint` paints on white, as SVG.
pub(super) fn picture(size: (u32, u32), paint: impl FnOnce(&Area) -> Drawn) -> String {
    let mut text = String::new();
    // Drawing into a string cannot fail for want of a file; an empty picture is the honest rest.
    if try_picture(&mut text, size, paint).is_err() {
        text.clear();
    }
    text
}

fn try_picture(text: &mut String, size: (u32, u32), paint: impl FnOnce(&Area) -> Drawn) -> Drawn {
    let sheet = SVGBackend::with_string(text, size).into_drawing_area();
    failing(sheet.fill(&WHITE))?;
    paint(&sheet)?;
    failing(sheet.present())
}

/// The error of a drawing without its borrow.
pub(super) fn failing<E: Display>(drawn: Result<(), E>) -> Drawn {
    drawn.map_err(|error| error.to_string().into())
}

/// How words are written.
#[derive(Clone, Copy)]
pub(super) struct Ink {
    pub size: i32,
    pub colour: RGBColor,
    /// The part of the words that lies at their place.
    pub held: HPos,
}

impl Ink {
    /// Black words around their place.
    pub fn black(size: i32) -> Self {
        Self { size, colour: BLACK, held: HPos::Center }
    }

    /// Writes `text` at a height that is the middle of its letters.
    pub fn write(self, area: &Area, text: &str, at: (i32, i32)) -> Drawn {
        let style = ("sans-serif", self.size).into_text_style(area).color(&self.colour);
        let style = style.pos(Pos::new(self.held, VPos::Center));
        failing(area.draw(&Text::new(text.to_string(), at, style)))
    }
}
