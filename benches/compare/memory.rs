//! The memory of a forward and a backward pass, each in a process of its own.

use crate::measure::{Operator, SUBJECTS, Subject};
use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo_benches::{Shape, wait};
use std::process::{Command, ExitCode};

/// Bytes of the tensors that go in and come out, and the most that the process held for them and beside.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub tensors: usize,
    pub peak: usize,
}

/// Inputs, output and all gradients: query, key, value and output twice, the decay, and the strengths.
fn tensors(subject: Subject, shape: Shape) -> usize {
    let tokens = shape.batch * shape.time * shape.heads;
    let decay = match subject.decay {
        "vector" => 2 * shape.head_dim,
        "scalar" => 2,
        _ => 0,
    };
    let strengths = if subject.operator == Operator::Delta { 2 } else { 0 };
    tokens * (8 * shape.head_dim + decay + strengths) * size_of::<f32>()
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
    let peak = text.trim().parse::<usize>();
    let peak = peak.map_err(|_| {
        format!("no figure from the memory process: {}", String::from_utf8_lossy(&said.stderr))
    })?;
    Ok(Some(Memory { tensors: tensors(subject, shape), peak }))
}

/// Runs one call and prints by how many bytes the process grew at most.
#[allow(clippy::print_stdout, reason = "the figure is what this process is for")]
pub fn child(what: &[String]) -> ExitCode {
    let [name, form, time] = what else { return ExitCode::FAILURE };
    let subject = SUBJECTS.into_iter().find(|subject| subject.name() == *name);
    let (Some(subject), Ok(time)) = (subject, time.parse()) else { return ExitCode::FAILURE };
    let form = if form == "chunked" { Form::Chunked { size: 64 } } else { Form::Kernel };
    let shape = Shape { batch: 1, time, heads: 4, head_dim: 64 };
    let device = Device::default().autodiff();
    let before = status("VmRSS:");
    let call = subject.call(shape, &device).tracked();
    let (o, _) = call.run(form, None);
    let gradients = o.clone().backward();
    wait(&device, (gradients, o));
    println!("{}", status("VmHWM:").saturating_sub(before));
    ExitCode::SUCCESS
}

/// A figure of this process, in bytes.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap_or(0) * 1024
}
