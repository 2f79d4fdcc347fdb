//! The memory of a forward and a backward pass of the selective scan, each in a process of its own.

use crate::calls;
use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo_benches::{resident_bytes, wait};
use std::process::{Command, ExitCode};

/// Channels and the size of their states.
pub const CHANNELS: usize = 256;
pub const SIZE: usize = 16;

/// Bytes of inputs, output and all gradients, and the most that the process held, for them and everything else.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub tensors: usize,
    pub peak: usize,
}

/// Measures in a new process, where the system tells a process's memory.
pub fn measure(time: usize) -> Result<Option<Memory>, String> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let said = Command::new(program)
        .args(["--memory", &time.to_string()])
        .output()
        .map_err(|error| format!("cannot start a process to measure memory: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    match text.trim().parse() {
        // Of u, Δ and y, and of B and C, each with a gradient.
        Ok(peak) => {
            Ok(Some(Memory { tensors: 2 * size_of::<f32>() * time * (3 * CHANNELS + 2 * SIZE), peak }))
        }
        Err(_) => {
            Err(format!("no figure from the memory process: {}", String::from_utf8_lossy(&said.stderr)))
        }
    }
}

/// Runs one call and prints by how many bytes the process grew at most.
#[allow(clippy::print_stdout, reason = "the figure is what this process is for")]
pub fn child(time: usize) -> ExitCode {
    let Some([before, _]) = resident_bytes() else { return ExitCode::FAILURE };
    let device = Device::default().autodiff();
    let call = calls::selective(&[1, time, CHANNELS, SIZE], &device);
    let output = call.run(Form::Kernel).remove(0);
    let gradients = output.clone().backward();
    wait(&device, (gradients, output));
    let Some([_, peak]) = resident_bytes() else { return ExitCode::FAILURE };
    println!("{}", peak.saturating_sub(before));
    ExitCode::SUCCESS
}
