//! A run under way: model, optimizer, progress and checkpoints, step after step.

use super::checkpoint::Checkpoints;
use super::cost::cost;
use super::evaluate::evaluate;
use super::forms::forms;
use super::optimizer::optimizer;
use super::progress::Progress;
use super::step::step;
use crate::experiment::{RunConfig, StepPlan};
use crate::machine::Machine;
use crate::reporter::Meter;
use crate::results::{CurvePoint, RunResult, SliceAccuracy};
use crate::task::{Batch, Split};
use crate::{Error, stop};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
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

/// A run under way.
pub(super) struct Session<'a> {
    run: &'a RunConfig,
    device: &'a Device,
    training_device: Device,
    checkpoints: Checkpoints,
    model: LanguageModel,
    optimizer: ModuleOptimizer,
    pub progress: Progress,
    /// The loss when it was last looked at.
    loss: f64,
    /// The time of the last checkpoint.
    saved: Instant,
    /// The time up to which `progress` has counted the seconds.
    counted: Instant,
}

impl<'a> Session<'a> {
    /// Continues from the last checkpoint, or begins.
    pub fn start(run: &'a RunConfig, directory: &Path, device: &'a Device) -> Result<Self, Error> {
        let training_device = device.clone().autodiff();
        let checkpoints = Checkpoints::new(directory);
        let model = fresh(run, &training_device)?;
        let resumed = checkpoints.load(model.clone(), |model| optimizer(model, &run.training))?;
        let (model, optimizer, progress) = match resumed {
            Some(resumed) => resumed,
            None => {
                let optimizer = optimizer(&model, &run.training);
                (model, optimizer, Progress::default())
            }
        };
        let loss = progress.curve.last().map_or(f64::NAN, |point| point.loss);
        let now = Instant::now();
        let (saved, counted) = (now, now);
        Ok(Self {
            run,
            device,
            training_device,
            checkpoints,
            model,
            optimizer,
            progress,
            loss,
            saved,
            counted,
        })
    }

    /// One training step, then the evaluation and the checkpoint that are due.
    pub fn advance(mut self, meter: &Meter) -> Result<Self, Error> {
        let plan = self.run.training.plan(&self.run.task, self.progress.step);
        self = self.learn(&plan);
        let tokens_per_second = self.progress.tokens as f64 / self.progress.training_seconds;
        meter.step(self.progress.step, self.loss, tokens_per_second);
        if plan.evaluate && !self.progress.diverged {
            // An interrupted evaluation leaves no checkpoint: the resumed run makes it again.
            let slices = evaluate(&self.model.valid(), self.run, self.device).ok_or(Error::Interrupted)?;
            meter.evaluated(self.progress.step, self.loss, &slices);
            self.progress.curve.push(CurvePoint { step: self.progress.step, loss: self.loss, slices });
        }
        let stopping = stop::asked();
        if plan.evaluate || stopping || self.saved.elapsed() > CHECKPOINT_AFTER {
            self.count_seconds();
            self.checkpoints.save(&self.model, &self.optimizer, &self.progress)?;
            self.saved = Instant::now();
        }
        if stopping { Err(Error::Interrupted) } else { Ok(self) }
    }

    /// One training step.
    fn learn(mut self, plan: &StepPlan) -> Self {
        let start = Instant::now();
        let run = self.run;
        let examples = plan.first..plan.first + plan.count;
        let batch =
            Batch::new(&run.task, run.seed, Split::Train, plan.segment, examples, &self.training_device);
        let rate = run.learning_rate * plan.rate;
        let (model, loss) = step(self.model, &mut self.optimizer, &batch, rate, run.training.clip_norm);
        self.model = model;
        let progress = &mut self.progress;
        progress.step += 1;
        if progress.step == 1 || progress.step.is_multiple_of(LOOK) || plan.evaluate {
            self.loss = f64::from(loss.into_scalar::<f32>());
            progress.diverged = !self.loss.is_finite();
        }
        progress.training_seconds += start.elapsed().as_secs_f64();
        progress.tokens += batch.tokens.dims().iter().product::<usize>();
        self
    }

    fn count_seconds(&mut self) {
        self.progress.wall_seconds += self.counted.elapsed().as_secs_f64();
        self.counted = Instant::now();
    }

    /// The result of a run that has ended.
    pub fn finish(mut self, machine: &Machine) -> RunResult {
        let run = self.run;
        let forms = forms(&self.model, longest(run), &self.training_device);
        let model = self.model.valid();
        let slices = match self.progress.curve.last() {
            Some(point) if !self.progress.diverged => point.slices.clone(),
            _ => lost(run),
        };
        let (state, step_microseconds) = cost(&model, run, self.device);
        self.count_seconds();
        let progress = self.progress;
        RunResult {
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
            forms,
            machine: machine.clone(),
        }
    }
}

/// The tokens of the longest training examples.
fn longest(run: &RunConfig) -> usize {
    run.task.segments(Split::Train).iter().map(|(slice, _)| slice.length).fold(1, usize::max)
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

/// The accuracies of a diverged run: all 0.
fn lost(run: &RunConfig) -> Vec<SliceAccuracy> {
    let segments = run.task.segments(Split::Test);
    segments.into_iter().map(|(slice, examples)| SliceAccuracy { slice, accuracy: 0.0, examples }).collect()
}
