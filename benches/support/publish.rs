//! A page of figures, from the command line to its file.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The command of the program `bin` that runs, as one would type it.
pub fn command(bin: &str) -> String {
    let mut command = format!("cargo run --release --bin {bin} --");
    let mut python = false;
    for argument in std::env::args().skip(1) {
        command += " ";
        command += if python { "python3" } else { &argument };
        python = argument == "--python";
    }
    command
}

/// Makes a page and writes it to `out`, or prints it. A folder that is not there is named before anything is measured.
pub fn publish(out: Option<&Path>, page: impl FnOnce() -> Result<String, String>) -> ExitCode {
    let written = room_for(out).and_then(|()| page()).and_then(|text| match out {
        Some(path) => {
            seqzoo::files::write(path, text).map_err(|error| format!("cannot write {path:?}: {error}"))
        }
        None => {
            writeln!(std::io::stdout(), "{text}").map_err(|error| format!("cannot print the page: {error}"))
        }
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn room_for(out: Option<&Path>) -> Result<(), String> {
    let Some(path) = out else { return Ok(()) };
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(format!("cannot write {path:?}: there is no folder {folder:?}")),
        None => Ok(()),
    }
}
