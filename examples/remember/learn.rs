//! Training on short texts with questions.

use crate::book::Lesson;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use seqzoo::layers::NeuralMemory;
use seqzoo::models::LanguageModel;
use seqzoo::training::Random;
use seqzoo::{MixerState, WeightDecay};
use std::time::Instant;

/// Words of a lesson, one of these. A model that begins with long lessons learns nothing; what it learns in short ones carries
/// over to them.
pub const LENGTHS: [usize; 3] = [64, 128, 256];
/// Facts in it.
pub const FACTS: usize = 4;
/// Lessons of a step.
const BATCH: usize = 16;
/// Lessons that follow each other in one memory: it learns to work with all that it has read before, as in a long text.
const FOLLOWING: usize = 16;
/// The largest learning rate.
const RATE: f64 = 3e-3;
/// The share of the steps in which the rate rises.
const WARMUP: f64 = 0.1;

pub type Model = LanguageModel<NeuralMemory>;

/// The model after `steps` steps. Says how many questions it answers on the way.
#[allow(clippy::print_stdout)]
pub fn learn(mut model: Model, steps: usize, random: &mut Random, device: &Device) -> Model {
    let clipping = GradientClippingConfig::Norm(0.1); // of each tensor by itself
    let adam = AdamWConfig::new().with_beta_2(0.98).with_grad_clipping(Some(clipping));
    let undecayed = adam.clone().with_weight_decay(0.0).build();
    let mut optimizer =
        adam.with_weight_decay(0.01).init().with_group(WeightDecay::of(&model).undecayed(), undecayed, None);
    let loss = CrossEntropyLossConfig::new().init(device);
    let begin = Instant::now();
    let (mut right, mut state) = (0.0, None);
    for step in 1..=steps {
        let Batch { words, places, answers } = Batch::draw(random, device);
        let (hidden, after) = model.hidden(words, None, state);
        state = (step % FOLLOWING != 0).then(|| after.detach());
        let [batch, time, channels] = hidden.dims();
        let asked = hidden.reshape([batch * time, channels]).select(0, places);
        let logits = model.logits(asked);
        let hits = logits.clone().argmax(1).squeeze_dim::<1>(1).equal(answers.clone()).float().mean();
        right += hits.into_scalar::<f64>();
        let gradients = GradientsParams::from_grads(loss.forward(logits, answers).backward(), &model);
        model = optimizer.step(rate(step as f64 / steps as f64), model, gradients);
        let every = steps.div_ceil(8);
        if step % every == 0 || step == steps {
            let since = if step % every == 0 { every } else { step % every };
            let seconds = begin.elapsed().as_secs_f64();
            println!(
                "step {step:>5}: {:>5.1} % of the answers right, {seconds:.0} s",
                100.0 * right / since as f64
            );
            right = 0.0;
        }
    }
    model.valid()
}

/// Up in a straight line, then down along a cosine; `part` of all steps are done.
fn rate(part: f64) -> f64 {
    let down = ((part - WARMUP) / (1.0 - WARMUP)).max(0.0);
    RATE * (part / WARMUP).min(1.0) * 0.5 * (1.0 + (std::f64::consts::PI * down).cos())
}

struct Batch {
    /// `[B, T]`
    words: Tensor<2, Int>,
    /// Where answers are wanted, among all words of the batch.
    places: Tensor<1, Int>,
    answers: Tensor<1, Int>,
}

impl Batch {
    fn draw(random: &mut Random, device: &Device) -> Self {
        let length = LENGTHS[random.below(LENGTHS.len())];
        let (mut words, mut places, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..BATCH {
            let lesson = Lesson::draw(length, FACTS, random);
            words.extend(lesson.words.iter().map(|word| i64::from(*word)));
            for (place, answer) in lesson.answers {
                places.push((row * length + place) as i64);
                answers.push(i64::from(answer));
            }
        }
        let list = |numbers: Vec<i64>| Tensor::from_data(TensorData::from(numbers.as_slice()), device);
        let words = Tensor::from_data(TensorData::new(words, [BATCH, length]), device);
        Self { words, places: list(places), answers: list(answers) }
    }
}
