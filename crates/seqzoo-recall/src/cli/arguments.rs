//! The arguments of the command line.

use crate::experiment::Shard;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Trains and scores sequence layers on recall tasks, and reports who remembers and what it costs.
#[derive(Debug, Parser)]
#[command(
    name = "recall",
    version,
    after_help = "Examples:\n  recall quick                      all layers on a small task, in minutes\n  \
    recall show mqar                  see the task\n  recall run tiny --out runs/tiny   a shipped experiment\n  \
    recall run mine.toml --strict     your own, failing if an expectation fails\n  \
    recall report runs/a runs/b       one report over several\n\n\
    Exit codes: 0 done, 1 an expectation failed under --strict, 2 bad input, 130 interrupted."
)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
    /// The flags of every command.
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trains all layers on a small recall task, in minutes, and writes a report.
    Quick,
    /// Runs an experiment: a TOML file, or the name of a shipped one (see `list`).
    Run {
        /// The experiment.
        #[arg(value_name = "CONFIG.toml | NAME")]
        experiment: String,
    },
    /// Lists tasks, layers, shipped experiments and devices.
    List,
    /// Prints a few examples of a task.
    Show {
        /// The task, or an experiment whose task to show.
        #[arg(value_name = "TASK | CONFIG.toml | NAME")]
        task: String,
        /// How many examples of each segment.
        #[arg(long, default_value_t = 1)]
        examples: u64,
    },
    /// Scores a model that is there on the tests of an experiment, without training it.
    Score {
        /// The experiment whose task and tests to take.
        #[arg(value_name = "CONFIG.toml | NAME")]
        experiment: String,
        /// A directory that `LanguageModel::save` wrote, or `run --keep-models`.
        #[arg(long, value_name = "DIR")]
        model: PathBuf,
    },
    /// Writes one report over the results in one or several directories.
    Report {
        /// Directories that `quick` or `run` wrote.
        #[arg(required = true, value_name = "DIR")]
        directories: Vec<PathBuf>,
    },
}

/// Flags that every command takes.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// The device to compute on; the first one compiled in if left out (see `list`).
    #[arg(long, global = true, value_name = "NAME")]
    pub device: Option<String>,
    /// Replaces the experiment's seeds by this one.
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// The directory for results and report; `runs/` and the experiment's name if left out, `runs/report`
    /// for a report over several directories.
    #[arg(long, global = true, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continues what an earlier command left in the directory.
    #[arg(long, global = true)]
    pub resume: bool,
    /// Threads for tensor operations on the CPU; all cores if left out.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Runs trained side by side, where one alone leaves cores idle.
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: u16,
    /// Does one share of an experiment's runs, in a directory of its own; `report` merges the directories.
    #[arg(long, global = true, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Keeps the trained models, in `runs/<key>/model`, for `score` or a program of one's own.
    #[arg(long, global = true)]
    pub keep_models: bool,
    /// Prints results as JSON lines instead of the table.
    #[arg(long, global = true)]
    pub json: bool,
    /// Ends with exit code 1 if an expectation fails.
    #[arg(long, global = true)]
    pub strict: bool,
}
