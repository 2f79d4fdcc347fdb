//! A byte-level language model on any text: `cargo run --release --example train_char_lm`.
//!
//! Without `--text` it learns this repository's own documents. It prints the loss beside the
//! unigram entropy of the text (what a model without memory could reach), writes the loss curve as
//! SVG and ends with a sample.
#![recursion_limit = "256"]

mod curve;
mod text;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::Device;
use clap::Parser;
use seqzoo::models::{LanguageModel, LanguageModelConfig, Sampling};
use seqzoo::{MixerConfig, WeightDecay};
use std::f64::consts::LN_2;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use text::Text;

/// Trains a byte-level language model.
#[derive(Parser)]
struct Arguments {
    /// The layer, by its name in the zoo; several make a hybrid pattern.
    #[arg(long, default_value = "gated_linear_attention", value_delimiter = ',')]
    layer: Vec<String>,
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
    /// The directory for the model, the loss curve and the sample.
    #[arg(long, default_value = "runs/char_lm")]
    out: PathBuf,
}

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
    if !(arguments.rate.is_finite() && arguments.rate > 0.0) {
        return Err(format!("--rate {}, but a number above 0 is wanted", arguments.rate));
    }
    if arguments.out.is_file() {
        return Err(format!("--out {} is a file; give a directory", arguments.out.display()));
    }
    let steps = arguments.steps as usize;
    let device = Device::default().autodiff();
    let text = Text::read(arguments.text.as_deref(), usize::from(arguments.length))?;
    std::fs::create_dir_all(&arguments.out)
        .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    device.seed(arguments.seed);
    let mut model = model(arguments, &device)?;
    let unigram = text.unigram_entropy();
    println!(
        "{} bytes, {} parameters, unigram entropy {unigram:.3} bits per byte",
        text.len(),
        model.num_params()
    );

    let adam = AdamWConfig::new().with_beta_2(0.98);
    let undecayed = adam.clone().with_weight_decay(0.0).build();
    let mut optimizer =
        adam.with_weight_decay(0.01).init().with_group(WeightDecay::of(&model).undecayed(), undecayed, None);
    let (start, mut points) = (Instant::now(), Vec::new());
    for step in 0..steps {
        let (tokens, targets) = text.batch(
            arguments.seed,
            step,
            usize::from(arguments.batch),
            usize::from(arguments.length),
            &device,
        );
        let (logits, _) = model.forward(tokens, None);
        let [batch, time, vocabulary] = logits.dims();
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(logits.reshape([batch * time, vocabulary]), targets.reshape([batch * time]));
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(arguments.rate * schedule(step, steps), model, gradients);

        if (step + 1) % 50 == 0 || step + 1 == steps {
            let held_out = held_out_bits(&model.valid(), &text, usize::from(arguments.length));
            if !held_out.is_finite() {
                return Err(format!(
                    "the loss is NaN or infinite at step {}; give a smaller --rate",
                    step + 1
                ));
            }
            points.push((step + 1, held_out));
            let seconds = start.elapsed().as_secs_f64();
            let speed = ((step + 1) * batch * time) as f64 / seconds;
            println!(
                "step {:>5}: {held_out:.3} bits per held-out byte, {seconds:.0} s, {speed:.0} bytes/s",
                step + 1
            );
        }
    }

    let model = model.valid();
    let picture = arguments.out.join("loss.svg");
    curve::draw(&picture, &points, unigram)?;
    model.save(arguments.out.join("model")).map_err(|error| error.to_string())?;
    let sample = sample(&model, arguments.seed)?;
    let page = arguments.out.join("sample.txt");
    std::fs::write(&page, &sample).map_err(|error| format!("{}: {error}", page.display()))?;
    println!("\n{sample}\n\nThe loss curve: {}", picture.display());
    let last = points.last().map_or(f64::NAN, |point| point.1);
    let side = if last < unigram { "below" } else { "above" };
    println!("{last:.3} bits per byte, {:.3} {side} the unigram entropy", (unigram - last).abs());
    Ok(())
}

fn model(arguments: &Arguments, device: &Device) -> Result<LanguageModel, String> {
    let layer = |kind: &String| MixerConfig::from_options(kind, arguments.width, Default::default());
    let pattern = arguments
        .layer
        .iter()
        .map(layer)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    LanguageModelConfig::new(256, arguments.width, pattern)
        .with_num_layers(Some(arguments.layers))
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
        let (logits, next) = model.forward(tokens, state);
        let [_, time, vocabulary] = logits.dims();
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(logits.reshape([time, vocabulary]), targets.reshape([time]));
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
