//! Feeds a long stream of bytes through a recurrent state, at constant memory:
//! `cargo run --release --example stream`.
//!
//! The model is untrained: what is shown is the cost. Try `--layer softmax_attention --bytes 20000`
//! to see what a growing cache does.
#![recursion_limit = "256"]

use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use seqzoo::models::{LanguageModel, LanguageModelConfig};
use seqzoo::{MixerConfig, MixerState};
use std::process::ExitCode;
use std::time::Instant;

/// Feeds a long stream of bytes through a recurrent state.
#[derive(Parser)]
struct Arguments {
    /// The layer, by its name in the zoo.
    #[arg(long, default_value = "gated_linear_attention")]
    layer: String,
    /// How many bytes to feed.
    #[arg(long, default_value_t = 1_000_000)]
    bytes: usize,
    /// Bytes per call: 1 is token by token, more is chunk-parallel.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    chunk: u32,
    /// Channels of the model.
    #[arg(long, default_value_t = 64)]
    width: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match model(&arguments) {
        Ok(model) => {
            stream(&model, &arguments);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("stream: {problem}");
            ExitCode::from(2)
        }
    }
}

fn model(arguments: &Arguments) -> Result<LanguageModel, String> {
    let layer = MixerConfig::from_options(&arguments.layer, arguments.width, Default::default());
    let pattern = vec![layer.map_err(|error| error.to_string())?];
    LanguageModelConfig::new(256, arguments.width, pattern)
        .with_num_layers(Some(2))
        .try_init(&Device::default())
        .map_err(|error| error.to_string())
}

#[allow(clippy::print_stdout)]
fn stream(model: &LanguageModel, arguments: &Arguments) {
    let device = Device::default();
    let chunk = arguments.chunk as usize;
    let mut state = model.init_state(1, &device);
    let (mut fed, mut random) = (0usize, 1u32);
    let (start, tenth) = (Instant::now(), arguments.bytes.div_ceil(10).max(1));
    println!("{:>12} {:>14} {:>14} {:>12}", "bytes fed", "state, bytes", "memory, MiB", "bytes/s");
    let mut next_line = tenth;
    while fed < arguments.bytes {
        let count = chunk.min(arguments.bytes - fed);
        let bytes: Vec<i64> = (0..count)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                i64::from(random >> 24)
            })
            .collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(bytes, [1, count]), &device);
        let (hidden, after) = model.hidden(tokens, None, Some(state));
        // Waiting for the last token's channels makes the clock honest.
        hidden.narrow(1, count - 1, 1).into_data();
        state = after;
        fed += count;
        if fed >= next_line || fed == arguments.bytes {
            let speed = fed as f64 / start.elapsed().as_secs_f64();
            let memory = resident_mebibytes().map_or("unknown".into(), |memory| format!("{memory:.1}"));
            println!("{fed:>12} {:>14} {memory:>14} {speed:>12.0}", state.bytes().total());
            next_line += tenth;
        }
    }
}

/// The resident memory of this process, where the system tells.
fn resident_mebibytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024.0)
}
