//! Steps of training, in a process of their own, whose memory the system tells.

use super::contestants::{CONTESTANTS, Contestant};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use seqzoo::models::LanguageModelConfig;
use seqzoo::ops::cross_entropy::CrossEntropyOptions;
use seqzoo::training::AdamWConfig;
use seqzoo_benches::{median, resident_bytes, wait};
use std::process::{Command, ExitCode};

/// A model and its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
    pub time: usize,
    pub vocabulary: usize,
}

impl Sizes {
    /// Tokens of a step.
    pub fn tokens(self) -> usize {
        self.batch * self.time
    }

    /// As the peer's program takes them.
    pub fn for_peer(self) -> String {
        let Self { width, layers, batch, time, .. } = self;
        format!("{width},{layers},{batch},{time}")
    }
}

/// What a process measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Median seconds of a step.
    pub seconds: f64,
    /// The most bytes that the process held, where the system tells.
    pub peak: Option<f64>,
}

impl Measured {
    /// The better of two, figure by figure.
    pub fn or(self, other: Self) -> Self {
        let peak = self.peak.zip(other.peak).map(|(a, b)| a.min(b));
        Self { seconds: self.seconds.min(other.seconds), peak }
    }
}

/// Measures in a new process; with gradient checkpointing, if that is wanted.
pub fn measure(
    contestant: &Contestant,
    sizes: Sizes,
    checkpointing: bool,
    runs: usize,
) -> Result<Measured, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let Sizes { width, layers, batch, time, vocabulary } = sizes;
    let numbers = [width, layers, batch, time, vocabulary, usize::from(checkpointing), runs];
    let numbers = numbers.map(|number| number.to_string());
    let said = Command::new(program)
        .arg("--step")
        .arg(contestant.flag)
        .args(numbers)
        .output()
        .map_err(|error| format!("cannot start a process to measure a step: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match figures.as_slice() {
        [seconds, peak] => Ok(Measured { seconds: *seconds, peak: Some(*peak).filter(|peak| *peak > 0.0) }),
        _ => Err(format!("no figures from a step: {}", String::from_utf8_lossy(&said.stderr))),
    }
}

/// Takes steps and prints their seconds and the most memory.
#[allow(clippy::print_stdout, reason = "the figures are what this process is for")]
pub fn child(what: &[String]) -> ExitCode {
    let [flag, numbers @ ..] = what else { return ExitCode::FAILURE };
    let contestant = CONTESTANTS.iter().find(|contestant| contestant.flag == flag);
    let numbers: Vec<usize> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    let (Some(contestant), &[width, layers, batch, time, vocabulary, checkpointing, runs]) =
        (contestant, numbers.as_slice())
    else {
        return ExitCode::FAILURE;
    };
    let sizes = Sizes { width, layers, batch, time, vocabulary };
    let device = Device::default().autodiff();
    let device = if checkpointing == 0 { device } else { device.gradient_checkpointing() };
    let seconds = seconds(contestant, sizes, &device, runs);
    println!("{seconds} {}", resident_bytes().map_or(0, |[_, peak]| peak));
    ExitCode::SUCCESS
}

/// Median seconds of a step with AdamW and the loss at every position.
fn seconds(contestant: &Contestant, sizes: Sizes, device: &Device, runs: usize) -> f64 {
    let Sizes { width, layers, batch, time, vocabulary } = sizes;
    device.seed(0);
    let config = LanguageModelConfig::new(vocabulary, width, vec![contestant.layer(width)])
        .with_num_layers(Some(layers));
    let mut model = Some(config.init(device));
    let mut optimizer = AdamWConfig::new().init();
    let tokens: Vec<i32> = (0..batch * time).map(|i| ((i * 7919 + i / 13) % vocabulary) as i32).collect();
    let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), device).reshape([batch, time]);
    median(runs, || {
        let current = model.take().expect("the model is put back");
        let (hidden, _) = current.hidden(tokens.clone(), None, None);
        let loss = current.loss(hidden, tokens.clone(), CrossEntropyOptions::default());
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(optimizer.step(1e-3, current, gradients));
        wait(device, loss.into_scalar::<f32>());
    })
}
