//! A byte-level language model on any text: `cargo run --release --example train_char_lm`.
//!
//! Without `--text` it learns this repository's own documents. It prints the loss beside the
//! unigram entropy of the text (what a model without memory could reach), writes the loss curve as
//! SVG and ends with a sample.
#![recursion_limit = "256"]

mod curve;
mod text;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use clap::{Args, Parser};
use seqzoo::models::{LanguageModel, LanguageModelConfig, Sampling};
use seqzoo::training::{AdamWConfig, Random, TrainingCheckpoint};
use seqzoo::{MixerConfig, WeightDecay, checkpoint, files};
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use text::Text;

/// Trains a byte-level language model.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    /// The directory for the model, the checkpoint, the loss curve and the sample.
    #[arg(long, default_value = "runs/char_lm")]
    out: PathBuf,
    /// Continues the training in the directory, to the same model as if it had never stopped.
    #[arg(long)]
    resume: bool,
}

/// All that the model depends on.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
struct Recipe {
    /// The layer, by its name in the zoo; several make a hybrid pattern.
    #[arg(long, default_value = "gated_linear_attention", value_delimiter = ',')]
    layer: Vec<String>,
    /// The model that the config.json of this published directory describes. It is written in the same format, into
    /// `published` beside the results.
    #[arg(long, conflicts_with_all = ["layer", "width", "layers"])]
    like: Option<PathBuf>,
    /// A text file; this repository's documents if left out.
    #[arg(long)]
    text: Option<PathBuf>,
    /// Training steps.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Channels of the model.
    #[arg(long, default_value_t = 128)]
    width: usize,
    /// Layers of the model.
    #[arg(long, default_value_t = 2)]
    layers: usize,
    /// Sequences per step.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Bytes per sequence.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(2..))]
    length: u16,
    /// The maximum learning rate.
    #[arg(long, default_value_t = 4e-3)]
    rate: f64,
    /// The seed of parameters, batches and sample.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What the checkpoint holds besides the model.
#[derive(Clone, Serialize, Deserialize)]
struct Progress {
    recipe: Recipe,
    /// The bytes of the text.
    bytes: usize,
    /// The held-out loss after some of the steps.
    points: Vec<(usize, f64)>,
}

type Training = TrainingCheckpoint<LanguageModel, Progress>;

/// Steps between two looks at the held-out loss, each with a checkpoint.
const LOOK: u64 = 50;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("train_char_lm: {problem}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(arguments: &Arguments) -> Result<(), String> {
    let Arguments { recipe, out, .. } = arguments;
    if !(recipe.rate.is_finite() && recipe.rate > 0.0) {
        return Err(format!("--rate {}, but a number above 0 is wanted", recipe.rate));
    }
    if out.is_file() {
        return Err(format!("--out {} is a file; give a directory", out.display()));
    }
    let device = Device::default().autodiff();
    let text = Text::read(recipe.text.as_deref(), usize::from(recipe.length))?;
    let mut training = start(arguments, &text, &device)?;
    let unigram = text.unigram_entropy();
    println!(
        "{} bytes, {} parameters, unigram entropy {unigram:.3} bits per byte",
        text.len(),
        training.model.num_params()
    );

    let steps = u64::from(recipe.steps);
    let (begin, first) = (Instant::now(), training.step);
    while training.step < steps {
        training = learn(training, &text, &device);
        if training.step.is_multiple_of(LOOK) || training.step == steps {
            let step = training.step;
            let held_out = held_out_bits(&training.model.valid(), &text, usize::from(recipe.length));
            if !held_out.is_finite() {
                return Err(format!("the loss is NaN or infinite at step {step}; give a smaller --rate"));
            }
            training.progress.points.push((step as usize, held_out));
            training.save(out.join(CHECKPOINT)).map_err(|error| error.to_string())?;
            let seconds = begin.elapsed().as_secs_f64();
            let bytes = (step - first) * u64::from(recipe.batch) * u64::from(recipe.length);
            println!(
                "step {step:>5}: {held_out:.3} bits per held-out byte, {seconds:.0} s, {:.0} bytes/s",
                bytes as f64 / seconds
            );
        }
    }

    let (model, points) = (training.model.valid(), &training.progress.points);
    let picture = out.join("loss.svg");
    curve::draw(&picture, points, unigram)?;
    model.save(out.join("model")).map_err(|error| error.to_string())?;
    if let Some(like) = &training.progress.recipe.like {
        let description = checkpoint::read_config(like).map_err(|error| error.to_string())?;
        checkpoint::write(&model, out.join("published"), description.architecture)
            .map_err(|error| error.to_string())?;
    }
    let sample = sample(&model, recipe.seed)?;
    let page = out.join("sample.txt");
    files::write(&page, &sample).map_err(|error| format!("{}: {error}", page.display()))?;
    println!("\n{sample}\n\nThe loss curve: {}", picture.display());
    let last = points.last().map_or(f64::NAN, |point| point.1);
    let side = if last < unigram { "below" } else { "above" };
    println!("{last:.3} bits per byte, {:.3} {side} the unigram entropy", (unigram - last).abs());
    Ok(())
}

/// The training in the directory, if it is to be continued; else a new one.
fn start(arguments: &Arguments, text: &Text, device: &Device) -> Result<Training, String> {
    let Arguments { recipe, out, resume } = arguments;
    device.seed(recipe.seed);
    let model = model(recipe, device)?;
    if !resume {
        let optimizer = optimizer(&model);
        let progress = Progress { recipe: recipe.clone(), bytes: text.len(), points: Vec::new() };
        return Ok(Training { model, optimizer, step: 0, random: Random::new(recipe.seed), progress });
    }
    let place = out.join(CHECKPOINT);
    let training = Training::load(&place, model, optimizer).map_err(|error| error.to_string())?;
    let training = training.ok_or_else(|| format!("there is no checkpoint in {}", place.display()))?;
    let held = &training.progress;
    match held.recipe == *recipe && held.bytes == text.len() {
        true => Ok(training),
        false => Err(format!(
            "the training in {} has other options or another text: {:?}; repeat them with --resume",
            place.display(),
            held.recipe
        )),
    }
}

/// The directory of the checkpoint, inside that of the results.
const CHECKPOINT: &str = "checkpoint";

/// AdamW with decay for matrices alone.
fn optimizer(model: &LanguageModel) -> ModuleOptimizer {
    let adam = AdamWConfig::new().with_beta_2(0.98).with_epsilon(1e-5);
    let undecayed = adam.clone().with_weight_decay(0.0).build();
    adam.with_weight_decay(0.01).init().with_group(WeightDecay::of(model).undecayed(), undecayed, None)
}

/// One step of training.
fn learn(mut training: Training, text: &Text, device: &Device) -> Training {
    let recipe = &training.progress.recipe;
    let (batch, length) = (usize::from(recipe.batch), usize::from(recipe.length));
    let rate = recipe.rate * schedule(training.step as usize, recipe.steps as usize);
    let (tokens, targets) = text.batch(&mut training.random, batch, length, device);
    let (hidden, _) = training.model.hidden(tokens, None, None);
    let loss = training.model.loss(hidden, targets, Default::default());
    let gradients = GradientsParams::from_grads(loss.backward(), &training.model);
    training.model = training.optimizer.step(rate, training.model, gradients);
    training.step += 1;
    training
}

fn model(recipe: &Recipe, device: &Device) -> Result<LanguageModel, String> {
    if let Some(like) = &recipe.like {
        let config = checkpoint::read_config(like).map_err(|error| error.to_string())?.config;
        return match config.vocab_size {
            256 => config.try_init(device).map_err(|error| error.to_string()),
            other => Err(format!(
                "the model in {} knows {other} tokens, but 256 are wanted: the bytes",
                like.display()
            )),
        };
    }
    let layer = |kind: &String| MixerConfig::from_options(kind, recipe.width, Default::default());
    let pattern =
        recipe.layer.iter().map(layer).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    LanguageModelConfig::new(256, recipe.width, pattern)
        .with_num_layers(Some(recipe.layers))
        .try_init(device)
        .map_err(|error| error.to_string())
}

/// Warm-up over a twentieth of the steps, then a cosine to a tenth.
fn schedule(step: usize, steps: usize) -> f64 {
    let (step, steps) = (step as f64 + 1.0, steps as f64);
    let warm = (steps / 20.0).max(1.0);
    let cosine = 0.55 + 0.45 * (std::f64::consts::PI * (step - warm) / (steps - warm).max(1.0)).cos();
    if step < warm { step / warm } else { cosine }
}

/// The mean loss over the held-out text, read as one stream with the state carried along.
fn held_out_bits(model: &LanguageModel, text: &Text, length: usize) -> f64 {
    let device = model.embedding.weight.val().device();
    let (mut state, mut sum, mut count) = (None, 0.0, 0);
    for (tokens, targets) in text.held_out(length, &device) {
        let [_, time] = tokens.dims();
        let (hidden, next) = model.hidden(tokens, None, state);
        let loss = model.loss(hidden, targets, Default::default());
        sum += f64::from(loss.into_scalar::<f32>()) * time as f64;
        count += time;
        state = Some(next);
    }
    sum / count as f64 / LN_2
}

fn sample(model: &LanguageModel, seed: u64) -> Result<String, String> {
    let prompt: Vec<usize> = b"The state ".iter().map(|byte| usize::from(*byte)).collect();
    let sampling = Sampling::Random { temperature: 0.7, top_k: Some(40), top_p: Some(0.95), seed };
    let stream = model.generate(&prompt, sampling).map_err(|error| error.to_string())?;
    let bytes: Vec<u8> = prompt.iter().copied().chain(stream.take(300)).map(|token| token as u8).collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
