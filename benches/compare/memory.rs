//! The memory of a forward and a backward pass, each in a process of its own.

use crate::measure::decay;
use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{LinearAttentionOptions, linear_attention};
use seqzoo_benches::{Shape, tokens, track, wait};
use std::process::{Command, ExitCode};

/// Bytes of the tensors that go in and come out, and the most that the process held for them and beside.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub tensors: usize,
    pub peak: usize,
}

/// Inputs, output and all gradients: query, key, value and output twice, and the decay.
fn tensors(name: &str, shape: Shape) -> usize {
    let tokens = shape.batch * shape.time * shape.heads;
    let decay = match name {
        "vector" => 2 * shape.head_dim,
        "scalar" => 2,
        _ => 0,
    };
    tokens * (8 * shape.head_dim + decay) * size_of::<f32>()
}

/// Measures in a new process, where the system tells a process's memory.
pub fn measure(name: &str, form: &str, shape: Shape) -> Result<Option<Memory>, String> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let said = Command::new(program)
        .args(["--memory", name, form, &shape.time.to_string()])
        .output()
        .map_err(|error| format!("cannot start a process to measure memory: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let peak = text.trim().parse::<usize>();
    let peak = peak.map_err(|_| {
        format!("no figure from the memory process: {}", String::from_utf8_lossy(&said.stderr))
    })?;
    Ok(Some(Memory { tensors: tensors(name, shape), peak }))
}

/// Runs one call and prints by how many bytes the process grew at most.
#[allow(clippy::print_stdout, reason = "the figure is what this process is for")]
pub fn child(what: &[String]) -> ExitCode {
    let [name, form, time] = what else { return ExitCode::FAILURE };
    let Ok(time) = time.parse() else { return ExitCode::FAILURE };
    let form = if form == "chunked" { Form::Chunked { size: 64 } } else { Form::Kernel };
    let shape = Shape { batch: 1, time, heads: 4, head_dim: 64 };
    let device = Device::default().autodiff();
    let before = status("VmRSS:");
    let [q, k, v] = [(); 3].map(|()| tokens(shape, &device).require_grad());
    let log = track(decay(name, shape, &device));
    let options = LinearAttentionOptions { form, ..Default::default() };
    let (o, _) = linear_attention(q.clone(), k.clone(), v.clone(), log.clone(), options);
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
