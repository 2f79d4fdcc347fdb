//! Reports: a table for the terminal and for Markdown, and one self-contained HTML page.

mod html;
mod plots;
mod rows;
mod table;

use crate::Error;
use crate::experiment::{Experiment, Verdict, verdicts};
use crate::results::{RunResult, Standing, standings, write_text};
use std::path::{Path, PathBuf};
use table::Table;

/// Experiments and everything found out about their contestants.
pub struct Report {
    experiments: Vec<Experiment>,
    results: Vec<RunResult>,
    standings: Vec<Standing>,
    verdicts: Vec<Verdict>,
}

impl Report {
    /// A report over the results of one or several experiments.
    pub fn new(experiments: Vec<Experiment>, results: Vec<RunResult>) -> Self {
        let standings = standings(&results);
        let verdicts = experiments
            .iter()
            .flat_map(|experiment| verdicts(&experiment.expectations, &standings))
            .collect();
        Self { experiments, results, standings, verdicts }
    }

    /// Where every contestant stands.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// What became of the expectations.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The tables for a terminal: who recalls, what it costs, what was expected.
    pub fn text(&self) -> String {
        let tables: Vec<String> = self.tables().iter().map(Table::terminal).collect();
        tables.join("\n\n")
    }

    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![rows::recall(&self.standings), rows::cost(&self.standings)];
        if !self.verdicts.is_empty() {
            tables.push(rows::verdicts(&self.verdicts));
        }
        tables
    }

    /// The same as Markdown, with headings and provenance.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for experiment in &self.experiments {
            text += &format!("# {}\n\n{}\n\n", experiment.name, experiment.description.trim());
        }
        for table in self.tables() {
            text += &format!("{}\n\n", table.markdown());
        }
        text += &format!("{}\n", rows::provenance(&self.experiments, &self.results).markdown());
        text
    }

    /// Writes `report.html` and `report.md` into `directory`, and says where the page is.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        write_text(&directory.join("report.md"), &self.markdown())?;
        let page = directory.join("report.html");
        write_text(&page, &html::page(self))?;
        Ok(page)
    }
}
