//! The memory of a forward and a backward pass of causal attention, each in a process of its own.

use crate::tasks::TASKS;
use burn::tensor::Device;
use seqzoo_benches::{resident_bytes, wait};
use std::process::{Command, ExitCode};

pub const HEADS: usize = 4;
pub const HEAD_DIM: usize = 64;

/// The most bytes that a new process grew by, where the system tells.
pub fn measure(time: usize) -> Result<Option<usize>, String> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let said = Command::new(program)
        .args(["--memory", &time.to_string()])
        .output()
        .map_err(|error| format!("cannot start a process to measure memory: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let figure = text.trim().parse().ok();
    let error = || format!("no figure from the memory process: {}", String::from_utf8_lossy(&said.stderr));
    Ok(Some(figure.ok_or_else(error)?))
}

/// Runs one call and prints by how many bytes the process grew at most.
#[allow(clippy::print_stdout, reason = "the figure is what this process is for")]
pub fn child(time: usize) -> ExitCode {
    let Some([before, _]) = resident_bytes() else { return ExitCode::FAILURE };
    let device = Device::default().autodiff();
    let output = (TASKS[0].call)(&[1, time, HEADS, HEAD_DIM], &device)();
    let gradients = output.clone().square().sum().backward();
    wait(&device, (gradients, output));
    let Some([_, peak]) = resident_bytes() else { return ExitCode::FAILURE };
    println!("{}", peak.saturating_sub(before));
    ExitCode::SUCCESS
}
