//! Softmax and landmark attention: the kernel, PyTorch and the machine's limits in one page:
//! `cargo run --release --bin attention -- --python python3 --out benches/attention.md`.

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod memory;
mod page;
mod tasks;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures attention against PyTorch and against this machine's limits, and writes a page of tables.
#[derive(Debug, Parser)]
struct Arguments {
    /// A Python that has PyTorch; without it, its rows are missing.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where to write the page; without it, it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Runs of which the median is taken.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Rounds of which the best counts, figure by figure.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure one task alone.
    #[arg(long, value_parser = PossibleValuesParser::new(tasks::TASKS.iter().map(|task| task.flag)))]
    task: Option<String>,
    /// Leave out shapes with more tokens than this.
    #[arg(long, default_value_t = usize::MAX)]
    max_tokens: usize,
    /// Measures the memory of one call in a process of its own; used by the command itself.
    #[arg(long, hide = true, value_name = "TOKENS")]
    memory: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(time) = arguments.memory {
        return memory::child(time);
    }
    let plan = page::Plan {
        python: arguments.python,
        only: arguments.task,
        rounds: arguments.rounds as usize,
        runs: arguments.runs as usize,
        max_tokens: arguments.max_tokens,
    };
    seqzoo_benches::publish(arguments.out.as_deref(), || page::page(&plan))
}
