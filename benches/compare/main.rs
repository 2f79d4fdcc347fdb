//! Kernels, chunked tensor operations, PyTorch and the machine's limit in one table:
//! `cargo run --release --bin compare -- --python python3 --operator linear --out benches/README.md`.
#![recursion_limit = "256"]

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod measure;
mod memory;
mod model;
mod page;
mod round;
mod torch;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use seqzoo_benches::{OPERATORS, Subject, command, publish};
use std::path::PathBuf;

/// Measures linear attention, the delta rule and the neural memory against PyTorch and against this machine's limit, and writes a page of tables.
#[derive(Debug, Parser)]
struct Arguments {
    /// A Python that has PyTorch; without it, that column is missing.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where to write the page; without it, it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Runs of which the median is taken.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Rounds of which the best counts, figure by figure.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure one operator alone.
    #[arg(long, value_parser = flags())]
    operator: Option<String>,
    /// Leave out shapes with more tokens than this.
    #[arg(long, default_value_t = usize::MAX)]
    max_tokens: usize,
    /// Measure training steps of whole language models instead, of all of them or of one.
    #[arg(long, value_parser = models(), num_args = 0..=1, default_missing_value = "all")]
    model: Option<String>,
    /// Measures the memory of one call in a process of its own; used by the command itself.
    #[arg(long, hide = true, value_names = ["SUBJECT", "FORM", "TOKENS"], num_args = 3)]
    memory: Option<Vec<String>>,
    /// Takes training steps in a process of its own; used by the command itself.
    #[arg(long, hide = true, num_args = 8)]
    step: Option<Vec<String>>,
}

/// The operators by their names on the command line.
fn flags() -> PossibleValuesParser {
    PossibleValuesParser::new(OPERATORS.map(|operator| operator.flag))
}

/// The models by their names on the command line.
fn models() -> PossibleValuesParser {
    PossibleValuesParser::new(["all"].into_iter().chain(model::CONTESTANTS.iter().map(|one| one.flag)))
}

/// All there is to measure: every operator of every kind that changes its cost.
fn subjects() -> impl Iterator<Item = Subject> {
    let kinds = |operator: &'static seqzoo_benches::Operator| {
        operator.kinds.iter().filter(|kind| kind.in_pages).map(move |kind| Subject { operator, kind })
    };
    OPERATORS.into_iter().flat_map(kinds)
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    if let Some(what) = &arguments.memory {
        return memory::child(what);
    }
    if let Some(what) = &arguments.step {
        return model::child(what);
    }
    let python = arguments.python.as_deref();
    let (rounds, runs) = (arguments.rounds as usize, arguments.runs as usize);
    if let Some(only) = &arguments.model {
        return publish(arguments.out.as_deref(), || model::page(python, only, rounds, runs));
    }
    let only = arguments.operator.as_deref();
    let plan = page::Plan {
        subjects: subjects()
            .filter(|subject| only.is_none_or(|only| subject.operator.flag == only))
            .collect(),
        rounds,
        runs,
        max_tokens: arguments.max_tokens,
    };
    publish(arguments.out.as_deref(), || page::page(python, &plan, &command("compare")))
}
