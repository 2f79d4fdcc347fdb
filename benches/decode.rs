//! How fast a model of some size streams: one token after another, against the time that reading its weights once takes.
//! `cargo run --release --bin decode -- --python python3 --out benches/decode.md`.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Int, Tensor};
use clap::Parser;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig};
use seqzoo::{MixerConfig, MixerState};
use seqzoo_benches::peer::{ask, number};
use seqzoo_benches::{command, median, processor, publish, reading, wait};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The allocator of the `recall` binary: see there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how fast random models of published sizes stream one sequence.
#[derive(Debug, Parser)]
struct Arguments {
    /// Channels of the models.
    #[arg(long, default_value_t = 768)]
    width: usize,
    /// Their layers.
    #[arg(long, default_value_t = 24)]
    layers: usize,
    /// Their vocabulary, with a tied head.
    #[arg(long, default_value_t = 50_280)]
    vocabulary: usize,
    /// Tokens of which the median counts.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    tokens: u32,
    /// A Python with torch and transformers, to measure the same models there, ours and theirs in turn.
    #[arg(long)]
    python: Option<PathBuf>,
    /// How often everything is measured; the best counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where to write the page; without it, it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    publish(arguments.out.as_deref(), || page(&arguments))
}

/// Stores all parameters in another type.
struct Stored(FloatDType);

impl ModuleMapper for Stored {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        Param::from_mapped_value(id, tensor.cast(self.0), mapper)
    }
}

/// The figures of one model.
struct Measured {
    seconds: f64,
    /// Of reading as many bytes as the weights have.
    reading: f64,
    peer: Option<f64>,
}

impl Measured {
    /// The better of two, figure by figure.
    fn or(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.min(other.seconds),
            reading: self.reading.min(other.reading),
            peer: self.peer.zip(other.peer).map(|(a, b)| a.min(b)),
        }
    }
}

fn page(arguments: &Arguments) -> Result<String, String> {
    let Arguments { width, layers, vocabulary, tokens, rounds, .. } = *arguments;
    let (mut rows, mut versions) = (String::new(), String::new());
    for kind in ["mamba", "mamba2"] {
        let device = Device::default();
        device.seed(0);
        let layer = MixerConfig::published(kind, width).expect("the layer is in the zoo");
        let config = LanguageModelConfig::new(vocabulary, width, vec![layer])
            .with_num_layers(Some(layers))
            .with_channel_mixer(ChannelMixerConfig::None)
            .with_tie_embeddings(true);
        let model: LanguageModel = config.init(&device);
        for (name, dtype, bytes) in [("f32", FloatDType::F32, 4), ("bf16", FloatDType::BF16, 2)] {
            eprintln!("measuring {kind} in {name}");
            let model = model.clone().map(&mut Stored(dtype));
            let bytes = bytes * model.num_params();
            let mut best: Option<Measured> = None;
            for _ in 0..rounds {
                let ours = step(&model, &device, tokens as usize);
                let peer = arguments.python.as_deref().map(|python| {
                    let data = ask_peer(python, kind, name, arguments)?;
                    versions = format!(
                        " transformers {} on PyTorch {}, as many threads.",
                        data["transformers"].as_str().unwrap_or("unknown"),
                        data["torch"].as_str().unwrap_or("unknown")
                    );
                    number(&data, "seconds")
                });
                let seconds = bytes as f64 / reading(bytes);
                let measured = Measured { seconds: ours, reading: seconds, peer: peer.transpose()? };
                best = Some(match best {
                    None => measured,
                    Some(best) => best.or(measured),
                });
            }
            let Measured { seconds, reading, peer } = best.expect("there are rounds");
            let theirs = peer.map_or([const { String::new() }; 2], |peer| {
                [format!("{:.1}", 1.0 / peer), format!("{:.1} x", peer / seconds)]
            });
            rows += &format!(
                "| {kind} | {name} | {:.0} MB | {:.1} ms | {:.1} | {:.0} % | {} |\n",
                1e-6 * bytes as f64,
                1e3 * seconds,
                1.0 / seconds,
                100.0 * reading / seconds,
                theirs.join(" | ")
            );
        }
    }
    Ok(format!(
        "# Streaming measured\n\n\
         Made by `{}`\n\
         (the Python needs PyTorch and transformers; without `--python` their columns are missing).\n\n\
         Machine: {}, {} threads, {}. Burn's Flex backend, one stream, random weights: {layers} layers of {width} channels without\n\
         feed-forwards, a vocabulary of {vocabulary} with a tied head.{versions} The time of a token is the median of at least {tokens},\n\
         and of {rounds} such medians, ours and the peer's (`peers/decode_cpu.py`) in turn, the best. The share is of the time that reading\n\
         as many bytes as the weights have takes on all cores in the same run, the best of {rounds}.\n\n\
         | layers | weights | bytes | a token | tokens/s | share of the reading | transformers, tokens/s | against transformers |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n{rows}",
        command("decode"),
        processor(),
        rayon::current_num_threads(),
        std::env::consts::OS,
    ))
}

fn ask_peer(python: &Path, kind: &str, dtype: &str, arguments: &Arguments) -> Result<Value, String> {
    let Arguments { width, layers, vocabulary, tokens, .. } = arguments;
    let shape = format!("{width},{layers},{vocabulary}");
    let options = ["--model", kind, "--dtype", dtype, "--shape", &shape];
    ask(python, "decode_cpu.py", &options, *tokens as usize)
}

/// Median seconds of a token.
fn step(model: &LanguageModel, device: &Device, tokens: usize) -> f64 {
    let token = Tensor::<1, Int>::from_ints([17], device).reshape([1, 1]);
    let mut state = Some(model.init_state(1, device));
    median(tokens, || {
        let (logits, next) = model.forward(token.clone(), state.take());
        state = Some(next.detach());
        wait(device, logits);
    })
}
