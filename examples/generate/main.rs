//! Streams text from a model in a directory, published or trained here, at constant memory:
//! `cargo run --release --example generate -- --checkpoint tests/checkpoints/mamba2_bytes --prompt "The state " --temperature 0.7`.
//!
//! The text goes to stdout, token by token, and all else to stderr. `--save-state` parks the conversation in a file when
//! it ends, by its length, an end token, Ctrl-C or a reader that has gone; `--load-state` goes on with it as if it had not
//! stopped, as often as you like.
#![recursion_limit = "256"]

mod conversation;
mod fingerprint;
mod output;
mod stop;
mod stream;

use burn::tensor::Device;
use clap::Parser;
use output::Output;
use seqzoo::models::{Sampler, Sampling};
use seqzoo_examples::checkpoint::{Checkpoint, Precision};
use seqzoo_examples::numbers;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use stream::Stream;

/// Streams text from a model in a directory.
#[derive(Parser)]
struct Arguments {
    /// The directory of the model: a published one of transformers or flash-linear-attention, or one saved by this library.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The precision of the weights in memory. States and sums are in f32 in each.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// The text to continue.
    #[arg(long, conflicts_with = "tokens", required_unless_present_any = ["tokens", "load_state"])]
    prompt: Option<String>,
    /// The tokens to continue, instead of a text: 1,2,3.
    #[arg(long)]
    tokens: Option<String>,
    /// Writes the numbers of the tokens instead of their text.
    #[arg(long)]
    ids: bool,
    /// How many tokens to generate, at most.
    #[arg(long, default_value_t = 256)]
    max_tokens: usize,
    /// Draws at random after dividing the logits by this; 0 takes the most likely token. [default: 0, or 1 if another option of
    /// the sampling is given]
    #[arg(long)]
    temperature: Option<f64>,
    /// Draws among that many most likely tokens.
    #[arg(long)]
    top_k: Option<usize>,
    /// Draws among the most likely tokens that together have at least this probability.
    #[arg(long)]
    top_p: Option<f64>,
    /// The seed of the random numbers. [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// The tokens that end the text, as 1,2,3; none if empty. [default: `eos_token_id` of config.json]
    #[arg(long)]
    stop: Option<String>,
    /// Parks the conversation in this file at the end.
    #[arg(long)]
    save_state: Option<PathBuf>,
    /// Goes on with the conversation in this file; with a prompt, after reading it. Options of the sampling replace those of
    /// the file.
    #[arg(long)]
    load_state: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("generate: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    if let Some(path) = &arguments.save_state {
        can_be_written(path)?;
    }
    let list = |option: &str, list: &Option<String>| {
        list.as_deref().map(numbers).transpose().map_err(|problem| format!("{option}: {problem}"))
    };
    let (stop, tokens) = (list("--stop", &arguments.stop)?, list("--tokens", &arguments.tokens)?);
    let sampler = sampling(arguments).map(Sampler::new).transpose().map_err(|error| error.to_string())?;

    let Checkpoint { model, vocabulary, end_tokens } =
        Checkpoint::load(&arguments.checkpoint, arguments.precision, &Device::default())?;
    let prompt = match &arguments.prompt {
        None => tokens.unwrap_or_default(),
        Some(prompt) => {
            let vocabulary = vocabulary.as_ref().ok_or_else(|| {
                format!(
                    "{} has no tokenizer.json, and its {} tokens are not the 256 bytes; give --tokens instead of --prompt",
                    arguments.checkpoint.display(),
                    model.config().vocab_size
                )
            })?;
            vocabulary.encode(prompt, arguments.load_state.is_none())?
        }
    };
    let (mut parked, mut text) = match &arguments.load_state {
        Some(path) => conversation::load(&model, path)?,
        None => conversation::begin(&model),
    };
    if let Some(sampler) = sampler {
        parked.sampler = sampler;
    }
    let mut output = Output::new(vocabulary.as_ref().filter(|_| !arguments.ids));
    if !prompt.is_empty() {
        output.finish(&mut text)?;
        text.follow(&prompt);
        parked.pending.extend(prompt);
    }
    let generator = model.resume(parked).map_err(|error| error.to_string())?;

    stop::listen();
    let mut stream = Stream::new(generator, output, text);
    let end_tokens = stop.unwrap_or(end_tokens);
    let ended = stream.run(arguments.max_tokens, &end_tokens, arguments.save_state.is_some());
    stream.report();
    let saved = match &arguments.save_state {
        Some(path) => stream.park().and_then(|(parked, text)| conversation::save(&model, parked, text, path)),
        None => Ok(()),
    };
    ended.and(saved)
}

/// How to choose tokens, if the options say.
fn sampling(arguments: &Arguments) -> Option<Sampling> {
    let Arguments { temperature, top_k, top_p, seed, .. } = *arguments;
    if temperature.is_none() && top_k.is_none() && top_p.is_none() && seed.is_none() {
        return None;
    }
    match temperature.unwrap_or(1.0) {
        0.0 => Some(Sampling::Greedy),
        temperature => Some(Sampling::Random { temperature, top_k, top_p, seed: seed.unwrap_or(0) }),
    }
}

/// Says what is known to keep a file from being written, before work is lost.
fn can_be_written(path: &Path) -> Result<(), String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return Err(format!("--save-state {} is a directory; give a file", path.display()));
    }
    match directory {
        Some(directory) if !directory.is_dir() => {
            Err(format!("--save-state {}: there is no directory {}", path.display(), directory.display()))
        }
        _ => Ok(()),
    }
}
