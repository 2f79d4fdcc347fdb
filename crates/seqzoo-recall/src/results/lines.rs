//! The results of a report in files of their own.

use super::RunResult;
use super::csv::csv;
use crate::Error;
use crate::files::write_text;
use std::path::Path;

/// Writes `results` into `directory`, as JSON lines and as a table for spreadsheets.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_lines(directory: &Path, results: &[RunResult]) -> Result<(), Error> {
    let lines: String = results
        .iter()
        .map(|result| serde_json::to_string(result).expect("a result is JSON") + "\n")
        .collect();
    write_text(&directory.join("results.jsonl"), &lines)?;
    write_text(&directory.join("results.csv"), &csv(results))
}
