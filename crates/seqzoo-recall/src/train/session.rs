//! A run under way: model, optimizer, progress and checkpoints, step after step.

use super::checkpoint::{Checkpoint, Training};
use super::evaluate::{Scope, evaluate};
use super::examine::examine;
use super::forms::forms;
use super::longest;
use super::optimizer::optimizer;
use super::progress::Progress;
use super::step::step;
use crate::experiment::{RunConfig, StepPlan};
use crate::machine::Machine;
use crate::reporter::Meter;
use crate::results::{CurvePoint, RunResult, SliceAccuracy, accuracy_at};
use crate::task::{Batch, Split};
use crate::{Error, stop};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use seqzoo::models::LanguageModel;
use seqzoo::training::Random;
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
    checkpoint: Checkpoint,
    training: Training,
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
        let checkpoint = Checkpoint::new(directory);
        let model = fresh(run, &training_device)?;
        let optimizer = |model: &_| optimizer(model, &run.training);
        let training = match checkpoint.load(model.clone(), optimizer)? {
            Some(training) => training,
            None => {
                let optimizer = optimizer(&model);
                // Nothing is drawn after the parameters: the examples follow from the seed and the step.
                Training::new(model, optimizer, Random::new(run.seed))
            }
        };
        let loss = training.progress.curve.last().map_or(f64::NAN, |point| point.loss);
        let now = Instant::now();
        let (saved, counted) = (now, now);
        Ok(Self { run, device, training_device, checkpoint, training, loss, saved, counted })
    }

    /// How many steps were taken.
    pub fn step(&self) -> usize {
        self.training.step as usize
    }

    /// Whether the run ends before its last step.
    pub fn finished(&self) -> bool {
        self.training.progress.finished(self.run)
    }

    /// The mean accuracy at the last evaluation that came no later than `step`; 0 before the first.
    pub fn accuracy(&self, step: usize) -> f64 {
        accuracy_at(&self.training.progress.curve, step)
    }

    /// One training step, then the evaluation and the checkpoint that are due.
    pub fn advance(mut self, meter: &Meter) -> Result<Self, Error> {
        let plan = self.run.training.plan(&self.run.task, self.step());
        self = self.learn(&plan);
        let (step, progress) = (self.step(), &mut self.training.progress);
        meter.step(step, self.loss, progress.tokens as f64 / progress.training_seconds);
        if plan.evaluate && !progress.diverged {
            // An interrupted evaluation leaves no checkpoint: the resumed run makes it again.
            let scope = Scope::on_the_way(self.run);
            let slices = evaluate(&self.training.model.valid(), self.run, self.device, scope)?;
            meter.evaluated(step, self.loss, &slices);
            progress.curve.push(CurvePoint { step, loss: self.loss, slices });
        }
        let stopping = stop::asked();
        if plan.evaluate || stopping || self.saved.elapsed() > CHECKPOINT_AFTER {
            self.count_seconds();
            self.checkpoint.save(&self.training)?;
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
        let (model, loss) =
            step(self.training.model, &mut self.training.optimizer, &batch, rate, &run.training);
        self.training.model = model;
        self.training.step += 1;
        let (step, progress) = (self.step(), &mut self.training.progress);
        if step == 1 || step.is_multiple_of(LOOK) || plan.evaluate {
            self.loss = f64::from(loss.into_scalar::<f32>());
            progress.diverged = !self.loss.is_finite();
        }
        progress.training_seconds += start.elapsed().as_secs_f64();
        progress.tokens += batch.tokens.dims().iter().product::<usize>();
        self
    }

    fn count_seconds(&mut self) {
        self.training.progress.wall_seconds += self.counted.elapsed().as_secs_f64();
        self.counted = Instant::now();
    }

    /// Writes the model into `directory`.
    pub fn save_model(&self, directory: &Path) -> Result<(), Error> {
        Ok(self.training.model.valid().save(directory)?)
    }

    /// The result of a run that has ended.
    ///
    /// # Errors
    ///
    /// If the user asked to stop before everything was scored; its checkpoint is there.
    pub fn finish(mut self, machine: &Machine) -> Result<RunResult, Error> {
        let run = self.run;
        let forms = forms(&self.training.model, longest(run), &self.training_device);
        let model = self.training.model.valid();
        let Progress { curve, diverged, .. } = &self.training.progress;
        let on_the_way = curve.last().map(|point| point.slices.clone());
        let known = if *diverged || on_the_way.is_none() { Some(lost(run)) } else { on_the_way };
        let known = known.filter(|_| *diverged || Scope::on_the_way(run) == Scope::All);
        let result = examine(&model, run, self.device, machine, known)?;
        self.count_seconds();
        let (steps, progress) = (self.step(), self.training.progress);
        Ok(RunResult {
            cleared: result.cleared.filter(|_| !progress.diverged),
            diverged: progress.diverged,
            steps,
            training_tokens_per_second: progress.tokens as f64 / progress.training_seconds,
            wall_seconds: progress.wall_seconds,
            curve: progress.curve,
            forms,
            ..result
        })
    }
}

/// The model of a run, every parameter drawn from its seed. An embedding that the task gives does not learn.
fn fresh(run: &RunConfig, device: &Device) -> Result<LanguageModel, Error> {
    let _drawing = DRAWING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    device.seed(run.seed);
    let mut model = run
        .model
        .model(&run.layers, run.width, run.task.vocabulary())
        .and_then(|config| config.try_init(device))
        .map_err(|error| Error::Experiment { experiment: run.title(), problem: error.to_string() })?;
    // Some are drawn at their first use, which must not come while another run draws.
    model.visit(&mut Draw);
    if let Some(table) = run.task.embedding(run.width, run.seed) {
        let table = TensorData::new(table, [run.task.vocabulary(), run.width]);
        let table = Tensor::from_data(table, device);
        model.embedding.weight = model.embedding.weight.map(|_| table).set_require_grad(false);
    }
    Ok(model)
}

/// Draws every parameter that has not been drawn yet.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        parameter.val();
    }
}

/// The accuracies of a diverged run: all 0.
fn lost(run: &RunConfig) -> Vec<SliceAccuracy> {
    let segments = run.task.segments(Split::Test);
    segments
        .into_iter()
        .map(|(slice, examples)| SliceAccuracy {
            slice,
            accuracy: 0.0,
            examples,
            streamed: None,
            blocks: None,
        })
        .collect()
}
