//! The training loop.

use super::checkpoint::Checkpoints;
use super::clip::clip;
use super::cost::cost;
use super::evaluate::evaluate;
use super::optimizer::optimizer;
use super::progress::Progress;
use crate::experiment::RunConfig;
use crate::machine::Machine;
use crate::reporter::Reporter;
use crate::results::{CurvePoint, RunResult, SliceAccuracy};
use crate::task::{Batch, Split};
use crate::{Error, stop};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, activation::log_softmax};
use seqzoo::models::LanguageModel;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many steps pass between looks at the loss.
const LOOK: usize = 10;

/// The longest time between checkpoints.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);

/// Parameters are drawn from the device's one random generator.
static DRAWING: Mutex<()> = Mutex::new(());

/// Trains one run in `directory`, continuing from its last checkpoint if there is one.
///
/// # Errors
///
/// If a file cannot be written or read, or the user asked to stop, in which case a checkpoint has
/// been written.
pub fn train(
    run: &RunConfig,
    directory: &Path,
    device: &Device,
    machine: &Machine,
    reporter: &Reporter,
) -> Result<RunResult, Error> {
    let training_device = device.clone().autodiff();
    let checkpoints = Checkpoints::new(directory);
    let model = fresh(run, &training_device)?;
    let resumed = checkpoints.load(model.clone(), |model| optimizer(model, &run.training))?;
    let (mut model, mut optimizer, mut progress) = match resumed {
        Some(resumed) => resumed,
        None => {
            let optimizer = optimizer(&model, &run.training);
            (model, optimizer, Progress::default())
        }
    };

    let total = run.training.steps(&run.task);
    let (mut saved, mut clock) = (Instant::now(), Instant::now());
    let mut loss_seen = progress.curve.last().map_or(f64::NAN, |point| point.loss);
    let meter = reporter.run(&run.title(), total, progress.step);
    while progress.step < total && !progress.finished(run) {
        let plan = run.training.plan(&run.task, progress.step);
        let start = Instant::now();
        let examples = plan.first..plan.first + plan.count;
        let batch = Batch::new(&run.task, run.seed, Split::Train, plan.segment, examples, &training_device);
        let rate = run.learning_rate * plan.rate;
        let (next, loss) = step(model, &mut optimizer, &batch, rate, run.training.clip_norm);
        model = next;
        progress.step += 1;
        if progress.step == 1 || progress.step.is_multiple_of(LOOK) || plan.evaluate {
            loss_seen = f64::from(loss.into_scalar::<f32>());
            progress.diverged = !loss_seen.is_finite();
        }
        progress.training_seconds += start.elapsed().as_secs_f64();
        progress.tokens += batch.tokens.dims().iter().product::<usize>();
        meter.step(progress.step, loss_seen, progress.tokens as f64 / progress.training_seconds);

        if plan.evaluate && !progress.diverged {
            // An interrupted evaluation leaves no checkpoint: the resumed run makes it again.
            let Some(slices) = evaluate(&model.valid(), run, device) else {
                return Err(Error::Interrupted);
            };
            meter.evaluated(progress.step, loss_seen, &slices);
            progress.curve.push(CurvePoint { step: progress.step, loss: loss_seen, slices });
        }
        let stopping = stop::asked();
        if plan.evaluate || stopping || saved.elapsed() > CHECKPOINT_AFTER {
            progress.wall_seconds += clock.elapsed().as_secs_f64();
            clock = Instant::now();
            checkpoints.save(&model, &optimizer, &progress)?;
            saved = Instant::now();
        }
        if stopping {
            return Err(Error::Interrupted);
        }
    }

    let model = model.valid();
    let slices = match progress.curve.last() {
        Some(point) if !progress.diverged => point.slices.clone(),
        _ => lost(run),
    };
    let (state, step_microseconds) = cost(&model, run, device);
    progress.wall_seconds += clock.elapsed().as_secs_f64();
    meter.finish();
    Ok(RunResult {
        key: run.key(),
        contestant: run.contestant.clone(),
        width: run.width,
        learning_rate: run.learning_rate,
        seed: run.seed,
        accuracy: slices.iter().map(|slice| slice.accuracy).sum::<f64>() / slices.len() as f64,
        slices,
        diverged: progress.diverged,
        parameters: model.num_params(),
        state,
        steps: progress.step,
        training_tokens_per_second: progress.tokens as f64 / progress.training_seconds,
        step_microseconds,
        wall_seconds: progress.wall_seconds,
        curve: progress.curve,
        machine: machine.clone(),
    })
}

/// The model of a run, every parameter drawn from its seed.
fn fresh(run: &RunConfig, device: &Device) -> Result<LanguageModel, Error> {
    let _drawing = DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    device.seed(run.seed);
    run.model
        .model(&run.layers, run.width, run.task.vocabulary())
        .and_then(|config| config.try_init(device))
        .map_err(|error| Error::Experiment { experiment: run.title(), problem: error.to_string() })
}

/// One step of AdamW on the mean cross-entropy of the supervised positions.
fn step(
    model: LanguageModel,
    optimizer: &mut ModuleOptimizer,
    batch: &Batch,
    rate: f64,
    clip_norm: Option<f64>,
) -> (LanguageModel, Tensor<1>) {
    let (hidden, _) = model.hidden(batch.tokens.clone(), None, None);
    let [rows, time, channels] = hidden.dims();
    // The head is most of a small model's work, and most positions are filler.
    let asked = hidden.reshape([rows * time, channels]).select(0, batch.positions.clone());
    let said = log_softmax(model.logits(asked), 1);
    let loss = said.gather(1, batch.targets.clone().unsqueeze_dim(1)).mean().neg();
    let value = loss.clone().inner();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let gradients = match clip_norm {
        Some(max) => clip(&model, gradients, max),
        None => gradients,
    };
    (optimizer.step(rate, model, gradients), value)
}

/// The accuracies of a diverged run: all 0.
fn lost(run: &RunConfig) -> Vec<SliceAccuracy> {
    let segments = run.task.segments(Split::Test);
    segments.into_iter().map(|(slice, examples)| SliceAccuracy { slice, accuracy: 0.0, examples }).collect()
}
