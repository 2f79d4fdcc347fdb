//! Reports: a table for the terminal and for Markdown, and one self-contained HTML page.

mod comparison;
mod html;
mod plots;
mod rows;
mod table;

use crate::Error;
use crate::experiment::Experiment;
use crate::files::write_text;
use crate::results::{RunResult, Verdict};
use comparison::Comparison;
use std::path::{Path, PathBuf};
use table::Table;

/// Experiments and everything found out about their contestants.
pub struct Report {
    comparisons: Vec<Comparison>,
}

impl Report {
    /// A report over experiments and their results. Experiments on the same task with the same recipe
    /// share their tables; others follow each other.
    pub fn new(experiments: Vec<(Experiment, Vec<RunResult>)>) -> Self {
        Self { comparisons: comparison::comparisons(experiments) }
    }

    /// The outcomes of the expectations.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.comparisons.iter().flat_map(|comparison| &comparison.verdicts)
    }

    /// Every result, once.
    pub fn results(&self) -> impl Iterator<Item = &RunResult> {
        self.comparisons.iter().flat_map(|comparison| &comparison.results)
    }

    /// The tables for a terminal: who recalls, what it costs, what was expected.
    pub fn text(&self) -> String {
        let several = self.comparisons.len() > 1;
        let parts = self.comparisons.iter().map(|comparison| {
            let tables: Vec<String> = tables(comparison).iter().map(Table::terminal).collect();
            let heading = several.then(|| comparison.names());
            let parts = heading.into_iter().chain(tables).chain(comparison.missing());
            parts.collect::<Vec<_>>().join("\n\n")
        });
        parts.collect::<Vec<_>>().join("\n\n")
    }

    /// The same as Markdown, with headings and provenance.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for comparison in &self.comparisons {
            for experiment in &comparison.experiments {
                text += &format!("# {}\n\n{}\n\n", experiment.name, experiment.description.trim());
            }
            if let Some(missing) = comparison.missing() {
                text += &format!("**{missing}**\n\n");
            }
            for table in tables(comparison) {
                text += &format!("{}\n\n", table.markdown());
            }
            let provenance = rows::provenance(&comparison.experiments, &comparison.results);
            text += &format!("{}\n\n", provenance.markdown());
        }
        text.trim_end().to_string() + "\n"
    }

    /// The pictures that are files of their own, by name: of each comparison accuracy against the bytes of state, and over
    /// length and depth where there are depths.
    fn pictures(&self) -> impl Iterator<Item = (&str, String)> {
        self.comparisons.iter().flat_map(|comparison| {
            let task = &comparison.experiments[0].task; // the same for all of a comparison
            let maps = plots::heat_maps(task, &comparison.standings);
            let by_state = plots::accuracy_by_state(task, &comparison.standings);
            let maps = (!maps.is_empty()).then_some(("accuracy_over_length_and_depth", maps));
            [("accuracy_against_state", by_state)].into_iter().chain(maps)
        })
    }

    /// Writes `report.html`, `report.md`, `accuracy_against_state.svg` and, where there are depths,
    /// `accuracy_over_length_and_depth.svg` into `directory`, and says where the page is. The pictures of further
    /// comparisons are numbered from 2.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        write_text(&directory.join("report.md"), &self.markdown())?;
        let mut written: Vec<&str> = Vec::new();
        for (name, picture) in self.pictures() {
            written.push(name);
            let suffix = match written.iter().filter(|other| **other == name).count() {
                1 => String::new(),
                number => format!("_{number}"),
            };
            write_text(&directory.join(format!("{name}{suffix}.svg")), &picture)?;
        }
        let page = directory.join("report.html");
        write_text(&page, &html::page(self))?;
        Ok(page)
    }
}

fn tables(comparison: &Comparison) -> Vec<Table> {
    let Comparison { standings, verdicts, .. } = comparison;
    let mut tables = vec![rows::recall(standings), rows::cost(standings)];
    tables.extend(rows::streamed(standings));
    tables.extend(rows::blocks(standings));
    if !verdicts.is_empty() {
        tables.push(rows::verdicts(verdicts));
    }
    tables
}
