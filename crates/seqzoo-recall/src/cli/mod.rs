//! The command line of the `recall` binary.

mod arguments;
mod halving;
mod list;
mod run;
mod score;
mod show;
mod work;

pub use arguments::Arguments;

use crate::Error;
use arguments::Command;
use clap::Parser;
use std::process::ExitCode;

/// An expectation failed under `--strict`.
const EXPECTATION_FAILED: u8 = 1;
/// The input was bad, or a file could not be read or written.
const BAD_INPUT: u8 = 2;
/// The user stopped the program.
const INTERRUPTED: u8 = 130;

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXPECTATION_FAILED),
        Err(error) => {
            eprintln!("recall: {error}");
            ExitCode::from(match error {
                Error::Interrupted => INTERRUPTED,
                _ => BAD_INPUT,
            })
        }
    }
}

/// Whether everything expected held, or nobody insisted.
fn dispatch(arguments: &Arguments) -> Result<bool, Error> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Quick => run::quick(common),
        Command::Run { experiment } => run::named(experiment, common),
        Command::Report { directories } => run::report(directories, common),
        Command::Score { experiment, model } => score::score(experiment, model, common),
        Command::List => list::list(common),
        Command::Show { task, examples } => show::show(task, *examples, common),
    }
}

/// Writes to the standard output, and says whether somebody still reads it. A reader that has gone away is
/// no error of ours.
fn print(text: &str) -> bool {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").is_ok()
}
