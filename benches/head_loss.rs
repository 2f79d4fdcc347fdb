//! What the loss of a language model's head costs in memory and time: in blocks, and with the logits of all positions.
//!
//! Every measurement is a process of its own, since a process never forgets its largest memory.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Distribution, Int, Tensor};
use clap::Parser;
use seqzoo::ops::Form;
use seqzoo::ops::cross_entropy::{CrossEntropyOptions, Head, cross_entropy};
use seqzoo_benches::{command, processor, publish, resident_bytes, wait};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NAMES: [&str; 3] =
    ["blocks, kernel", "blocks, tensor operations", "all logits, Burn's `CrossEntropyLoss`"];

/// Memory and time of a head and its loss.
#[derive(Parser)]
struct Arguments {
    /// Positions.
    #[arg(long, default_value_t = 4096)]
    positions: usize,
    /// Channels before the head.
    #[arg(long, default_value_t = 512)]
    channels: usize,
    /// Classes.
    #[arg(long, default_value_t = 32_000)]
    classes: usize,
    /// Processes of every contestant, in turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The file for the page; it is printed without one.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Measures the contestant of this number, and prints figures alone.
    #[arg(long, hide = true)]
    only: Option<usize>,
}

/// Of one process.
struct Figures {
    /// Bytes beyond the inputs, at most.
    peak: f64,
    /// Seconds of a call without gradients.
    forward: f64,
    /// Seconds of a forward and a backward pass.
    both: f64,
}

fn loss(contestant: usize, hidden: Tensor<2>, weight: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let form = match contestant {
        0 => Form::Kernel,
        1 => Form::Chunked { size: 512 },
        _ => {
            let loss = CrossEntropyLossConfig::new().init(&hidden.device());
            return loss.forward(hidden.matmul(weight), targets);
        }
    };
    let options = CrossEntropyOptions { form, ..Default::default() };
    cross_entropy(hidden, Head::linear(weight), targets, options)
}

/// One pass without gradients and one with both directions, and the same again, which counts.
fn measure(contestant: usize, arguments: &Arguments) -> Result<Figures, String> {
    let Arguments { positions, channels, classes, .. } = *arguments;
    let device = Device::default().autodiff();
    let normal = |shape: [usize; 2], deviation| {
        Tensor::<2>::random(shape, Distribution::Normal(0.0, deviation), &device)
    };
    let hidden = normal([positions, channels], 1.0).require_grad();
    let weight = normal([channels, classes], 0.02).require_grad();
    let targets = Tensor::<1, Int>::arange(0..positions as i64, &device).remainder_scalar(classes as i64);
    wait(&device, (hidden.clone(), weight.clone(), targets.clone()));
    let [before, _] = resident_bytes().ok_or("the system does not tell how much memory a process holds")?;
    let inner = || (hidden.clone().inner(), weight.clone().inner(), targets.clone().inner());
    let (mut forward, mut both) = (0.0, 0.0);
    for _ in 0..2 {
        let start = Instant::now();
        let (channels, head, classes) = inner();
        wait(&device, loss(contestant, channels, head, classes));
        forward = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let loss = loss(contestant, hidden.clone(), weight.clone(), targets.clone());
        wait(&device, loss.backward());
        both = start.elapsed().as_secs_f64();
    }
    let [_, most] = resident_bytes().ok_or("the system does not tell how much memory a process holds")?;
    Ok(Figures { peak: most.saturating_sub(before) as f64, forward, both })
}

/// The figures of a process of its own.
fn child(contestant: usize, arguments: &Arguments) -> Result<Figures, String> {
    let Arguments { positions, channels, classes, .. } = *arguments;
    let program = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let output = Command::new(program)
        .args(["--only", &contestant.to_string(), "--positions", &positions.to_string()])
        .args(["--channels", &channels.to_string(), "--classes", &classes.to_string()])
        .output()
        .map_err(|error| format!("a measurement does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [peak, forward, both] if output.status.success() => Ok(Figures { peak, forward, both }),
        _ => Err(format!("a measurement failed: {said}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn page(arguments: &Arguments) -> Result<String, String> {
    let Arguments { positions, channels, classes, rounds, .. } = *arguments;
    let mut all = NAMES.map(|_| Vec::new());
    for _ in 0..rounds.max(1) {
        for (contestant, figures) in all.iter_mut().enumerate() {
            figures.push(child(contestant, arguments)?);
        }
    }
    let mut text = format!(
        "# The loss of a head\n\n\
         Made by `{}`.\n\n\
         Cross-entropy of {positions} positions with {channels} channels and {classes} classes, gradients of channels and\n\
         weights, `f32`. Memory is the most that a process held beyond its inputs; the logits of all positions are\n\
         {:.0} MB, the weights and their gradient {:.0} MB each. Medians of {rounds} processes, all contestants in turn.\n\n\
         {}, {} threads, Burn's Flex backend.\n\n\
         | loss | memory, MB | forward + backward, tokens/s | forward alone, tokens/s |\n|---|--:|--:|--:|\n",
        command("head_loss"),
        (4 * positions * classes) as f64 / 1e6,
        (4 * channels * classes) as f64 / 1e6,
        processor(),
        rayon::current_num_threads(),
    );
    for (name, figures) in NAMES.iter().zip(&all) {
        let of = |number: fn(&Figures) -> f64| median(figures.iter().map(number).collect());
        let speed = |seconds: f64| positions as f64 / seconds;
        let (both, forward) = (speed(of(|figures| figures.both)), speed(of(|figures| figures.forward)));
        let peak = of(|figures| figures.peak) / 1e6;
        writeln!(text, "| {name} | {peak:.0} | {both:.0} | {forward:.0} |").expect("a string takes all text");
    }
    Ok(text)
}

#[allow(clippy::print_stdout, reason = "the figures are what a measurement is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(contestant) = arguments.only else {
        return publish(arguments.out.as_deref(), || page(&arguments));
    };
    match measure(contestant, &arguments) {
        Ok(Figures { peak, forward, both }) => {
            println!("{peak} {forward} {both}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
