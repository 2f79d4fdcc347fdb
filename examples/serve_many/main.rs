//! A server's loop without a network: many requests, advanced together in a batch of streams:
//! `cargo run --release --example serve_many -- --checkpoint tests/checkpoints/mamba2_bytes
//! --requests examples/serve_many/requests.jsonl --streams 1,4,16`.
//!
//! A request is a line of JSON, `{"prompt": "The state ", "max_tokens": 20}` or `{"tokens": [84, 104], "max_tokens": 20}`.
//! Streams have different numbers of tokens to read, a whole prompt or one, and all of them are one call of the model; when
//! one ends, the next request takes its place. Each answer is the one that its request gets alone.
#![recursion_limit = "256"]

mod requests;
mod server;

use burn::tensor::Device;
use clap::Parser;
use comfy_table::{Table, presets};
use seqzoo::files;
use seqzoo_examples::checkpoint::{Checkpoint, Precision};
use seqzoo_examples::numbers;
use seqzoo_examples::vocabulary::Vocabulary;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Answers many requests together.
#[derive(Parser)]
struct Arguments {
    /// The directory of the model: a published one of transformers or flash-linear-attention, or one saved by this library.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The file of the requests, one JSON object per line: `prompt` or `tokens`, and `max_tokens`.
    #[arg(long)]
    requests: PathBuf,
    /// How many streams there are at once; several numbers answer all requests once with each, and compare.
    #[arg(long, default_value = "1,4,16", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    streams: Vec<u16>,
    /// The tokens that end an answer, as 1,2,3; none if empty. [default: `eos_token_id` of config.json]
    #[arg(long)]
    stop: Option<String>,
    /// The file of the answers, one JSON object per line, in the order of the requests. [default: stdout]
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("serve_many: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let stop = arguments.stop.as_deref().map(numbers).transpose();
    let stop = stop.map_err(|problem| format!("--stop: {problem}"))?;
    let Checkpoint { model, vocabulary, end_tokens } =
        Checkpoint::load(&arguments.checkpoint, Precision::F32, &Device::default())?;
    if let Some(problem) = model.segments_refusal() {
        return Err(problem);
    }
    let requests = requests::read(&arguments.requests, vocabulary.as_ref(), model.config().vocab_size)?;
    let end_tokens = stop.unwrap_or(end_tokens);

    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "streams",
        "calls",
        "tokens read",
        "generated",
        "seconds",
        "generated/s",
    ]);
    let mut first: Option<Vec<Vec<usize>>> = None;
    for streams in &arguments.streams {
        let served = server::serve(&model, &requests, usize::from(*streams), &end_tokens)?;
        let server::Served { answers, calls, seconds } = served;
        let read: usize = requests.iter().map(|request| request.tokens.len()).sum();
        let generated: usize = answers.iter().map(Vec::len).sum();
        table.add_row([
            streams.to_string(),
            calls.to_string(),
            read.to_string(),
            generated.to_string(),
            format!("{seconds:.2}"),
            format!("{:.0}", generated as f64 / seconds.max(1e-9)),
        ]);
        match &first {
            None => {
                write(arguments, &answers, vocabulary.as_ref())?;
                first = Some(answers);
            }
            Some(first) => {
                let other = first.iter().zip(&answers).filter(|(one, other)| one != other).count();
                if other > 0 {
                    return Err(format!(
                        "{other} of {} answers are others with {streams} streams than with {}: two tokens are so nearly equally \
                         likely that the order of a sum decides",
                        answers.len(),
                        arguments.streams[0]
                    ));
                }
            }
        }
    }
    eprintln!("{table}");
    Ok(())
}

/// Writes the answers to the file, whole or not at all, or to stdout.
fn write(
    arguments: &Arguments,
    answers: &[Vec<usize>],
    vocabulary: Option<&Vocabulary>,
) -> Result<(), String> {
    let mut text = String::new();
    for (index, tokens) in answers.iter().enumerate() {
        let mut answer = json!({ "request": index + 1, "tokens": tokens });
        if let Some(vocabulary) = vocabulary {
            answer["text"] = vocabulary.decode(tokens)?.into();
        }
        text += &format!("{answer}\n");
    }
    match &arguments.out {
        Some(path) => files::write(path, text).map_err(|error| format!("--out {}: {error}", path.display())),
        None => {
            std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| format!("stdout: {error}"))
        }
    }
}
