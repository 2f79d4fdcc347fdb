//! The memory of a forward and a backward pass, each in a process of its own.

use crate::subjects;
use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo_benches::{Shape, Subject, resident_bytes, wait};
use std::process::{Command, ExitCode};

/// Bytes of inputs, output and all gradients, and the max that the process held, for them and everything else.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub tensors: usize,
    pub peak: usize,
}

/// Measures in a new process, where the system tells a process's memory.
pub fn measure(subject: Subject, form: &str, shape: Shape) -> Result<Option<Memory>, String> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let said = Command::new(program)
        .args(["--memory", &subject.name(), form, &shape.time.to_string()])
        .output()
        .map_err(|error| format!("cannot start a process to measure memory: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let figures = text.trim().split_once(' ').map(|(tensors, peak)| (tensors.parse(), peak.parse()));
    let Some((Ok(tensors), Ok(peak))) = figures else {
        let error = String::from_utf8_lossy(&said.stderr);
        return Err(format!("no figures from the memory process: {error}"));
    };
    Ok(Some(Memory { tensors, peak }))
}

/// Runs one call and prints the bytes of its tensors, and by how many the process grew at most.
#[allow(clippy::print_stdout, reason = "the figures are what this process is for")]
pub fn child(what: &[String]) -> ExitCode {
    let [name, form, time] = what else { return ExitCode::FAILURE };
    let subject = subjects().find(|subject| subject.name() == *name);
    let (Some(subject), Ok(time)) = (subject, time.parse()) else { return ExitCode::FAILURE };
    let Some([before, _]) = resident_bytes() else { return ExitCode::FAILURE };
    let form = if form == "chunked" { Form::Chunked { size: 64 } } else { Form::Kernel };
    let shape = Shape { batch: 1, time, heads: 4, head_dim: 64 };
    let device = Device::default().autodiff();
    let call = subject.call(shape, &device).tracked();
    let output = call.run(form);
    let gradients = output.clone().backward();
    let numbers = 2 * (call.numbers() + output.shape().num_elements());
    wait(&device, (gradients, output));
    let Some([_, peak]) = resident_bytes() else { return ExitCode::FAILURE };
    println!("{} {}", numbers * size_of::<f32>(), peak.saturating_sub(before));
    ExitCode::SUCCESS
}
