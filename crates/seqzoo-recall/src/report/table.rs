//! A table, and three ways to write it.

use comfy_table::{CellAlignment, ContentArrangement, TableStyle, presets};

/// Cells of text under headings. The first column is a name, the others are numbers.
pub(super) struct Table {
    pub headings: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Whether the columns behind the first are numbers, to be set flush right.
    pub numbers: bool,
}

impl Table {
    pub fn terminal(&self) -> String {
        self.drawn(presets::UTF8_FULL_CONDENSED)
    }

    pub fn markdown(&self) -> String {
        let escaped = |cells: &Vec<String>| cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let rows = self.rows.iter().map(escaped).collect();
        Self { headings: escaped(&self.headings), rows, numbers: self.numbers }.drawn(presets::ASCII_MARKDOWN)
    }

    fn drawn(&self, style: TableStyle) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(&self.headings);
        for row in &self.rows {
            table.add_row(row);
        }
        if self.numbers {
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    pub fn html(&self) -> String {
        let cells = |tag: &str, row: &[String]| {
            let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
            format!("<tr>{cells}</tr>\n")
        };
        let class = if self.numbers { "numbers" } else { "words" };
        let body: String = self.rows.iter().map(|row| cells("td", row)).collect();
        format!(
            "<table class=\"{class}\"><thead>{}</thead><tbody>\n{body}</tbody></table>",
            cells("th", &self.headings)
        )
    }
}

/// `text` with the characters that mean something in HTML written out.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
