//! A memory that learns while it reads: `cargo run --release --example remember`.
//!
//! A small model of neural memories (Titans) learns, on texts of up to 256 words, to answer where people live. Then it reads a text
//! as long as a book, word for word, in a state that does not grow; a few facts are hidden in it. It prints what surprised the
//! memory, how large the memory has become, and what it answers at the end.
#![recursion_limit = "256"]

mod book;
mod learn;

use book::{Text, VOCABULARY};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::Parser;
use learn::{FACTS, LENGTHS, Model, learn};
use seqzoo::MixerState;
use seqzoo::layers::{NeuralMemoryConfig, NeuralMemoryState};
use seqzoo::models::{LanguageModelConfig, ModelState};
use seqzoo::training::Random;
use std::process::ExitCode;
use std::time::Instant;

/// Trains a memory on short texts, and has it read a long one.
#[derive(Parser)]
struct Arguments {
    /// Words of the long text.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    words: u32,
    /// Training steps.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Layers of the memory's network.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    depth: u8,
    /// Layers of the model, each with a memory.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    layers: u8,
    /// A memory that never forgets.
    #[arg(long)]
    no_forgetting: bool,
    /// The seed of parameters and texts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Channels of the model.
const CHANNELS: usize = 64;
/// The largest step of a word: a tenth of the layer's usual one, for a memory that is written all the time.
const MAX_STEP: f64 = 0.1;
/// How many words before the end of the long text facts stand, as far as it has so many.
const DISTANCES: [u32; 7] = [90_000, 30_000, 10_000, 3_000, 1_000, 300, 100];
/// Words that are read at once.
const PIECE: usize = 512;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("remember: {problem}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(arguments: &Arguments) -> Result<(), String> {
    let (device, mut random) = (Device::default(), Random::new(arguments.seed));
    let learning = device.clone().autodiff();
    random.seed_device(&learning);
    let model = model(arguments, &learning)?;
    println!("{} parameters; lessons of {LENGTHS:?} words with {FACTS} facts", model.num_params());
    let mut model = learn(model, arguments.steps as usize, &mut random, &learning);
    for block in &mut model.blocks {
        block.mixer = block.mixer.clone().with_surprise();
    }

    let distances = DISTANCES.iter().filter(|distance| **distance < arguments.words);
    let places: Vec<f64> =
        distances.map(|distance| 1.0 - f64::from(*distance) / f64::from(arguments.words)).collect();
    let text = Text::draw(arguments.words as usize, &places, &mut random);
    let (state, surprise) = read(&model, &text, &device);
    tell(&text, &surprise);
    ask(&model, &text, &state, &device);
    Ok(())
}

/// Layers of neural memory, and nothing else.
fn model(arguments: &Arguments, device: &Device) -> Result<Model, String> {
    let memory = NeuralMemoryConfig::new(CHANNELS)
        .with_num_heads(2)
        .with_depth(arguments.depth.into())
        .with_expand_hidden(1.0)
        .with_max_step(Some(MAX_STEP))
        .with_forgetting(!arguments.no_forgetting);
    LanguageModelConfig::new(VOCABULARY.len(), CHANNELS, Vec::new())
        .with_num_layers(Some(arguments.layers.into()))
        .try_init_with(|_| memory.try_init(device), device)
        .map_err(|error| error.to_string())
}

/// Reads the whole text. Returns the state after it, and how far every word surprised the last memory.
#[allow(clippy::print_stdout)]
fn read(model: &Model, text: &Text, device: &Device) -> (ModelState<NeuralMemoryState>, Vec<f64>) {
    println!("\n{:>12} {:>14} {:>18} {:>12}", "words read", "state, bytes", "size of memory", "words/s");
    let (mut state, mut surprise) = (model.init_state(1, device), Vec::with_capacity(text.words.len()));
    let (begin, tenth) = (Instant::now(), text.words.len().div_ceil(10));
    let mut next_line = tenth;
    for piece in text.words.chunks(PIECE) {
        let (_, after) = model.hidden(tokens(piece, device), None, Some(state));
        let told = after.layers.last().and_then(NeuralMemoryState::surprise).expect("it was asked for");
        surprise.extend(told.loss.clone().mean_dim(2).into_data().convert::<f64>().iter::<f64>());
        state = after;
        if surprise.len() >= next_line || surprise.len() == text.words.len() {
            let speed = surprise.len() as f64 / begin.elapsed().as_secs_f64();
            let (bytes, size) = (state.bytes().total(), size(&state));
            println!("{:>12} {bytes:>14} {size:>18.2} {speed:>12.0}", surprise.len());
            next_line += tenth;
        }
    }
    (state, surprise)
}

/// The length of all weights of the last memory, as one vector.
fn size(state: &ModelState<NeuralMemoryState>) -> f64 {
    let weights = &state.layers.last().expect("the model has layers").memory.weights;
    let squares = weights.iter().map(|weights| weights.clone().square().sum().into_scalar::<f64>());
    squares.sum::<f64>().sqrt()
}

/// What surprised the memory.
#[allow(clippy::print_stdout)]
fn tell(text: &Text, surprise: &[f64]) {
    let mut sorted = surprise.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    println!("\nthe surprise of a word in the middle: {:.2}", sorted[sorted.len() / 2]);
    for (fact, place) in &text.facts {
        let surprise = surprise[*place];
        let rank = 1 + sorted.partition_point(|other| *other > surprise);
        let (name, city) = (fact.name(), fact.city());
        println!("at word {place:>9}, `{name} lives in {city}`: {surprise:.2}, number {rank} of all words");
    }
}

/// Asks for every fact, each time a copy of the memory: questions leave no trace in each other.
#[allow(clippy::print_stdout)]
fn ask(model: &Model, text: &Text, state: &ModelState<NeuralMemoryState>, device: &Device) {
    println!();
    let mut right = 0;
    for (fact, place) in &text.facts {
        let question = fact.question();
        let (logits, _) = model.forward(tokens(&question, device), Some(state.clone()));
        let best = logits.narrow(1, question.len() - 1, 1).argmax(2).into_scalar::<i64>();
        let found = u32::try_from(best).expect("it is a word");
        right += usize::from(found == fact.answer());
        println!(
            "where does {} live? {} ({} words ago: {})",
            fact.name(),
            VOCABULARY[found as usize],
            text.words.len() - place,
            if found == fact.answer() { "right" } else { "wrong" }
        );
    }
    println!("{right} of {} right", text.facts.len());
}

fn tokens(words: &[u32], device: &Device) -> Tensor<2, Int> {
    let words: Vec<i64> = words.iter().map(|word| i64::from(*word)).collect();
    let shape = [1, words.len()];
    Tensor::from_data(TensorData::new(words, shape), device)
}
