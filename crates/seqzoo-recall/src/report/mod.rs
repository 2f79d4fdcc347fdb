//! Reports: a table for the terminal and for Markdown, and one self-contained HTML page.

mod html;
mod plots;
mod rows;
mod table;

use crate::Error;
use crate::experiment::{Experiment, Verdict, verdicts};
use crate::results::{RunResult, Standing, standings, write_text};
use std::path::{Path, PathBuf};

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

    /// The table and the expectations, as wide as the terminal needs.
    pub fn text(&self) -> String {
        let mut text = rows::standings(&self.standings).terminal();
        if !self.verdicts.is_empty() {
            text += "\n\n";
            text += &rows::verdicts(&self.verdicts).terminal();
        }
        text
    }

    /// The same as Markdown, with headings and provenance.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for experiment in &self.experiments {
            text += &format!("# {}\n\n{}\n\n", experiment.name, experiment.description.trim());
        }
        text += &format!("{}\n\n", rows::standings(&self.standings).markdown());
        if !self.verdicts.is_empty() {
            text += &format!("{}\n\n", rows::verdicts(&self.verdicts).markdown());
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
