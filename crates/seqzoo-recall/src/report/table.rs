//! A table, and three ways to write it.

use comfy_table::{CellAlignment, ContentArrangement, TableStyle, presets};

/// Cells of text under headings. The first column is a name.
pub(super) struct Table {
    pub headings: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Whether the columns after the first are numbers, to be set flush right.
    pub numbers: bool,
}

/// A cell, and how a page shows it.
pub(super) struct Cell {
    pub text: String,
    pub look: Look,
}

/// How a page shows a cell.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Plain,
    Good,
    Bad,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), look: Look::Plain }
    }
}

impl Table {
    pub fn terminal(&self) -> String {
        self.drawn(presets::UTF8_FULL_CONDENSED, |text| text.to_string())
    }

    pub fn markdown(&self) -> String {
        self.drawn(presets::ASCII_MARKDOWN, |text| text.replace('|', "\\|"))
    }

    fn drawn(&self, style: TableStyle, escape: impl Fn(&str) -> String) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.headings.iter().map(|heading| escape(heading)));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| escape(&cell.text)));
        }
        if self.numbers {
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    pub fn html(&self) -> String {
        let class = if self.numbers { "numbers" } else { "words" };
        let headings: String =
            self.headings.iter().map(|heading| format!("<th>{}</th>", escaped(heading))).collect();
        let rows: String = self
            .rows
            .iter()
            .map(|row| format!("<tr>{}</tr>\n", row.iter().map(Cell::html).collect::<String>()))
            .collect();
        format!(
            "<table class=\"{class}\"><thead><tr>{headings}</tr>\n</thead><tbody>\n{rows}</tbody></table>"
        )
    }
}

impl Cell {
    fn html(&self) -> String {
        let class = match self.look {
            Look::Plain => "",
            Look::Good => " class=\"good\"",
            Look::Bad => " class=\"bad\"",
        };
        format!("<td{class}>{}</td>", escaped(&self.text))
    }
}

/// `text` with the characters that mean something in HTML written out.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
